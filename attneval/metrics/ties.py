"""Tied scores in a ranking: expected values over all orders of the tied keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def first_within(
    k: int, ahead: NDArray[np.integer], others: NDArray[np.floating], relevant: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The probability that the best-ranked relevant key is among the first k, over all orders of tied keys.

    Args:
        k: The rank that is good enough.
        ahead: i[p], keys that weigh more than the best relevant one.
        others: f[p], keys that are not relevant and weigh the same.
        relevant: f[p], relevant keys that weigh the same, itself included.

    Returns:
        f8[p]: 1 - C(others, j) / C(others + relevant, j) with j = k - ahead places left.
    """
    places = np.maximum(k - ahead, 0)
    miss = np.ones(len(places))
    for place in range(min(k, int(others.max(initial=0)) + 1)):
        left = np.maximum(others - place, 0) / np.maximum(others + relevant - place, 1)
        miss = np.where(place < places, miss * left, miss)
    return 1 - miss
