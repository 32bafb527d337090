"""Lints of an export: what looks wrong although it is well-formed, each thing with its likely cause and the way out.

The thresholds stand beside what they are for, and in the description of the format.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attneval.errors import first_of
from attneval.export.lint import Lint
from attneval.export.lint_boxes import lint_boxes
from attneval.export.lint_weights import lint_regions, lint_similarity, lint_tokens, lint_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

LEAST_ITEMS = 100
"""Items below which nothing is said of how well maps fit their captions."""
SPECIFIC = 0.01
"""Specificity up to which maps look as if they belonged to other captions."""
BETTER = 1.25
"""By which factor F1 has to rise under another order of the cells."""
LEAST_IDS = 5
"""Ids below which nothing is said of their form."""


def cheap_lints(export: AttentionExport, image_size: NDArray[np.int64] | None = None) -> list[Lint]:
    """Look at small columns, and at a sample of the weights: milliseconds for most files.

    Args:
        export: The export.
        image_size: i8[I, 2], widths and heights that annotations give where the export does not; zeros if unknown.
    """
    return [
        *lint_ids(export.image_id),
        *lint_boxes(export, image_size),
        *lint_weights(export),
        *lint_tokens(export),
    ]


def lint(export: AttentionExport, image_size: NDArray[np.int64] | None = None) -> list[Lint]:
    """Look at everything that the export alone can tell; sizes i8[I, 2] as for `cheap_lints`."""
    return [
        *cheap_lints(export, image_size),
        *lint_regions(export),
        *lint_similarity(export),
    ]


def lint_ids(image_id: Sequence[str]) -> list[Lint]:
    """Look for ids of images that are names of files, or that differ by their form alone."""
    if len(image_id) < LEAST_IDS:
        return []
    changed = [name for name in image_id if _FILE.search(name)]
    if len(changed) == len(image_id):
        text = (
            f"image ids look like names of files: {first_of(changed, show=2)}; annotations know them as "
            f"{first_of([_plain_id(name) for name in changed[:2]])}"
        )
        return [Lint("ids-of-files", text)]
    forms: dict[str, str] = {}
    twins = [(forms[plain], name) for name in image_id if forms.setdefault(plain := _plain_id(name), name) != name]
    if twins:
        named = [f"{a!r} and {b!r}" for a, b in twins[:3]]
        text = (
            f"image ids look like one and the same image: {first_of(named, total=len(twins))}; write each in one form"
        )
        return [Lint("ids-alike", text)]
    return []


def nearest_ids(missing: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Find ids that differ from missing ones by their form alone: extension, folder, leading zeros, separators, BOM.

    Args:
        missing: Ids that one side lacks.
        known: Ids of that side.

    Returns:
        For each missing id that has such a twin the id that may be meant.
    """
    forms = {_plain_id(name): name for name in known}
    return {name: forms[plain] for name in missing if (plain := _plain_id(name)) in forms and forms[plain] != name}


def _plain_id(name: str) -> str:
    """An image id without the marks of a file name."""
    name = name.strip("\ufeff \t\r\n").replace("\\", "/").rpartition("/")[2]
    name = _EXTENSION.sub("", name)
    if _COCO.match(name):
        name = name.rpartition("_")[2]
    name = name.replace("-", "_").replace(" ", "_").casefold()
    return name.lstrip("0") or "0" if name.isascii() and name.isdigit() else name


_EXTENSION = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?|gif|npy|npz|txt|xml)\Z", re.IGNORECASE)
_COCO = re.compile(r"COCO_(train|val|test)20[0-9]{2}_[0-9]+\Z")
_FILE = re.compile(rf"[/\\\ufeff]|^\s|\s\Z|{_EXTENSION.pattern}|^{_COCO.pattern}", re.IGNORECASE)


def lint_specificity(f1: float, shuffled_f1: float, items: int) -> list[Lint]:
    """Look at whether maps fit their own captions any better than others of the same image.

    Args:
        f1: Of the maps.
        shuffled_f1: What they score against the other entities of the same image.
        items: How many items have both.
    """
    if items < LEAST_ITEMS or f1 - shuffled_f1 > SPECIFIC:
        return []
    text = (
        f"maps look as if they were shuffled over captions, or the same for every word: F1 is {f1:.4g} against a "
        f"phrase's own boxes and {shuffled_f1:.4g} against the image's others; check that captions, tokens and maps "
        "are in one order"
    )
    return [Lint("maps-shuffled", text)]


def lint_orientation(f1: float, turned: Mapping[str, float], items: int) -> list[Lint]:
    """Look at whether the cells of grids are stored in another order.

    Args:
        f1: Of the maps as they are stored.
        turned: F1 of the maps under other orders of the cells, by name, see `attneval.geometry.grids.orientations`.
        items: How many items were scored.
    """
    best = max(turned, key=turned.__getitem__, default=None)
    if best is None or items < LEAST_ITEMS or turned[best] < BETTER * f1 or turned[best] - f1 <= SPECIFIC:
        return []
    text = (
        f"the grid looks {best}: F1 is {f1:.4g}, and {turned[best]:.4g} with cells {best}; cells are stored row by row "
        "from the upper left"
    )
    return [Lint("grid-turned", text)]
