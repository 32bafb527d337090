"""Masks as run lengths: outlines made pixels by pycocotools' rule.

A mask is kept as run lengths down the columns of its image, compressed as COCO compresses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.geometry.strips import run_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Size = tuple[int, int]
    """Width and height of an image, in pixels."""

FARTHEST = 10.0
"""How far a polygon may reach beyond its image, in widths and heights of that; pycocotools would count in 32 bits."""


def from_polygons(polygons: Sequence[Sequence[float]], size: Size) -> bytes:
    """Rasterise the union of some polygons.

    Args:
        polygons: Each x0, y0, x1, y1, ... in pixels, at least three corners.
        size: Of the image.

    Raises:
        ValueError: A polygon has too few corners, half a corner, or lies far outside the image.
    """
    from pycocotools import mask

    width, height = size
    for polygon in polygons:
        corners = np.asarray(polygon, np.float64)
        if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2:
            raise ValueError(f"a polygon of {corners.size} numbers is not x and y of three corners or more")
        limit = np.tile([FARTHEST * width, FARTHEST * height], len(corners) // 2)
        if not np.isfinite(corners).all() or (np.abs(corners) > limit).any():
            raise ValueError("a polygon lies far outside its image")
    if not polygons:
        return from_runs([width * height], size)
    return _counts(mask.merge(mask.frPyObjects([list(map(float, polygon)) for polygon in polygons], height, width)))


def from_runs(runs: Sequence[int], size: Size) -> bytes:
    """Compress run lengths: down the columns, pixels outside first.

    Raises:
        ValueError: They do not add up to the image, or one is negative.
    """
    from pycocotools import mask

    width, height = size
    if min(runs, default=-1) < 0 or sum(runs) != width * height:
        raise ValueError(f"run lengths do not add up to an image of {width} x {height}")
    return _counts(mask.frPyObjects({"size": [height, width], "counts": list(runs)}, height, width))


def from_compressed(counts: bytes, size: Size) -> bytes:
    """Check compressed run lengths.

    Raises:
        ValueError: They are damaged, or do not add up to the image.
    """
    code = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if not len(code) or ((code < 0) | (code > 63)).any() or code[-1] & 32:
        raise ValueError("compressed run lengths are damaged")
    if np.diff(np.flatnonzero(code & 32 == 0), prepend=-1).max() > 7:
        raise ValueError("compressed run lengths hold a number of too many digits")
    runs, _ = run_lengths(np.frombuffer(counts, np.uint8), np.array([0, len(counts)]))
    if (runs < 0).any() or runs.sum() != size[0] * size[1]:
        raise ValueError(f"run lengths do not add up to an image of {size[0]} x {size[1]}")
    return counts


def from_pixels(pixels: NDArray[np.bool_]) -> bytes:
    """Compress a mask bool[height, width]."""
    from pycocotools import mask

    return _counts(mask.encode(np.asfortranarray(pixels, np.uint8)))


def union(masks: Sequence[bytes], size: Size) -> bytes:
    """The union of some masks of one image, each pixel once."""
    from pycocotools import mask

    if len(masks) == 1:
        return masks[0]
    return _counts(mask.merge([{"size": [size[1], size[0]], "counts": counts} for counts in masks]))


def _counts(encoded: dict[str, Any]) -> bytes:
    counts: bytes = encoded["counts"]
    return counts
