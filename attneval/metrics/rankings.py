"""Rows of weights, ranked: the one place where a threshold becomes a set.

Under every threshold rule the attended set is a beginning of the ranking, with tied weights kept together. All that a
metric needs is therefore, for each key, how many keys weigh more (`ahead`) and how many weigh the same (`tied`), and
how many are attended. `top:k` may cut through a tie; its keys then belong to the set by the share of orders in which
they would.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.arrays.ragged import ranges
from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.config.thresholds import Threshold


EVEN = 1e-12
"""A row is even if its weights differ by no more than this share of the largest; it attends to every key."""


def normalised(weight: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Rows of weights f8[m, n] as `Protocol.normalize` says.

    `sum` divides by the row's sum and leaves a row of zeros; `minmax` maps the row to [0, 1] and a constant row to
    zeros; `softmax` and `none` do what they say.
    """
    if method == "sum":
        return quotient(weight, weight.sum(axis=1, keepdims=True))
    if method == "softmax":
        power = np.exp(weight - weight.max(axis=1, keepdims=True))
        return np.asarray(power / power.sum(axis=1, keepdims=True))
    if method == "minmax":
        low = weight.min(axis=1, keepdims=True)
        return quotient(weight - low, weight.max(axis=1, keepdims=True) - low)
    return weight


@record
class Rows:
    """m rows of n weights, ranked.

    Attributes:
        weight: f8[m, n], normalised.
        key: i8[m, n], by rank; the keys of each row, those that weigh most first.
        first: i4[m, n], by rank; how many keys of the row weigh more.
        run: i4[m, n], by rank; how many weigh the same, itself included; None where all weights of each row differ.
        level: f8[m, n], by rank; a key is attended when its level is above the threshold's cutoff.
        attended: i8[m], how many keys are attended.
    """

    weight: NDArray[np.float64]
    key: NDArray[np.int64]
    first: NDArray[np.int32]
    run: NDArray[np.int32] | None
    level: NDArray[np.float64]
    attended: NDArray[np.int64]

    @classmethod
    def rank(cls, weight: NDArray[np.float64], rule: Threshold) -> Rows:
        """Rank normalised rows f8[m, n] and apply a threshold."""
        m, n = weight.shape
        key = np.argsort(-weight, axis=1)
        ordered = weight.take(_places(key))
        equal = np.zeros((m, n), np.bool_)
        np.equal(ordered[:, 1:], ordered[:, :-1], out=equal[:, :-1])
        first, run = np.tile(np.arange(n, dtype=np.int32), (m, 1)), None
        if equal.any():
            run = _put_runs(first, equal)
        level = rule.levels(ordered, first)
        # As a set, even attention is all keys: above every cutoff.
        even = ordered[:, :1] - ordered[:, -1:] <= EVEN * np.abs(ordered[:, :1])
        if even.any():
            level = np.where(even, np.inf, level)
        attended = (level > rule.cutoff(n)).sum(axis=1)
        return cls(weight, key, first, run, level, attended)

    @cached_property
    def ahead(self) -> NDArray[np.int32]:
        """i4[m, n], how many keys of the row weigh more than each key."""
        return self._by_key(self.first)

    @cached_property
    def tied(self) -> NDArray[np.int32] | None:
        """i4[m, n], how many weigh the same as each key, itself included; None where all weights of each row differ."""
        return None if self.run is None else self._by_key(self.run)

    def _by_key(self, by_rank: NDArray[np.int32]) -> NDArray[np.int32]:
        """Numbers [m, n] in the order of the ranking, as those of the keys."""
        by_key = np.empty(by_rank.shape, np.int32)
        by_key.ravel()[_places(self.key)] = by_rank
        return by_key

    @cached_property
    def total(self) -> NDArray[np.float64]:
        """f8[m], the sum of each row."""
        return np.asarray(self.weight.sum(axis=1))

    @cached_property
    def entropy(self) -> NDArray[np.float64]:
        """f8[m], the entropy of each row as a distribution, in nats over log n; NaN for one key or no weight."""
        n = self.weight.shape[1]
        share = quotient(self.weight, self.total[:, None])
        nats = -np.sum(share * np.log(np.where(share > 0, share, 1.0)), axis=1)
        # A uniform row may come out a rounding error above 1.
        return (
            np.where(self.total > 0, np.minimum(nats / np.log(n), 1.0), np.nan) if n > 1 else np.full(len(nats), np.nan)
        )


def _places(key: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of keys i8[m, n] of each row where all rows stand one after the other."""
    return np.asarray(key + np.arange(len(key))[:, None] * key.shape[1], np.int64)


def _put_runs(first: NDArray[np.int32], equal: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Find the runs of equal weights.

    Args:
        first: i4[m, n], positions, which become those where their runs begin.
        equal: b[m, n], whether a position's weight is equal to the next one's.

    Returns:
        i4[m, n], the length of the run that each position is in.
    """
    before = np.flatnonzero(equal)
    begins = np.flatnonzero(np.diff(before, prepend=-2) != 1)
    length = np.diff(np.append(begins, len(before))) + 1
    member = ranges(before[begins], length)
    flat, run = first.reshape(-1), np.ones(first.size, np.int32)
    flat[member] = np.repeat(flat[before[begins]], length)
    run[member] = np.repeat(length, length)
    return run.reshape(first.shape)
