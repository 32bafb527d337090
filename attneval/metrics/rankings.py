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
        ahead: i4[m, n], how many keys of the row weigh more.
        tied: i4[m, n], how many weigh the same, itself included; None where all weights of each row differ.
        level: f8[m, n], by rank; a key is attended when its level is above the threshold's cutoff.
        attended: i8[m], how many keys are attended.
    """

    weight: NDArray[np.float64]
    ahead: NDArray[np.int32]
    tied: NDArray[np.int32] | None
    level: NDArray[np.float64]
    attended: NDArray[np.int64]

    @classmethod
    def rank(cls, weight: NDArray[np.float64], rule: Threshold) -> Rows:
        """Rank normalised rows f8[m, n] and apply a threshold."""
        m, n = weight.shape
        flat = np.argsort(-weight, axis=1)
        flat += np.arange(0, m * n, n)[:, None]
        ordered = weight.take(flat)
        equal = ordered[:, 1:] == ordered[:, :-1]
        first, run = np.tile(np.arange(n, dtype=np.int32), (m, 1)), None
        if equal.any():
            first, run = _runs(equal)
        level = rule.levels(ordered, first)
        # As a set, even attention is all keys: above every cutoff.
        even = ordered[:, :1] - ordered[:, -1:] <= EVEN * np.abs(ordered[:, :1])
        if even.any():
            level = np.where(even, np.inf, level)
        attended = (level > rule.cutoff(n)).sum(axis=1)
        return cls(weight, _by_key(first, flat), None if run is None else _by_key(run, flat), level, attended)

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


def _by_key(by_rank: NDArray[np.int32], flat: NDArray[np.int64]) -> NDArray[np.int32]:
    """Numbers [m, n] in the order of the ranking, as those of the keys at the flat places [m, n]."""
    by_key = np.empty(by_rank.shape, np.int32)
    by_key.ravel()[flat] = by_rank
    return by_key


def _runs(equal: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First position and length of the run of equal weights that each of n positions is in, from b[m, n-1]."""
    edge = np.ones((len(equal), 1), np.bool_)
    position = np.arange(equal.shape[1] + 1, dtype=np.int32)
    starts = np.where(np.concatenate((edge, ~equal), axis=1), position, 0)
    ends = np.where(np.concatenate((~equal, edge), axis=1), position, position[-1])
    first = np.maximum.accumulate(starts, axis=1)
    return first, np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1] - first + 1
