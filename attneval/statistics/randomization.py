"""Whether two systems differ: paired approximate randomization by image, and Holm's adjustment."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.config.options import SEED
from attneval.statistics.bootstrap import RankTable, counts_up_to, medians_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.metrics.registry import Metric, Sums
    from attneval.statistics.bootstrap import ImageSums

TRIALS = 10_000
TRIALS_AT_ONCE = 250
EQUAL = 1e-12
"""Differences that are closer than this are equal, whatever order they were summed in."""


def swap_p_values(
    systems: Sequence[ImageSums],
    wanted: Mapping[tuple[int, int], Sequence[Metric]],
    *,
    trials: int = TRIALS,
    seed: int = SEED,
) -> dict[tuple[int, int, str], float]:
    """Two-sided p-values of paired approximate randomization, swapping two systems' sums image by image.

    Args:
        systems: The systems' sums, on the same images.
        wanted: By pair of systems, the metrics to compare, which both have.
        trials: How many random swaps.
        seed: Of the swaps; all pairs and metrics use the same ones.

    Returns:
        (1 + trials with a difference at least as large) / (1 + trials), by pair and metric. Trials in which a metric
        is undefined count as large.

    Source:
        Noreen, Computer-Intensive Methods for Testing Hypotheses, 1989; Phipson and Smyth, Permutation p-values should
        never be zero, 2010.
    """
    everything = {metric.name: metric for group in wanted.values() for metric in group}
    if not everything:
        return {}
    totals = [system.total() for system in systems]
    names = sorted(set().union(*(_needs(m, sums) for m in everything.values() for sums in totals)))
    images = len(systems[0].image_id)
    tables = np.zeros((len(systems), len(names), images))
    for table, system in zip(tables, systems, strict=True):
        for row, name in enumerate(names):
            table[row] = system.columns.get(name, 0)
    base = tables.sum(axis=2)
    # Swapping what is the same in all systems, counts of items above all, changes nothing.
    varies = (tables != tables[:1]).any(axis=(0, 2))
    kept = tables[:, varies].reshape(-1, images)
    i, j = np.array(list(wanted)).T
    medians = [_SwappedMedians(systems, d, i, j) for d in ("i2t", "t2i") if f"{d}_medr" in everything]
    goal = {
        name: [abs(value_of(m, totals[b]) - value_of(m, totals[a])) - EQUAL for a, b in wanted]
        for name, m in everything.items()
    }
    larger = {name: np.zeros(len(wanted), np.int64) for name in everything}
    random = np.random.default_rng(seed)
    for first in range(0, trials, TRIALS_AT_ONCE):
        count = min(TRIALS_AT_ONCE, trials - first)
        bits = np.frombuffer(random.bytes(count * -(-images // 8)), np.uint8).reshape(count, -1)
        swap = np.unpackbits(bits, axis=1)[:, :images].astype(np.float64)
        moved = (kept @ swap.T).reshape(len(systems), -1, count)
        a = {name: base[i, column, None] for column, name in enumerate(names)}
        b = {name: base[j, column, None] for column, name in enumerate(names)}
        for row, column in enumerate(np.flatnonzero(varies).tolist()):
            change = moved[j, row] - moved[i, row]
            a[names[column]] = a[names[column]] + change
            b[names[column]] = b[names[column]] - change
        for own in medians:
            a[own.name], b[own.name] = own.after(swap)
        for name, metric in everything.items():
            small = np.abs(metric.value(b) - metric.value(a)) < np.array(goal[name])[:, None]
            larger[name] += (~np.broadcast_to(small, (len(wanted), count))).sum(axis=1)
    return {
        (*pair, metric.name): (1 + int(larger[metric.name][row])) / (1 + trials)
        for row, (pair, group) in enumerate(wanted.items())
        for metric in group
    }


def value_of(metric: Metric, sums: Sums) -> float:
    """The metric of some sums; NaN where it is undefined or the sums lack what it needs."""
    try:
        return float(metric.value(sums))
    except KeyError:
        return np.nan


class _SwappedMedians:
    """Median ranks of pairs of systems whose queries are swapped image by image.

    Args:
        systems: The systems' sums, on the same images; some may have no ranks.
        direction: `i2t` or `t2i`.
        i: i8[p], the first system of each pair.
        j: i8[p], the second.
    """

    def __init__(
        self, systems: Sequence[ImageSums], direction: str, i: NDArray[np.int64], j: NDArray[np.int64]
    ) -> None:
        self.name = f"{direction}_medr"
        self._pairs = i, j
        tables = [system.ranks.get(direction, _NO_RANKS) for system in systems]
        images = len(systems[0].image_id)
        self._folds = []
        for fold in np.unique(np.concatenate([table.fold for table in tables])).tolist():
            rows = [np.flatnonzero(table.fold == fold) for table in tables]
            values = np.unique(np.concatenate([table.rank[own] for table, own in zip(tables, rows, strict=True)]))
            counts = [
                counts_up_to(np.searchsorted(values, table.rank[own]), table.image[own], (images, len(values)))
                for table, own in zip(tables, rows, strict=True)
            ]
            self._folds.append((values, np.stack(counts)))  # systems x images x values

    def after(self, swap: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The medians f8[p, t] of both systems after t swaps f8[t, I]."""
        swapped = swap.astype(np.float32)
        i, j = self._pairs
        both = []
        for own, other in ((i, j), (j, i)):
            folds = [
                medians_of(values, partial(_up_to_after, counts, swapped, own, other)) for values, counts in self._folds
            ]
            both.append(np.asarray(np.mean(folds, axis=0)))
        return both[0], both[1]


def _up_to_after(
    counts: NDArray[np.float32],
    swap: NDArray[np.float32],
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float32]:
    """How many queries rank up to some values once systems have others' queries in some images: f4[p, t, k]."""
    chosen = counts[:, :, columns]
    moved = swap @ chosen
    return np.asarray(chosen.sum(axis=1)[own][:, None] - moved[own] + moved[other])


_NO_RANKS = RankTable(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))


class _Asked(dict[str, "NDArray[np.float64]"]):
    """Sums that remember which columns a metric looked at."""

    def __init__(self, sums: Sums) -> None:
        super().__init__(sums)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        self.names.add(name)
        return super().__getitem__(name)


def _needs(metric: Metric, sums: Sums) -> set[str]:
    """The columns that a metric is computed from, if the sums have them."""
    asked = _Asked(sums)
    try:
        metric.value(asked)
    except KeyError:
        return set()
    return {name for name in asked.names if not name.endswith("_medr")}


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p-values.

    Source:
        Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, row in enumerate(order):
        largest = max(largest, min((len(p_values) - place) * p_values[row], 1.0))
        adjusted[row] = largest
    return adjusted
