"""Tests of the difference between two systems: paired approximate randomization by image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.config.options import SEED, TRIALS
from attneval.metrics.values import columns_used
from attneval.statistics.swapped_medians import SwappedMedians

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from attneval.metrics.declaration import Metric, Sums
    from attneval.statistics.image_sums import ImageSums

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
    """Compute two-sided p-values of paired approximate randomization, swapping two systems' sums image by image.

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
    names = sorted(
        set().union(*(_columns_used(everything.values(), *each) for each in zip(systems, totals, strict=True)))
    )
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
    directions = dict.fromkeys(metric.median_of for metric in everything.values() if metric.median_of)
    medians = [SwappedMedians(systems, direction, i, j) for direction in directions]
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
        for ranked in medians:
            a[ranked.name], b[ranked.name] = ranked.after(swap)
        for name, metric in everything.items():
            small = np.abs(metric.value(b) - metric.value(a)) < np.array(goal[name])[:, None]
            larger[name] += (~np.broadcast_to(small, (len(wanted), count))).sum(axis=1)
    return {
        (*pair, metric.name): (1 + int(larger[metric.name][row])) / (1 + trials)
        for row, (pair, group) in enumerate(wanted.items())
        for metric in group
    }


def value_of(metric: Metric, sums: Sums) -> float:
    """Compute a metric from sums; NaN where it is undefined or the sums lack what it needs."""
    try:
        return float(metric.value(sums))
    except KeyError:
        return np.nan


def _columns_used(chosen: Iterable[Metric], system: ImageSums, total: Sums) -> set[str]:
    """The columns of a system that some metrics are computed from; medians are no columns."""
    used = set().union(*(columns_used(metric, total) or () for metric in chosen))
    return {name for name in used if name in system.columns}
