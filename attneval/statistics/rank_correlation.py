"""Spearman's rank correlation of two numbers, with images as the unit of resampling and of permutation."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.arrays.records import record
from attneval.config.options import SEED, TRIALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FEW = 2
"""So many times fewer groups than things are added up by group first, and then up to each, which is the slower part."""
RESAMPLED_AT_ONCE = 2**17
"""Numbers of resamples that are held together: what stays in a processor's cache."""
NUMBERS_AT_ONCE = 2**20
"""Numbers of trials that are held together; p depends on it, as strata draw in turn."""
EQUAL = 1e-9
"""The share of the largest possible sum by which sums of products of ranks may differ and still be equal."""


@record
class RankCorrelation:
    """Two numbers of each of n things, several of which may belong to one image.

    Tied numbers have the mean of their ranks.

    Attributes:
        x: f8[n].
        y: f8[n].
        image: i8[n], the row of each one's image.

    Source:
        Spearman, The proof and measurement of association between two things, 1904.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    image: NDArray[np.int64]

    @cached_property
    def _groups(self) -> tuple[_Groups, _Groups]:
        return _Groups.from_values(self.x), _Groups.from_values(self.y)

    def value(self) -> float:
        """Compute the correlation; NaN where all numbers of a kind are the same."""
        images = int(self.image.max(initial=-1)) + 1
        return float(self.resampled(np.ones((1, images)))[0])

    def resampled(self, repeats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the correlation of resampled images: f8[b].

        Args:
            repeats: f8[b, I], how often each image counts, in whole numbers.
        """
        if not len(self.x):
            return np.full(len(repeats), np.nan)
        rows = max(RESAMPLED_AT_ONCE // len(self.x), 1)
        parts = [self._correlations(repeats[first : first + rows]) for first in range(0, len(repeats), rows)]
        return np.concatenate([*parts, np.zeros(0)])

    def _correlations(self, repeats: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = self._groups
        weight = repeats.take(self.image[x.order], axis=1, mode="clip")
        x_ranks, x_spread = x.ranks(weight)
        y_ranks, y_spread = y.ranks(repeats.take(self.image[y.order], axis=1, mode="clip"))
        total = weight.sum(axis=1)
        # Ranks are whole and half numbers, and so small that these sums are exact.
        weight *= y_ranks.take(y.group[x.order], axis=1, mode="clip")
        covered = np.einsum("bn,bn->b", weight, x_ranks.take(x.group[x.order], axis=1, mode="clip")) - total**3 / 4
        scale = np.sqrt(x_spread) * np.sqrt(y_spread)
        return np.asarray(np.divide(covered, scale, out=np.full(len(scale), np.nan), where=scale > 0))

    def p_value(self, *, trials: int = TRIALS, seed: int = SEED) -> float | None:
        """Test whether there is any correlation, two-sided; None where it is undefined.

        Images with equally many things exchange all their `y` at once, in their order: what belongs to one image is
        not independent, and may depend on how many there are.

        Args:
            trials: How many random permutations.
            seed: Of the permutations.

        Returns:
            (1 + permutations with a correlation at least as far from 0) / (1 + trials).

        Source:
            Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005; Phipson and Smyth, Permutation
            p-values should never be zero, 2010.
        """
        if not np.isfinite(self.value()):
            return None
        one, middle = np.ones((1, len(self.x))), len(self.x) / 2
        x, y = (groups.ranks(one)[0][0, groups.group] - middle for groups in self._groups)
        strata = [_Exchanged.from_ranks(x[rows], y[rows]) for rows in self._strata()]
        limit = abs(float(x @ y)) - EQUAL * float(np.abs(x) @ np.abs(y))
        random, larger = np.random.default_rng(seed), 0
        at_once = max(NUMBERS_AT_ONCE // len(x), 1)
        for first in range(0, trials, at_once):
            count = min(at_once, trials - first)
            sums = np.sum([stratum.sums(random, count) for stratum in strata], axis=0)
            larger += int((np.abs(sums) >= limit).sum())
        return (1 + larger) / (1 + trials)

    def _strata(self) -> Iterator[NDArray[np.int64]]:
        """Yield the things of all images with equally many: i8[images, things of each]."""
        order = np.argsort(self.image, kind="stable")
        _, first, count = np.unique(self.image[order], return_index=True, return_counts=True)
        for number in distinct_values(count).tolist():
            yield order[first[count == number][:, None] + np.arange(number)]


@record
class _Exchanged:
    """The ranks f8[k, m] of k images with m things each, whose `y` are exchanged between images.

    Attributes:
        x: Of one number.
        y: Of the other.
        products: f8[k, k], sums of products of each image's `x` with each image's `y`; None where that takes too much
            memory. With them a permutation is k look-ups in place of k * m products.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    products: NDArray[np.float64] | None

    @classmethod
    def from_ranks(cls, x: NDArray[np.float64], y: NDArray[np.float64]) -> _Exchanged:
        return cls(x, y, x @ y.T if len(x) ** 2 <= 2 * NUMBERS_AT_ONCE else None)

    def sums(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Exchange at random so many times, and sum the products: f8[count]."""
        images = np.arange(len(self.y))
        order = random.permuted(np.tile(images, (count, 1)), axis=1)
        if self.products is not None:
            order += images * len(images)
            return np.asarray(self.products.take(order, mode="clip").sum(axis=1))
        return np.asarray(np.einsum("ik,bik->b", self.x, self.y[order]))


@record
class _Groups:
    """Equal numbers, in ascending order of the numbers.

    Attributes:
        group: i8[n], the group of each thing.
        order: i8[n], the things group by group.
        last: i8[g], the last of each group in that order.
    """

    group: NDArray[np.int64]
    order: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def from_values(cls, values: NDArray[np.float64]) -> _Groups:
        group = np.unique(values, return_inverse=True)[1].ravel()
        order = np.argsort(group, kind="stable")
        return cls(group, order, np.flatnonzero(np.diff(group[order], append=-1)))

    def ranks(self, weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute the mean rank of each group, less one half, and the spread of the ranks of all things.

        Args:
            weight: f8[b, n], how often each thing counts, in the order of the groups.

        Returns:
            f8[b, g]; and f8[b], the sum of squared differences to the mean rank, exactly 0 where nothing varies: all n
            numbers of a group have its mean rank, so that it takes as many cubes from n cubed as it has numbers.
        """
        up_to = np.zeros((len(weight), len(self.last) + 1))
        if len(self.last) * FEW < weight.shape[1]:
            first = np.append(0, self.last[:-1] + 1)
            np.cumsum(np.add.reduceat(weight, first, axis=1), axis=1, out=up_to[:, 1:])
        else:
            np.cumsum(weight, axis=1).take(self.last, axis=1, mode="clip", out=up_to[:, 1:])
        members, ranks = np.diff(up_to, axis=1), (up_to[:, 1:] + up_to[:, :-1]) / 2
        return ranks, (up_to[:, -1] ** 3 - np.einsum("bg,bg,bg->b", members, members, members)) / 12
