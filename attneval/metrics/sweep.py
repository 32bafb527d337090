"""Precision, recall and F1 over all thresholds of a rule, in one pass over the ranked weights.

A row's F1 only changes where the attended set grows by a key. Each key of the ranking therefore adds one step to the
curve, at the last threshold under which the key is attended; summing steps per threshold and adding them up from the
strictest threshold down gives the whole curve at the cost of one histogram, however many thresholds there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.metrics.fast_counting import counted_below
from attneval.metrics.set_scores import SET_SCORES, set_f1, set_precision, set_recall

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.config.thresholds import Threshold
    from attneval.metrics.hits import Hits

CURVES = SET_SCORES
"""The metrics that have a curve."""


def grid(rule: Threshold) -> NDArray[np.float64]:
    """The parameters f8[k] that a rule is swept over, ascending, its own among them."""
    return distinct_values(np.append(rule.sweep(), rule.value))


def sweep(items: Hits, rule: Threshold, group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Sum precision, recall and F1 over items, for every threshold of the grid.

    Args:
        items: p items, each paired with the row at the same place.
        rule: The threshold rule.
        group: i8[p], the group each item is summed into; -1 leaves it out.
        groups: How many groups there are.

    Returns:
        f8[3, groups, k], in the order of `CURVES` and of the k parameters of `grid`.
    """
    cutoffs = rule.cutoffs(items.keys, grid(rule))
    strictest_last = np.argsort(cutoffs)
    counts = (group >= 0) & (items.relevant > 0)
    # How many thresholds each key survives; 0 adds nothing to the curve.
    survived = counted_below(items.rows.level, cutoffs[strictest_last])
    survived[~counts] = 0
    survived += (np.maximum(group, 0) * (len(cutoffs) + 1))[:, None]
    key = survived.ravel()
    attended, relevant = np.arange(1.0, items.keys + 1), items.relevant[:, None]
    gain = items.gain_by_rank()
    hits = np.cumsum(gain, axis=1)
    relevant_key = np.flatnonzero(gain != 0)  # of truth values, which is several times as fast
    gained = set_recall(gain.ravel()[relevant_key], items.relevant[relevant_key // max(items.keys, 1)])
    steps = (
        (key, _steps(set_precision(hits, attended))),
        (key[relevant_key], gained),  # a sum of gains divided is the sum of gains divided
        (key, _steps(set_f1(hits, attended, relevant))),
    )
    sums = np.empty((len(CURVES), groups, len(cutoffs)))
    for curve, (place, values) in enumerate(steps):
        summed = np.bincount(place, values.ravel(), groups * (len(cutoffs) + 1)).reshape(groups, -1)
        from_strictest = np.cumsum(summed[:, :0:-1], axis=1)[:, ::-1]
        sums[curve][:, strictest_last] = from_strictest
    return sums


def _steps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From one key to the next; `values` is used up."""
    values[:, 1:] -= values[:, :-1].copy()
    return values
