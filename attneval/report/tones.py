"""Tones of numbers, for formats that have colours: above floors or below, better or worse, kept or broken.

A tone never decides anything: it follows from intervals and p-values that are printed beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.report.table import BAD, GOOD, UNSURE

if TYPE_CHECKING:
    from attneval.metrics.declaration import Metric
    from attneval.results.comparison import Difference
    from attneval.results.scores import Measured

ABOVE_FLOORS = {
    GOOD: "significantly above its floor",
    UNSURE: "not significantly above its floor",
    BAD: "below its floor",
}
"""What tones say of a value beside what attention scores that knows nothing."""
OF_DIFFERENCES = {GOOD: "significantly better than the base", BAD: "significantly worse than the base"}
"""What tones say of a difference."""
OF_RULES = {GOOD: "kept", BAD: "broken"}
"""What tones say of a rule."""


def beside_floors(metric: Metric, measured: Measured | None) -> str:
    """The tone of a headline metric with floors, or of a lift over even attention; none for other metrics.

    Recall and precision have none: attending to everything has a recall of 1.
    """
    if measured is None or measured.value is None:
        return ""
    if metric.lift_of:
        return _tone(measured.value, measured.ci, higher=metric.higher_is_better)
    gap = measured.above_floor
    return "" if gap is None or not metric.family else _tone(gap.difference, gap.ci, higher=metric.higher_is_better)


def _tone(difference: float, ci: tuple[float, float] | None, *, higher: bool) -> str:
    """The tone of a difference to a floor; without an interval only what is below can be told."""
    sign = 1 if higher else -1
    if ci is None:
        return BAD if sign * difference < 0 else ""
    low, high = ci if higher else (-ci[1], -ci[0])
    return GOOD if low > 0 else BAD if high < 0 else UNSURE


def of_difference(difference: Difference, metric: Metric, alpha: float) -> str:
    """The tone of a difference, which has one where Holm's adjustment leaves it significant."""
    if difference.p_holm is None or difference.p_holm >= alpha or not difference.delta:
        return ""
    return GOOD if (difference.delta > 0) == metric.higher_is_better else BAD


def of_rule(*, passed: bool) -> str:
    """The tone of a rule that was kept or broken."""
    return GOOD if passed else BAD
