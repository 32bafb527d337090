"""Hits of many rows against the same sets: relevant keys in the order of their ranking, set by set.

Definition: every number of `TableHits` is that of `Hits`, of the same pairs.

Where each row of an image is paired with each of its sets, the rows and the relevant keys of a set form a table. Keys
need not be looked up pair by pair then, and what is added one after the other is added for all rows at once.
"""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.metrics.hits import Hits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PAYS = 1024
"""Relevant keys of all rows of a set together, in the mean of sets, from which tables are faster than pairs."""


@record
class RowsOfSet:
    """Consecutive rows that are paired with a set.

    Attributes:
        set: The set.
        rows: The rows.
        pair: i8[R], the pair of each row.
    """

    set: int
    rows: slice
    pair: NDArray[np.int64]


def rows_of_sets(row: NDArray[np.int64], set_of_pair: NDArray[np.int64]) -> list[RowsOfSet]:
    """Put pairs together by their set.

    Args:
        row: i8[p], the row of each pair.
        set_of_pair: i8[p], its set.

    Returns:
        The rows of each set; none if those of some set are not consecutive.
    """
    order = np.lexsort((row, set_of_pair))
    new = np.diff(set_of_pair[order], prepend=-1) != 0
    if not len(order) or not ((np.diff(row[order], prepend=-1) == 1) | new).all():
        return []
    first = np.flatnonzero(new)
    starts, sets = row[order[first]].tolist(), set_of_pair[order[first]].tolist()
    pairs = np.split(order, first[1:])
    each = zip(sets, starts, pairs, strict=True)
    return [RowsOfSet(of, slice(start, start + len(pair)), pair) for of, start, pair in each]


@record
class Ranked:
    """The relevant keys of pairs in the order of their ranking; pairs that have none are left out.

    Attributes:
        pair: i8[q], the pairs, by set and row.
        offset: i8[q+1], first relevant key of each.
        start: i8[q], ascending, where the ranking of each pair starts if all stand one after the other.
        place: i8[e], ascending, where the relevant keys stand in them.
        ahead: i4[e], how many keys weigh more than each relevant one.
        tied: i4[e], how many weigh the same, itself included; None where no keys do.
    """

    pair: NDArray[np.int64]
    offset: NDArray[np.int64]
    start: NDArray[np.int64]
    place: NDArray[np.int64]
    ahead: NDArray[np.int32]
    tied: NDArray[np.int32] | None

    def before(self, rank: NDArray[np.int64], chosen: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.int64]:
        """Count the relevant keys before ranks i8[c] of some of the pairs, of all by default: i8[c]."""
        return np.searchsorted(self.place, self.start[chosen] + rank) - self.offset[:-1][chosen]


@record
class TableHits(Hits):
    """Hits of pairs that are together by their set; every number is that of `Hits`.

    Attributes:
        together: The rows of each set.
    """

    together: list[RowsOfSet] = field(default_factory=list)

    def within(self, k: NDArray[np.integer] | int) -> NDArray[np.float64]:
        """Count the relevant keys among the first k of the ranking, i8[p] or one number for all: f8[p]."""
        ranked, count = self._ranked, np.zeros(len(self.set_of_pair))
        most = np.minimum(np.broadcast_to(k, count.shape)[ranked.pair], self.keys).astype(np.int64)
        # Where the tie begins that the first k keys end in, or else k.
        row, rank = self.row[ranked.pair], np.minimum(most, self.keys - 1)
        first = np.where(most < self.keys, self.rows.first[row, rank], self.keys)
        whole = ranked.before(first)
        count[ranked.pair] = whole
        cut = np.flatnonzero(first < most)
        if self.rows.run is not None and len(cut):
            tied = self.rows.run[row[cut], rank[cut]]
            part = ranked.before(first[cut] + tied, cut) - whole[cut]
            count[ranked.pair[cut]] += part.astype(np.float64) * (most - first)[cut] / tied
        return count

    @cached_property
    def ranks_ahead(self) -> NDArray[np.int64]:
        """The numbers of keys that weigh more than each relevant key, added up: i8[p]."""
        return self._added(self._ranked.ahead)

    @cached_property
    def ranks_tied(self) -> NDArray[np.int64]:
        """The numbers of keys that weigh the same as each relevant key, itself included, added up: i8[p]."""
        return self.relevant if self._ranked.tied is None else self._added(self._ranked.tied)

    def _added(self, values: NDArray[np.int32]) -> NDArray[np.int64]:
        """Add whole numbers [e] of relevant keys by pair: i8[p]."""
        total = np.zeros(len(self.set_of_pair), np.int64)
        if len(values):
            total[self._ranked.pair] = np.add.reduceat(values, self._ranked.offset[:-1], dtype=np.int64)
        return total

    @cached_property
    def inside(self) -> NDArray[np.float64]:
        """The weight of the relevant keys, added in their order: f8[p]."""
        return self._weighed(None)

    @cached_property
    def covered(self) -> NDArray[np.float64]:
        """The weight of the members, each times its set's value of it, added in their order: f8[p]."""
        return self._weighed(self.sets.value)

    def _weighed(self, value: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Add the weights of relevant keys, times their values, by pair in the order of the keys: f8[p]."""
        rows, lines = slice(0), np.zeros((0, 0))

        def weights(one: RowsOfSet, members: slice) -> NDArray[np.float64]:
            nonlocal rows, lines
            if one.rows != rows:
                rows, lines = one.rows, np.ascontiguousarray(self.rows.weight[one.rows].T)
            chosen = lines.take(self.sets.member[members], axis=0)
            return chosen if value is None else np.multiply(chosen, value[members, None], out=chosen)

        return self._in_order(weights)

    def _in_order(self, numbers: Callable[[RowsOfSet, slice], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Add numbers f8[k, R] of k members of a set in R rows one after the other, set by set: f8[p]."""
        total = np.zeros(len(self.set_of_pair))
        for one in self.together:
            values = numbers(one, slice(*self.sets.offset[one.set : one.set + 2].tolist()))
            # A single column would be added in another order.
            total[one.pair] = np.add.reduce(values, axis=0) if values.shape[1] > 1 else sum(values[:, 0].tolist())
        return total

    @cached_property
    def _best(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        ranked, pairs = self._ranked, len(self.set_of_pair)
        ahead, tied, relevant = np.full(pairs, np.iinfo(np.int64).max), np.zeros(pairs), np.zeros(pairs)
        best = ranked.offset[:-1]
        ahead[ranked.pair], tied[ranked.pair], relevant[ranked.pair] = ranked.ahead[best], 1, 1
        if ranked.tied is not None:
            tied[ranked.pair] = ranked.tied[best]
            relevant[ranked.pair] = ranked.before((ranked.ahead[best] + ranked.tied[best]).astype(np.int64))
        return ahead, tied - relevant, relevant

    def precision_at_hits(self) -> NDArray[np.float64]:
        """Sum the precision at the rank of each relevant key, tied keys taken as one step: f8[p]."""
        ranked = self._ranked
        hits = np.arange(1, len(ranked.place) + 1) - np.repeat(ranked.offset[:-1], np.diff(ranked.offset))
        through = ranked.ahead + (np.int32(1) if ranked.tied is None else ranked.tied)
        if ranked.tied is not None:
            # Of tied keys all count as many hits as the last.
            equal = through[1:] == through[:-1]
            equal[ranked.offset[1:-1] - 1] = False
            before = np.flatnonzero(equal)
            ends = np.flatnonzero(np.diff(before, append=-1) != 1)
            hits[before] = np.repeat(hits[before[ends] + 1], np.diff(ends, prepend=-1))
        precision, first = hits / through, 0

        def of_set(one: RowsOfSet, members: slice) -> NDArray[np.float64]:
            nonlocal first
            count = members.stop - members.start
            start, first = first, first + count * len(one.pair)
            return np.ascontiguousarray(precision[start:first].reshape(len(one.pair), count).T)

        return self._in_order(of_set)

    @cached_property
    def _ranked(self) -> Ranked:
        m, n = self.rows.weight.shape
        first, run = self.rows.first.ravel(), None if self.rows.run is None else self.rows.run.ravel()
        pair, start, place, ahead, tied = [], [], [], [], []
        for number, one in enumerate(self.together):
            members = self.sets.member[slice(*self.sets.offset[one.set : one.set + 2].tolist())]
            relevant = np.zeros(n, np.bool_)
            relevant[members] = True
            local = np.flatnonzero(relevant.take(self.rows.key[one.rows])) + one.rows.start * n
            if len(local):
                pair.append(one.pair)
                start.append(np.arange(one.rows.start, one.rows.stop) * n + number * m * n)
                place.append(local + number * m * n)
                ahead.append(first.take(local))
                if run is not None:
                    tied.append(run.take(local))
        nothing = np.zeros(0, np.int64)
        pairs = np.concatenate([nothing, *pair])
        return Ranked(
            pairs,
            offsets_of(self.relevant[pairs]),
            np.concatenate([nothing, *start]),
            np.concatenate([nothing, *place]),
            np.concatenate([nothing.astype(np.int32), *ahead]),
            None if run is None else np.concatenate([nothing.astype(np.int32), *tied]),
        )
