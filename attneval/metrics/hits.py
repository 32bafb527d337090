"""Rows judged against sets of relevant keys: what every metric of attention is a function of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.metrics.ties import first_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.metrics.rankings import Rows


@dataclass(frozen=True, eq=False)
class Judged:
    """p pairs of a row and a set of keys that are relevant to it.

    A row may be paired with several sets, and a set with several rows: the model's rows with their own sets, the
    same rows with other sets, a constant row with every set.

    Attributes:
        rows: m rows of n weights.
        row: i8[p], the row of each pair.
        sets: Sets of keys.
        of: i8[p], the set of each pair.
    """

    rows: Rows
    row: NDArray[np.int64]
    sets: IndexSets
    of: NDArray[np.int64]

    @property
    def keys(self) -> int:
        """n, how many keys a row has."""
        return int(self.rows.weight.shape[1])

    @cached_property
    def relevant(self) -> NDArray[np.int64]:
        """i8[p], how many keys are relevant."""
        return self.sets.size[self.of]

    @property
    def attended(self) -> NDArray[np.int64]:
        """i8[p], how many keys are attended."""
        return self.rows.attended[self.row]

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """f8[e], the weight of each relevant key, pair by pair."""
        return self.rows.weight.ravel()[self._entry]

    @cached_property
    def ahead(self) -> NDArray[np.int32]:
        """i4[e], how many keys weigh more than each relevant key."""
        return self.rows.ahead.ravel()[self._entry]

    @cached_property
    def tied(self) -> NDArray[np.int32] | None:
        """i4[e], how many keys weigh the same as each relevant key, itself included; None if no keys do."""
        return None if self.rows.tied is None else self.rows.tied.ravel()[self._entry]

    @property
    def through(self) -> NDArray[np.int32]:
        """i4[e], how many keys weigh at least as much as each relevant key, itself included."""
        return self.ahead + (np.int32(1) if self.tied is None else self.tied)

    def sum(self, values: NDArray[np.number[Any]]) -> NDArray[np.float64]:
        """Sum [e] values of the relevant keys by pair: f8[p]."""
        return np.asarray(np.bincount(self._pair, values, len(self.of)), np.float64)

    def within(self, k: NDArray[np.integer] | int) -> NDArray[np.float64]:
        """f8[p], how many relevant keys are among the first k of the ranking, k by pair or the same for all.

        Where k cuts through a tie this is the expected number over all orders of the tied keys.
        """
        places = (k if isinstance(k, int) else k[self._pair]) - self.ahead
        return self.sum(np.clip(places if self.tied is None else places / self.tied, 0, 1))

    @cached_property
    def true_positives(self) -> NDArray[np.float64]:
        """f8[p], how many relevant keys are attended."""
        return self.within(self.attended)

    def hit(self, k: int) -> NDArray[np.float64]:
        """f8[p], the probability that a relevant key is among the first k, over all orders of tied keys."""
        ahead, others, relevant = self._best
        return np.where(self.relevant > 0, first_within(k, ahead, others, relevant), 0.0)

    @cached_property
    def _best(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Of each pair's best relevant key: keys ahead of it, and other and relevant keys that weigh the same."""
        best = np.full(len(self.of), np.iinfo(np.int64).max)
        filled = self.relevant > 0
        if filled.any():
            best[filled] = np.minimum.reduceat(self.ahead, self._offset[:-1][filled])
        if self.tied is None:
            return best, np.zeros(len(self.of)), filled.astype(np.float64)
        in_best = np.flatnonzero(self.ahead == best[self._pair])
        pair = self._pair[in_best]
        relevant = np.bincount(pair, minlength=len(self.of)).astype(np.float64)
        tied = np.zeros(len(self.of))
        tied[pair] = self.tied[in_best]
        return best, tied - relevant, relevant

    def precision_at_hits(self) -> NDArray[np.float64]:
        """f8[p], the sum over relevant keys of the precision at their rank, tied keys taken as one step."""
        # Sorted by pair and rank, a relevant key's place in its pair counts the relevant keys up to it. Pairs are in
        # order already, of which a stable sort makes use.
        base = self._pair * (self.keys + 1)
        ranked = np.sort(base + self.through, kind="stable")
        last = np.arange(1, len(ranked) + 1)
        if self.tied is not None:
            ends = np.flatnonzero(np.diff(ranked, append=-1))
            last = np.repeat(ends + 1, np.diff(ends, prepend=-1))
        hits = last - np.repeat(self._offset[:-1], self.relevant)
        return self.sum(hits / (ranked - base))

    def gain_by_rank(self) -> NDArray[np.float64]:
        """f8[p, n], how many relevant keys are at rank 1, 2, ... n, as an expected value under ties."""
        width = self.keys + 1
        base, size = self._pair * width, len(self.of) * width
        share = np.ones(len(self.ahead)) if self.tied is None else 1 / self.tied
        gain = np.asarray(np.bincount(base + self.ahead, share, size), np.float64).reshape(-1, width)
        if self.tied is not None:
            # A key in a tie gains its share at each rank that the tie takes.
            gain -= np.bincount(base + self.through, share, size).reshape(-1, width)
            gain = np.cumsum(gain, axis=1)
        return gain[:, :-1]

    @cached_property
    def _offset(self) -> NDArray[np.int64]:
        return offsets_of(self.relevant)

    @cached_property
    def _pair(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.of)), self.relevant)

    @cached_property
    def _entry(self) -> NDArray[np.int64]:
        member = self.sets.member[ranges(self.sets.offset[self.of], self.relevant)]
        return np.repeat(self.row * self.keys, self.relevant) + member
