"""Ragged columns: values that stand one after the other, and the offsets where each piece starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


Number = TypeVar("Number", bound="np.generic[Any]")


def offsets_of(lengths: NDArray[np.int64] | Iterable[int]) -> NDArray[np.int64]:
    """Start offsets of consecutive pieces of the given lengths, and their end: i8[n+1]."""
    lengths = np.asarray(lengths if isinstance(lengths, np.ndarray) else list(lengths), np.int64)
    offset = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offset[1:])
    return offset


def ranges(start: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.int64]:
    """The concatenation of `start[i], start[i]+1, ...`, `length[i]` numbers each."""
    offset = offsets_of(length)
    return np.arange(offset[-1], dtype=np.int64) + np.repeat(start - offset[:-1], length)


def products(*factors: NDArray[np.int64] | np.int64) -> NDArray[np.int64]:
    """Products of whole numbers that are not negative; the largest i8 where they are too large for one.

    Args:
        factors: i8[n] each, or one number for all.

    Returns:
        i8[n].
    """
    with np.errstate(over="ignore"):
        exact = np.asarray(np.prod(np.broadcast_arrays(*factors), axis=0, dtype=np.int64))
        rough = np.prod(np.broadcast_arrays(*factors), axis=0, dtype=np.float64)
    return np.where(rough < 2.0**62, exact, np.iinfo(np.int64).max)


def distinct_values(values: NDArray[Number]) -> NDArray[Number]:
    """The values that occur in some [n], ascending."""
    # Without counts numpy first asks whether the values are masked, for which it imports all of numpy.ma.
    distinct: NDArray[Number] = np.unique(values, return_counts=True)[0]
    return distinct


def distinct_rows(values: NDArray[Number]) -> NDArray[Number]:
    """The rows that occur in some [n, m], in ascending order; see `distinct_values`."""
    distinct: NDArray[Number] = np.unique(values, axis=0, return_counts=True)[0]
    return distinct
