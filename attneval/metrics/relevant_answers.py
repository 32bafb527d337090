"""Queries with several relevant answers, ranked: hits, R-Precision and mAP@R, over all orders of tied answers.

The relevant answers of a query that score the same are a *tie group*: n answers share the places behind those ahead of
them, and g of the n are relevant. Everything is a sum over tie groups, since the places of a group do not depend on the
order within others.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.metrics.answer_places import BEYOND, Places
from attneval.metrics.ranks import Ranks, fold_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray


@record
class TieGroups:
    """Groups of answers that share places.

    Attributes:
        query: i8[t], the query of each group.
        ahead: i8[t], answers before the group.
        tied: i8[t], n, its answers.
        relevant: i8[t], g, the relevant ones among them.
        seen: i8[t], relevant answers to the query before the group.
        ties: `expected`, `worst` or `best`.
    """

    query: NDArray[np.int64]
    ahead: NDArray[np.int64]
    tied: NDArray[np.int64]
    relevant: NDArray[np.int64]
    seen: NDArray[np.int64]
    ties: str

    def hits_within(self, depth: NDArray[np.int64]) -> NDArray[np.float64]:
        """Count the relevant answers of each group among the first `depth` i8[t], by their expectation: f8[t]."""
        places = depth - self.ahead
        if self.ties == "expected":
            return np.asarray(self.relevant * np.clip(places, 0, self.tied) / self.tied, np.float64)
        before = self.tied - self.relevant if self.ties == "worst" else np.zeros_like(self.tied)
        return np.clip(places - before, 0, self.relevant).astype(np.float64)

    def precision_within(self, depth: NDArray[np.int64]) -> NDArray[np.float64]:
        """Sum the precision at each relevant answer among the first `depth` i8[t], by its expectation: f8[t].

        The answer at the j-th of the group's n places is relevant in a share g / n of all orders, and then has an
        expected (j - 1)(g - 1) / (n - 1) relevant ones of the group before it.
        """
        before = self.tied - self.relevant if self.ties == "worst" else np.zeros_like(self.tied)
        places = np.minimum(self.tied if self.ties == "expected" else self.relevant, depth - self.ahead - before)
        total = np.zeros(len(self.query))
        order = np.argsort(-places, kind="stable")
        reached = np.searchsorted(-places[order], -np.arange(1, int(places.max(initial=0)) + 1), side="right")
        for place, count in enumerate(reached.tolist(), 1):
            some = order[:count]
            tied, relevant, rank = self.tied[some], self.relevant[some], self.ahead[some] + before[some] + place
            if self.ties == "expected":
                above = (place - 1) * (relevant - 1) / np.maximum(tied - 1, 1)
                total[some] += relevant / tied * ((self.seen[some] + 1 + above) / rank)
            else:
                total[some] += (self.seen[some] + place) / rank
        return total


@record
class RankedAnswers:
    """The relevant answers of q queries, ranked among all answers of each query's fold.

    Attributes:
        image: i8[q], the image that the query belongs to, for resampling.
        fold: i8[q], the fold whose answers the query was ranked among.
        listed: i8[q], R, how many answers are listed as relevant, also of those that are not in the fold.
        gallery: i8[q], N, how many answers there are in the fold.
        query: i8[p], the query of each relevant answer that is in its fold.
        places: The places of these answers.
        ties: `expected`, `worst` or `best`.
    """

    image: NDArray[np.int64]
    fold: NDArray[np.int64]
    listed: NDArray[np.int64]
    gallery: NDArray[np.int64]
    query: NDArray[np.int64]
    places: Places
    ties: str

    def weight(self) -> NDArray[np.float64]:
        """Weigh queries so that all folds count the same, with a mean of 1: f8[q]."""
        return fold_weight(self.fold)

    def hit(self, k: int) -> NDArray[np.float64]:
        """Tell for which queries a relevant answer is among the first k, as a probability under `expected`: f8[q]."""
        return self.best.hit(k)

    def r_precision(self) -> NDArray[np.float64]:
        """Compute the share of the first R answers' worth of relevant ones that is there, hits / R: f8[q]."""
        return self._by_query(self._groups, self._groups.hits_within(self.listed[self._groups.query])) / self.listed

    def map_at_r(self) -> NDArray[np.float64]:
        """Compute (1 / R) times the sum of the precision at each relevant answer among the first R: f8[q]."""
        groups = self._groups
        return self._by_query(groups, groups.precision_within(self.listed[groups.query])) / self.listed

    def reachable(self) -> NDArray[np.float64]:
        """Tell which queries have a relevant answer in their fold, as 0 or 1: f8[q]."""
        return (self.in_gallery > 0).astype(np.float64)

    def share_in_gallery(self) -> NDArray[np.float64]:
        """Compute the share of the listed answers that is there: f8[q], the best R-Precision and mAP@R."""
        return np.asarray(self.in_gallery / self.listed, np.float64)

    @cached_property
    def in_gallery(self) -> NDArray[np.int64]:
        """i8[q], the listed answers that are in the query's fold."""
        return np.bincount(self.query, minlength=len(self.listed)).astype(np.int64)

    @cached_property
    def by_chance(self) -> RankedAnswers:
        """The same queries under an order that knows nothing: all answers tied, by their expectation."""
        places = Places(np.zeros_like(self.query), self.gallery[self.query])
        return RankedAnswers(self.image, self.fold, self.listed, self.gallery, self.query, places, "expected")

    @cached_property
    def _groups(self) -> TieGroups:
        """The tie groups, by query and then by place, without those that are beyond all ranks that count."""
        kept = np.flatnonzero(self.places.ahead < BEYOND)
        order = kept[np.lexsort((self.places.ahead[kept], self.query[kept]))]
        query, ahead = self.query[order], self.places.ahead[order]
        new = np.ones(len(order), np.bool_)
        new[1:] = (np.diff(query) != 0) | (np.diff(ahead) != 0)
        start = np.flatnonzero(new)
        size = np.diff(np.append(start, len(order)))
        first_of_query = np.searchsorted(query, query[start])
        return TieGroups(
            query[start], ahead[start], self.places.tied[order][start], size, start - first_of_query, self.ties
        )

    @cached_property
    def best(self) -> Ranks:
        """The ranks of the best relevant answers of each query; of a query without any behind everything."""
        groups = self._groups
        first = np.flatnonzero(groups.seen == 0)
        count = len(self.listed)
        ahead, others, relevant = (np.full(count, value, np.int64) for value in (BEYOND, 0, 1))
        rows = groups.query[first]
        ahead[rows], relevant[rows] = groups.ahead[first], groups.relevant[first]
        others[rows] = groups.tied[first] - groups.relevant[first]
        return Ranks(self.image, ahead, others, relevant, self.fold, self.ties)

    def _by_query(self, groups: TieGroups, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(groups.query, values, len(self.listed)), np.float64)
