"""Ids of images and captions: each once, and each caption in an image."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.export.read.content import caption_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.problems import FileProblems


LAST_INDEX = 2**15 - 1
"""The largest number of a caption within its image: `caption_index` is i2."""


_NUMBER = re.compile(r"-?[0-9]{1,9}")


def split_id(caption_id: str) -> tuple[str, int, bool]:
    """Split `<image id>#<k>`.

    Returns:
        The image's id, the caption's number or -1, and whether what stands behind the mark is a number; a caption
        without a mark has none, and is matched by its text.
    """
    name, mark, number = caption_id.rpartition("#")
    if not mark:
        return caption_id, -1, True
    numbered = _NUMBER.fullmatch(number) is not None
    return name, int(number) if numbered else -1, numbered


def check_captions(
    report: FileProblems,
    image_id: list[str],
    caption_image: NDArray[np.int64],
    caption_index: NDArray[np.int64],
    members: tuple[str, str, str] = ("image_id", "caption_image", "caption_index"),
) -> None:
    """Note images and captions that are named twice or belong nowhere.

    Args:
        report: Where problems go.
        image_id: The images' ids.
        caption_image: i8[N], row of each caption's image.
        caption_index: i8[N], which of its image's captions it is.
        members: The members that these three are from.
    """
    images = len(image_id)
    repeated = _repeated(np.unique(np.array(image_id or [""]), return_inverse=True)[1])
    report.rows(members[0], repeated[:images], "the same id twice", lambda row: image_id[row])
    outside = (caption_image < 0) | (caption_image >= images)
    text = f"points outside the {images} images; captions"
    if report.rows(members[1], outside, text, lambda row: f"{row} at {caption_image[row]}"):
        return
    name = partial(caption_name, image_id, caption_image, caption_index)
    out_of_range = (caption_index < -1) | (caption_index > LAST_INDEX)
    if report.rows(members[2], out_of_range, f"is not between -1 and {LAST_INDEX}; captions", name):
        return
    key = caption_image * (LAST_INDEX + 1) + caption_index
    known = np.flatnonzero(caption_index >= 0)
    twice = np.zeros(len(key), np.bool_)
    twice[known] = _repeated(key[known])
    report.rows(members[2], twice, "the same caption twice", name)


def _repeated(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find the entries that equal an earlier one."""
    repeated = np.ones(len(keys), np.bool_)
    repeated[np.unique(keys, return_index=True)[1]] = False
    return repeated
