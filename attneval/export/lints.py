"""Lints of an export: what looks wrong although it is well-formed, each thing with its likely cause and the way out.

The thresholds stand beside what they are for, and in the description of the format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.export.image_ids import lint_ids
from attneval.export.lint import Lint
from attneval.export.lint_boxes import lint_boxes
from attneval.export.lint_curves import lint_curves
from attneval.export.lint_weights import lint_regions, lint_similarity, lint_tokens, lint_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

LEAST_ITEMS, LEAST_IMAGES = 100, 20
"""Items, and images that have some, below which nothing is said of how well maps fit their captions."""
SPECIFIC = 0.01
"""Specificity up to which maps look as if they belonged to other captions."""
BETTER = 1.5
"""By which factor specificity has to rise under another order of the cells."""
SURE = 4.0
"""By how many of its standard errors, over images, it has to rise."""


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
        *lint_curves(export),
    ]


def lint(export: AttentionExport, image_size: NDArray[np.int64] | None = None) -> list[Lint]:
    """Look at everything that the export alone can tell; sizes i8[I, 2] as for `cheap_lints`."""
    return [
        *cheap_lints(export, image_size),
        *lint_regions(export),
        *lint_similarity(export),
    ]


def lint_specificity(f1: float, shuffled_f1: float, *, items: int, images: int) -> list[Lint]:
    """Look at whether maps fit their own captions any better than others of the same image.

    Args:
        f1: Of the maps.
        shuffled_f1: What they score against the other entities of the same image.
        items: How many items have both.
        images: How many images have such items.
    """
    if items < LEAST_ITEMS or images < LEAST_IMAGES or f1 - shuffled_f1 > SPECIFIC:
        return []
    text = (
        f"maps look as if they were shuffled over captions, or the same for every word: F1 is {f1:.4g} against a "
        f"phrase's own boxes and {shuffled_f1:.4g} against the image's others; check that captions, tokens and maps "
        "are in one order"
    )
    return [Lint("maps-shuffled", text)]


def lint_orientation(
    specific: NDArray[np.float64], turned: Mapping[str, NDArray[np.float64]], *, items: int
) -> list[Lint]:
    """Look at whether the cells of grids are stored in another order.

    Specificity is what is looked at, F1 less F1 against the image's other entities: maps that merely prefer a part of
    the image, where things happen to be, have none under any order.

    Args:
        specific: f8[I], each image's sum of it over its items, of the maps as they are stored.
        turned: The same under other orders of the cells, by name, see `attneval.geometry.grids.orientations`.
        items: How many items there are.
    """
    best = max(turned, key=lambda name: float(turned[name].sum()), default=None)
    if best is None or items < LEAST_ITEMS or np.count_nonzero(specific) < LEAST_IMAGES:
        return []
    rise = turned[best] - specific
    stored, other = float(specific.sum()) / items, float(turned[best].sum()) / items
    if other <= max(BETTER * stored, SPECIFIC) or rise.sum() < SURE * np.sqrt(np.square(rise).sum()):
        return []
    text = (
        f"the grid looks {best}: F1 against a phrase's own boxes is {100 * stored:.1f} points above F1 against the "
        f"image's others, and {100 * other:.1f} points with cells {best}; cells are stored row by row from the upper "
        "left"
    )
    return [Lint("grid-turned", text)]
