"""Enlarging pictures of 8 bits in whole numbers, as OpenCV does: what evaluators see that make pictures of maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

BRIGHTEST = 255
"""The largest number of 8 bits."""
PARTS = 2048
"""Shares are whole numbers of these parts, of which a line of pixels keeps 16 bits."""


def as_bytes(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Stretch rows f8[m, n] over the whole numbers from 0 to 255, rounded down; even rows are 0."""
    low = weight.min(axis=1, keepdims=True)
    return np.floor(quotient(weight - low, weight.max(axis=1, keepdims=True) - low) * BRIGHTEST)


@record
class ByteTaps:
    """The two cells that each pixel along one side of a picture takes something from.

    Attributes:
        cell: i8[2, pixels].
        share: i4[2, pixels], how much, in parts of 2048.
    """

    cell: NDArray[np.int64]
    share: NDArray[np.int32]

    @classmethod
    def along(cls, cells: int, scale: float, shift: float, pixels: int, *, across: bool) -> ByteTaps:
        """Find the cells of each pixel, between whose middles its own lies.

        Args:
            cells: How many cells there are.
            scale: The length of a cell, in pixels.
            shift: Where the first one starts, in pixels.
            pixels: How many pixels there are.
            across: Whether lines are enlarged, where beyond the outermost middles one cell has all parts; from line to
                line both have their rounded parts of the same one.
        """
        place = ((np.arange(pixels) + 0.5 - shift) / scale - 0.5).astype(np.float32)
        low = np.floor(place)
        part = place - low
        if across:
            part[(low < 0) | (low >= cells - 1)] = 0
        share = np.rint(np.array([1 - part, part]) * np.float32(PARTS)).astype(np.int32)
        low = np.clip(low, 0, cells - 1) if across else low
        return cls(np.clip(low + np.array([[0], [1]]), 0, cells - 1).astype(np.int64), share)


def enlarge_bytes(levels: NDArray[np.float64], down: ByteTaps, across: ByteTaps) -> NDArray[np.float64]:
    """Enlarge pictures f8[k, rows, columns] of whole numbers from 0 to 255, bilinearly: f8[k, height, width].

    Source:
        OpenCV, modules/imgproc/src/resize.cpp: shares of 11 bits, lines shifted by 4, and sums by 16 and 2.
    """
    whole = levels.astype(np.int32)
    left, right = (whole.take(cell, axis=2) * share for cell, share in zip(across.cell, across.share, strict=True))
    lines = (left + right) >> 4
    above, below = (
        (lines.take(cell, axis=1) * share[:, None]) >> 16 for cell, share in zip(down.cell, down.share, strict=True)
    )
    return np.asarray((above + below + 2) >> 2, np.float64)
