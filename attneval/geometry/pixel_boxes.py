"""Sets of pixels as boxes, and how many pixels two sets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges
from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOXES_AT_ONCE = 2**18
"""Pairs of boxes that are worked on together, so that memory stays bounded."""


@record
class PixelBoxes:
    """Boxes of pixels, no pixel twice in one set.

    Attributes:
        box: i8[b, 4], pixels from x1 and y1 to before x2 and y2.
        offset: i8[s+1], first box of each set.
    """

    box: NDArray[np.int64]
    offset: NDArray[np.int64]

    @property
    def size(self) -> NDArray[np.int64]:
        """The number of boxes of each set, i8[s]."""
        return np.diff(self.offset)

    def shares(
        self, chosen: NDArray[np.int64], other: PixelBoxes, other_chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Compute the share of pixels of sets that are in others, too.

        Args:
            chosen: i8[p], the set of each pair, which has a pixel.
            other: Other boxes.
            other_chosen: i8[p], the other set of each pair.

        Returns:
            f8[p].
        """
        extent = (self.box[:, 2:] - self.box[:, :2]).prod(axis=1)
        pixels = np.diff(np.append(0, np.cumsum(extent))[self.offset])[chosen]
        both, total = np.zeros(len(chosen)), np.cumsum(self.size[chosen] * other.size[other_chosen])
        for pairs in np.split(np.arange(len(chosen)), np.flatnonzero(np.diff(total // BOXES_AT_ONCE)) + 1):
            both[pairs] = self._in_both(chosen[pairs], other, other_chosen[pairs])
        return np.asarray(both / pixels, np.float64)

    def _in_both(
        self, chosen: NDArray[np.int64], other: PixelBoxes, other_chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The number of pixels that are in both sets of each pair, f8[p]."""
        count, other_count = self.size[chosen], other.size[other_chosen]
        mine, pair = ranges(self.offset[chosen], count), np.repeat(np.arange(len(chosen)), count)
        times = other_count[pair]
        a, b = np.repeat(mine, times), ranges(other.offset[other_chosen][pair], times)
        width, height = (
            np.minimum(self.box[:, k + 2].take(a), other.box[:, k + 2].take(b))
            - np.maximum(self.box[:, k].take(a), other.box[:, k].take(b))
            for k in (0, 1)
        )
        pixels = np.maximum(width, 0) * np.maximum(height, 0)
        return np.bincount(np.repeat(pair, times), pixels, len(chosen)).astype(np.float64)
