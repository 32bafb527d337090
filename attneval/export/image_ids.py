"""Ids of images in their many forms: with an extension or a folder, with zeros in front, with other separators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attneval.errors import first_of
from attneval.export.lint import Lint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEAST_IDS = 5
"""Ids below which nothing is said of their form."""


def lint_ids(image_id: Sequence[str]) -> list[Lint]:
    """Look for ids of images that are names of files, or that differ by their form alone."""
    if len(image_id) < LEAST_IDS or _are_plain(image_id):
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


def did_you_mean(missing: Iterable[str], known: Iterable[str]) -> str:
    """Say which known id may be meant, to be put behind a message; empty where no form of any is known.

    Args:
        missing: Ids that one side lacks.
        known: Ids of that side.
    """
    twins = nearest_ids(missing, known)
    if not twins:
        return ""
    name, twin = next(iter(twins.items()))
    return f"; {len(twins)} of them differ by their form alone: did you mean {twin!r} for {name!r}?"


def _are_plain(image_id: Sequence[str]) -> bool:
    """Whether ids show in one pass that none is the name of a file and no two are alike: numbers, or plain words."""
    same_length = len({len(name) for name in image_id}) == 1
    joined = "".join(image_id)
    if same_length and joined.isascii() and joined.isdecimal():
        return True
    return _PLAIN_LINES.fullmatch("\n".join([*image_id, ""])) is not None


def _plain_id(name: str) -> str:
    """An image id without the marks of a file name."""
    name = name.strip("\ufeff \t\r\n").replace("\\", "/").rpartition("/")[2]
    name = _EXTENSION.sub("", name)
    if _COCO.match(name):
        name = name.rpartition("_")[2]
    name = name.replace("-", "_").replace(" ", "_").casefold()
    return name.lstrip("0") or "0" if name.isascii() and name.isdigit() else name


_EXTENSION = re.compile(r"\.(jpe?g|png|webp|bmp|tiff?|gif|npy|npz|txt|xml)\Z", re.IGNORECASE)
_PLAIN_LINES = re.compile(r"(?:[1-9a-z_][0-9a-z_]*\n)*")
"""Ids, a line each, that are their plain forms as they stand."""
_COCO = re.compile(r"COCO_(train|val|test)20[0-9]{2}_[0-9]+\Z")
_FILE = re.compile(rf"[/\\\ufeff]|^\s|\s\Z|{_EXTENSION.pattern}|^{_COCO.pattern}", re.IGNORECASE)
