"""Hits: rankings held against sets of relevant keys, of which every metric of attention is a function."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.metrics.ties import first_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.geometry.pixel_sets import PixelSets
    from attneval.metrics.enlarged_maps import EnlargedMaps, PixelCounts
    from attneval.metrics.rankings import Rows


NEARLY_ALL = 1e-9
"""How near to 1 a share of weight is looked at closely."""


@record
class Hits:
    """p pairs of a row and a set of keys that are relevant to it.

    A row may be paired with several sets, and a set with several rows: the model's rows with their own sets, the
    same rows with other sets, a constant row with every set.

    Attributes:
        rows: m rows of n weights.
        row: i8[p], the row of each pair.
        sets: IndexSets of keys.
        set_of_pair: i8[p], the set of each pair.
        pixels: The pixels of each set, if the top is one of the pixels of an enlarged map.
        maps: What enlarges the rows and knows the shapes of each set; None if nothing asks for that.
    """

    rows: Rows
    row: NDArray[np.int64]
    sets: IndexSets
    set_of_pair: NDArray[np.int64]
    pixels: PixelSets | None = None
    maps: EnlargedMaps | None = None

    @property
    def keys(self) -> int:
        """The number n of keys of a row."""
        return int(self.rows.weight.shape[1])

    @cached_property
    def relevant(self) -> NDArray[np.int64]:
        """The number of relevant keys, i8[p]."""
        return self.sets.size[self.set_of_pair]

    @property
    def attended(self) -> NDArray[np.int64]:
        """The number of attended keys, i8[p]."""
        return self.rows.attended[self.row]

    @cached_property
    def weight(self) -> NDArray[np.float64]:
        """The weight of each relevant key, f8[e], pair by pair."""
        return self.rows.weight.ravel()[self._entry]

    @cached_property
    def ahead(self) -> NDArray[np.int32]:
        """The number of keys that weigh more than each relevant key, i4[e]."""
        return self.rows.ahead.ravel()[self._entry]

    @cached_property
    def tied(self) -> NDArray[np.int32] | None:
        """The number of keys that weigh the same as each relevant key, itself included, i4[e]; None if no keys do."""
        return None if self.rows.tied is None else self.rows.tied.ravel()[self._entry]

    @property
    def through(self) -> NDArray[np.int32]:
        """The number of keys that weigh at least as much as each relevant key, itself included, i4[e]."""
        return self.ahead + (np.int32(1) if self.tied is None else self.tied)

    def sum(self, values: NDArray[np.number[Any]]) -> NDArray[np.float64]:
        """Sum values [e] of the relevant keys by pair: f8[p]."""
        return np.asarray(np.bincount(self._pair, values, len(self.set_of_pair)), np.float64)

    def count(self, values: NDArray[np.signedinteger[Any]] | NDArray[np.bool_]) -> NDArray[np.int64]:
        """Sum whole numbers [e] of the relevant keys by pair, in any order, which is several times as fast: i8[p]."""
        counts, filled = np.zeros(len(self.set_of_pair), np.int64), self.relevant > 0
        if filled.any():
            whole = values.view(np.int8) if values.dtype == np.bool_ else values
            counts[filled] = np.add.reduceat(whole, self._offset[:-1][filled], dtype=np.int64)
        return counts

    def within(self, k: NDArray[np.integer] | int) -> NDArray[np.float64]:
        """Count the relevant keys among the first k of the ranking: f8[p].

        Where k cuts through a tie this is the expected number over all orders of the tied keys.

        Args:
            k: i8[p], or one number for all pairs.
        """
        most = k if isinstance(k, int) else np.repeat(k.astype(np.int32), self.relevant)
        if self.tied is None:
            return self.count(self.ahead < most).astype(np.float64)
        places = most - self.ahead
        whole = self.count(places >= self.tied).astype(np.float64)
        cut = np.flatnonzero((places > 0) & (places < self.tied))
        if not len(cut):
            return whole
        # Of each pair one tie at most is cut. Its share is divided once, last, so that it is exact where it is whole.
        pair, count = self._pair[cut], len(self.set_of_pair)
        part = np.asarray(np.bincount(pair, minlength=count), np.float64)
        room, tied = np.zeros(count), np.ones(count)
        room[pair], tied[pair] = places[cut], self.tied[cut]
        return whole + part * room / tied

    def top(self) -> NDArray[np.float64]:
        """Compute the probability that the first key, or the top pixel, is in the set, ties in any order: f8[p]."""
        if self.pixels is None:
            # The share of the set in the tie that stands first, if it has any of it.
            ahead, others, relevant = self._best
            return quotient(relevant, np.where(ahead == 0, others + relevant, 0.0))
        return self.pixels.top_shares(self.rows.weight, self.row, self.set_of_pair)

    @cached_property
    def inside(self) -> NDArray[np.float64]:
        """The weight of the relevant keys, added in their order: f8[p]."""
        return self.sum(self.weight)

    def mass(self) -> NDArray[np.float64]:
        """Divide the weight of the relevant keys by that of all keys: f8[p], 0 where there is no weight."""
        share = quotient(self.inside, self.rows.total[self.row])
        # Sums of the same weights in another order may differ: where nothing else seems to weigh anything, see.
        near = np.flatnonzero(np.abs(share - 1) < NEARLY_ALL)
        if len(near):
            close = Hits(self.rows, self.row[near], self.sets, self.set_of_pair[near])
            outside = self.rows.weight[close.row]
            outside[close._pair, self.sets.member[close._place]] = 0
            share[near] = np.where(outside.any(axis=1), np.minimum(share[near], 1.0), 1.0)
        return share

    @cached_property
    def covered(self) -> NDArray[np.float64]:
        """The weight of the members, each times its set's value of it, added in their order: f8[p]."""
        if self.sets.value is None:
            raise ValueError("the sets have no values")
        return self.sum(self.weight * self.sets.value[self._place])

    def covered_mass(self) -> NDArray[np.float64]:
        """Weigh each key by its set's value and divide by the weight of all keys: f8[p], 0 where there is no weight."""
        return quotient(self.covered, self.rows.total[self.row])

    @cached_property
    def ranks_ahead(self) -> NDArray[np.int64]:
        """The numbers of keys that weigh more than each relevant key, added up: i8[p]."""
        return self.count(self.ahead)

    @cached_property
    def ranks_tied(self) -> NDArray[np.int64]:
        """The numbers of keys that weigh the same as each relevant key, itself included, added up: i8[p]."""
        return self.relevant if self.tied is None else self.count(self.tied)

    @cached_property
    def area_under_roc(self) -> NDArray[np.float64]:
        """The probability that a relevant key weighs more than another one, ties half: f8[p].

        It is NaN where there is no relevant key, or no other.
        """
        # Ranks of relevant keys, counted from 1 with ties in their middle; above the least that they can add up to are
        # the other keys that stand before them.
        ranks = self.ranks_ahead + (self.ranks_tied + self.relevant) / 2
        before = ranks - self.relevant * (self.relevant + 1) / 2
        pairs = self.relevant * (self.keys - self.relevant)
        return 1 - quotient(before, pairs.astype(np.float64), otherwise=np.nan)

    @cached_property
    def true_positives(self) -> NDArray[np.float64]:
        """The number of relevant keys that are attended, f8[p]; an expected value where the cutoff parts a tie."""
        return self.within(self.attended)

    def hit(self, k: int) -> NDArray[np.float64]:
        """Compute the probability that a relevant key is among the first k, over all orders of tied keys: f8[p]."""
        ahead, others, relevant = self._best
        return np.where(self.relevant > 0, first_within(k, ahead, others, relevant), 0.0)

    @cached_property
    def _best(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Keys ahead of each pair's best relevant key, and other and relevant keys that weigh the same."""
        best = np.full(len(self.set_of_pair), np.iinfo(np.int64).max)
        filled = self.relevant > 0
        if filled.any():
            best[filled] = np.minimum.reduceat(self.ahead, self._offset[:-1][filled])
        if self.tied is None:
            return best, np.zeros(len(self.set_of_pair)), filled.astype(np.float64)
        in_best = np.flatnonzero(self.ahead == best[self._pair])
        pair = self._pair[in_best]
        relevant = np.bincount(pair, minlength=len(self.set_of_pair)).astype(np.float64)
        tied = np.zeros(len(self.set_of_pair))
        tied[pair] = self.tied[in_best]
        return best, tied - relevant, relevant

    def precision_at_hits(self) -> NDArray[np.float64]:
        """Sum the precision at the rank of each relevant key, tied keys taken as one step: f8[p]."""
        # Sorted by pair and rank, a relevant key's place in its pair counts the relevant keys up to it. Marking ranks
        # sorts them.
        width = self.keys + 1
        base = self._pair * width
        place = base + self.through
        marked = np.zeros(len(self.set_of_pair) * width, np.bool_)
        marked[place] = True
        ranked = np.flatnonzero(marked)
        last = np.arange(1, len(ranked) + 1)
        if len(ranked) < len(place):
            step = np.empty(len(marked), np.int32)
            step[ranked] = last - 1
            tied = np.bincount(step[place], minlength=len(ranked))
            ranked, last = np.repeat(ranked, tied), np.repeat(np.cumsum(tied), tied)
        hits = last - np.repeat(self._offset[:-1], self.relevant)
        return self.sum(hits / (ranked - base))

    def gain_by_rank(self) -> NDArray[np.float64]:
        """Count the relevant keys at rank 1, 2, ... n, as an expected value under ties: f8[p, n]."""
        pairs, n = len(self.set_of_pair), self.keys
        marked = np.zeros(pairs * n, np.bool_)
        marked[self._pair * n + self.sets.member[self._place]] = True
        relevant = marked.take(self.rows.key[self.row] + np.arange(pairs)[:, None] * n)
        if self.rows.run is None:
            return relevant.astype(np.float64)
        # A key in a tie gains its share at each rank that the tie takes.
        base, place = (
            self._pair * (n + 1),
            np.flatnonzero(relevant) + np.repeat((self.row - np.arange(pairs)) * n, self.relevant),
        )
        first, run = (by_rank.ravel().take(place) for by_rank in (self.rows.first, self.rows.run))
        share, size = 1 / run, pairs * (n + 1)
        gained, past = (np.bincount(base + edge, share, size) for edge in (first, first + run))
        return np.cumsum((gained - past).reshape(pairs, n + 1), axis=1)[:, :-1]

    @cached_property
    def pixel_counts(self) -> PixelCounts:
        """The pixels of the enlarged maps that are attended, and those of the sets' shapes among them."""
        return self._enlarged.counts(self.rows.weight, self.row, self.set_of_pair)

    @property
    def shape_pixels(self) -> NDArray[np.int64]:
        """The number of pixels of each set's shapes, i8[p]."""
        return self._enlarged.shape_pixels[self.set_of_pair]

    def box_hits(self) -> NDArray[np.float64]:
        """Compute the probability that the map's box is one of the set's, ties in any order: f8[p]."""
        return self._enlarged.box_hits(self.rows.weight, self.row, self.set_of_pair)

    @property
    def _enlarged(self) -> EnlargedMaps:
        if self.maps is None:
            raise ValueError("the maps are not enlarged")
        return self.maps

    @cached_property
    def _offset(self) -> NDArray[np.int64]:
        return offsets_of(self.relevant)

    @cached_property
    def _pair(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.set_of_pair)), self.relevant)

    @cached_property
    def _entry(self) -> NDArray[np.int64]:
        return np.repeat(self.row * self.keys, self.relevant) + self.sets.member[self._place]

    @cached_property
    def _place(self) -> NDArray[np.int64]:
        """Where the relevant keys of each pair stand in the sets."""
        return ranges(self.sets.offset[self.set_of_pair], self.relevant)
