"""Precision, recall and F1 over all thresholds of a rule, in one pass over the ranked weights.

A row's F1 only changes where the attended set grows by a key. Each key of the ranking therefore adds one step to the
curve, at the last threshold under which the key is attended; summing steps per threshold and adding them up from the
strictest threshold down gives the whole curve at the cost of one histogram, however many thresholds there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.rows import cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.metrics.judged import Judged
    from attneval.protocol import Threshold

POINTS = 101
CURVES = ("precision", "recall", "f1")


def grid(rule: Threshold) -> NDArray[np.float64]:
    """The parameters a rule is swept over, ascending, its own among them.

    `uniform`: a hundredth to a hundred times 1/n, in equal ratios; `abs`: 0 to 1, closer together near 0; `max` and
    `mass`: 0 to 1 in hundredths, `mass` without 0; `top`: 1 to 101.
    """
    step = np.arange(POINTS)
    values = {
        "uniform": 10.0 ** (step / 25 - 2),
        "abs": (step / 100) ** 2,
        "max": step / 100,
        "top": step + 1.0,
        "mass": step[1:] / 100,
    }[rule.rule]
    return np.unique(np.append(values, rule.value))


def sweep(items: Judged, rule: Threshold, group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Sum precision, recall and F1 over items, for every threshold of the grid.

    Args:
        items: p items, each a row of its own.
        rule: The threshold rule.
        group: i8[p], the group each item is summed into; -1 leaves it out.
        groups: How many groups there are.

    Returns:
        f8[3, groups, len(grid)], in the order of `CURVES`.
    """
    cuts = np.array([cut(rule, items.keys, value) for value in grid(rule).tolist()])
    strictest_last = np.argsort(cuts)
    used = np.flatnonzero((group >= 0) & (items.relevant > 0))
    # How many thresholds each key survives; 0 adds nothing to the curve.
    survived = np.searchsorted(cuts[strictest_last], items.rows.level[items.row[used]], side="left")
    attended = np.arange(1, items.keys + 1)
    relevant = items.relevant[used][:, None]
    hits = items.hits_by_rank()[used]
    key = (survived + (group[used] * (len(cuts) + 1))[:, None]).ravel()
    sums = np.empty((len(CURVES), groups, len(cuts)))
    for curve, values in enumerate((hits / attended, hits / relevant, 2 * hits / (attended + relevant))):
        values[:, 1:] -= values[:, :-1].copy()
        steps = np.bincount(key, values.ravel(), groups * (len(cuts) + 1)).reshape(groups, -1)
        from_strictest = np.cumsum(steps[:, :0:-1], axis=1)[:, ::-1]
        sums[curve][:, strictest_last] = from_strictest
    return sums
