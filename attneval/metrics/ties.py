"""Tied scores in a ranking: expected values over all orders of the tied keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def first_within(
    k: int, ahead: NDArray[np.integer], others: NDArray[np.number[Any]], relevant: NDArray[np.number[Any]]
) -> NDArray[np.float64]:
    """Compute the probability that the best-ranked relevant key is among the first k, over all orders of tied keys.

    The one definition for every ranking: of keys by weight, and of images or captions by similarity.

    Args:
        k: The last rank that is good enough, from 1.
        ahead: i8[p], how many keys weigh more than the best relevant one.
        others: i8[p] or f8[p], how many keys that are not relevant weigh the same.
        relevant: i8[p] or f8[p], how many relevant keys weigh the same, itself included.

    Returns:
        f8[p]: 1 - C(others, j) / C(others + relevant, j) with j = k - ahead places left.
    """
    places = np.maximum(k - ahead, 0)
    miss = np.ones(len(places))
    for place in range(min(k, int(others.max(initial=0)) + 1)):
        left = np.maximum(others - place, 0) / np.maximum(others + relevant - place, 1)
        miss = np.where(place < places, miss * left, miss)
    return 1 - miss


def expected_rank(
    ahead: NDArray[np.integer], others: NDArray[np.number[Any]], relevant: NDArray[np.number[Any]]
) -> NDArray[np.float64]:
    """Compute the expected rank of the best-ranked relevant key, from 1, over all orders of tied keys.

    Args:
        ahead: i8[p], how many keys weigh more than the best relevant one.
        others: i8[p] or f8[p], how many keys that are not relevant weigh the same.
        relevant: i8[p] or f8[p], how many relevant keys weigh the same, itself included.

    Returns:
        f8[p]: ahead + 1 + others / (relevant + 1), since each other key comes before all relevant ones in as many
        orders as it comes after any of them.
    """
    return np.asarray(ahead + 1 + others * (1 / (relevant + 1.0)), np.float64)
