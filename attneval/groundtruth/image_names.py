"""The ids of images in the names of their files."""

from __future__ import annotations

from pathlib import PurePosixPath


def coco_number(stem: str) -> str:
    """The number in the name of a COCO file; other names as they are.

    Args:
        stem: A name without ending: `COCO_val2014_000000000285` or `000000000285`.
    """
    head, _, number = stem.rpartition("_")
    named = head.startswith("COCO_") or (not head and len(number) == 12)
    return number.lstrip("0") or "0" if named and number.isascii() and number.isdigit() else stem


def image_name(file_name: str) -> str:
    """The image that a file is of: its COCO number, or its name without folders and ending."""
    return coco_number(PurePosixPath(file_name.replace("\\", "/")).stem)
