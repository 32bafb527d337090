"""Exact totals: sums over images as whole multiples of a small unit, the same in any order of adding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = dict[str, NDArray[np.float64]]
    """Columns of numbers by name."""
    Totals = dict[str, "int | list[int] | Totals"]
    """Sums over images as whole multiples of 1 / UNIT, nested by what they are sums of."""


UNIT = 2**32
"""Totals are whole multiples of 1 / UNIT, so that adding them up gives the same in any order."""


def exact_total(per_image: NDArray[np.generic]) -> int:
    """An exact sum of numbers [n]: what each image adds is rounded to a multiple of 1 / UNIT first."""
    return int(in_units(per_image.astype(np.float64, copy=False)).sum())


def in_units(per_image: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers f8[n] as whole multiples of 1 / UNIT."""
    return np.rint(per_image * UNIT).astype(np.int64)


def add_totals(mine: Totals, other: Totals) -> Totals:
    """Add exact totals; what only one of them has is kept."""
    joined: Totals = dict(mine)
    for name, value in other.items():
        total = joined.get(name)
        if total is None:
            joined[name] = value
        elif isinstance(value, dict) and isinstance(total, dict):
            joined[name] = add_totals(total, value)
        elif isinstance(value, list) and isinstance(total, list):
            joined[name] = [a + b for a, b in zip(total, value, strict=True)]
        elif isinstance(value, int) and isinstance(total, int):
            joined[name] = total + value
    return joined
