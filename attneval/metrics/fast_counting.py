"""How many cuts lie below each level, counted fast.

Definition: `counted_below(level, cuts) == np.searchsorted(cuts, level)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


TRAILING_BITS = 42
"""Bits of a double beyond the first 22: its sign, its exponent and ten of its fraction."""


def counted_below(level: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of some ascending cuts lie below each level: what `np.searchsorted` finds, several times as fast.

    The leading bits of a positive number tell its place among a few cuts, unless a cut has the same ones; only where it
    does is a level searched for.
    """
    ends = cuts[cuts > 0][[0, -1]].view(np.int64) >> TRAILING_BITS if cuts[-1] > 0 else np.zeros(2, np.int64)
    edges = (np.arange(ends[0], ends[1] + 2) << TRAILING_BITS).view(np.float64)
    edges[0], edges[-1] = -np.inf, np.inf
    count = np.searchsorted(cuts, edges)
    count = np.where(count[:-1] == count[1:], count[1:], -1)  # -1: a cut is near
    place = level.view(np.int64) >> TRAILING_BITS
    found: NDArray[np.int64] = count[np.clip(place, *ends, out=place) - ends[0]]
    close = np.flatnonzero(found < 0)
    found.ravel()[close] = np.searchsorted(cuts, level.ravel()[close])
    return found
