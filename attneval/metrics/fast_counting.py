"""Counts of cutoffs below levels, as fast as a table look-up.

Definition: `counted_below(level, cutoffs) == np.searchsorted(cutoffs, level)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


TRAILING_BITS = 42
"""Bits of a double beyond the first 22: its sign, its exponent and ten of its fraction."""


def counted_below(level: NDArray[np.float64], cutoffs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the cutoffs below each level, as `np.searchsorted` does and several times as fast.

    The leading bits of a positive number show its place among a few cutoffs, unless a cutoff has the same bits; only
    then is a level searched for.

    Args:
        level: f8[...], of either sign.
        cutoffs: f8[k], ascending.

    Returns:
        i8[...], of the shape of `level`.
    """
    ends = cutoffs[cutoffs > 0][[0, -1]].view(np.int64) >> TRAILING_BITS if cutoffs[-1] > 0 else np.zeros(2, np.int64)
    edges = (np.arange(ends[0], ends[1] + 2) << TRAILING_BITS).view(np.float64)
    edges[0], edges[-1] = -np.inf, np.inf
    count = np.searchsorted(cutoffs, edges)
    count = np.where(count[:-1] == count[1:], count[1:], -1)  # -1: a cutoff is near
    place = level.view(np.int64) >> TRAILING_BITS
    counts: NDArray[np.int64] = count[np.clip(place, *ends, out=place) - ends[0]]
    close = np.flatnonzero(counts < 0)
    counts.ravel()[close] = np.searchsorted(cutoffs, level.ravel()[close])
    return counts
