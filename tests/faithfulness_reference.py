"""Gaps of faithfulness, one caption and one step at a time, sharing no code with the package."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def area(curve: Sequence[float]) -> Fraction:
    """The area under a curve over shares 0 to 1, by trapezoids, exactly."""
    steps = len(curve) - 1
    total = Fraction(0)
    for left, right in itertools.pairwise(curve):
        total += (Fraction(left) + Fraction(right)) / 2 / steps
    return total


def deletion_gap(ordered: Sequence[float], random: Sequence[float]) -> Fraction | None:
    """How much less is left, on the way, if what is attended most is removed first."""
    return _of_range(area(random) - area(ordered), ordered)


def insertion_gap(ordered: Sequence[float], random: Sequence[float]) -> Fraction | None:
    """How much more is there, on the way, if what is attended most is kept first."""
    return _of_range(area(ordered) - area(random), ordered)


def _of_range(value: Fraction, ordered: Sequence[float]) -> Fraction | None:
    first, last = Fraction(ordered[0]), Fraction(ordered[-1])
    return None if first == last else value / abs(first - last)


def mean(values: Sequence[Fraction | None]) -> Fraction | None:
    known = [value for value in values if value is not None]
    return sum(known, Fraction(0)) / len(known) if known else None
