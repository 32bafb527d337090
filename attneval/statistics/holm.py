"""Holm's adjustment of a family of p-values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attneval.config.options import MOST_TRIALS, TRIALS

if TYPE_CHECKING:
    from collections.abc import Sequence


def trials_needed(tests: int, alpha: float, *, least: int = TRIALS, most: int = MOST_TRIALS) -> int:
    """Count the random trials with which the smallest p-value can be significant after Holm's adjustment.

    The smallest two-sided p-value of T trials is 2 / (T + 1) of a bootstrap, and half that of swaps. A family of tests
    multiplies the smallest by their number, so that T + 1 has to be more than 2 x tests / alpha.

    Args:
        tests: How many p-values are adjusted together.
        alpha: The level of significance.
        least: The number that is not gone below.
        most: The number that is not gone beyond.
    """
    return max(least, math.floor(min(2 * tests / alpha, most)) if alpha > 0 else most)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust a family of p-values by Holm's step-down method.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, row in enumerate(order):
        largest = max(largest, min((len(p_values) - place) * p_values[row], 1.0))
        adjusted[row] = largest
    return adjusted
