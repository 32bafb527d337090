"""The figure of a result: its metrics in rows of percent, with floors, ceilings and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.errors import MetricError, NothingToScoreError
from attneval.metrics.floors import FLOORS
from attneval.metrics.registry import find_metric, in_table, metrics
from attneval.report.figures.marks import (
    LOOKS,
    UNKNOWN,
    band,
    beside,
    beside_value,
    explain,
    mark_value,
    percent_axis,
    rows_axis,
    span,
    state_of_gap,
    tick,
)
from attneval.report.figures.style import FAINT, INK, TINY, Drawing, plain, styled, written
from attneval.report.html.names import LETTERS
from attneval.report.score import BEST
from attneval.report.table import interval, number
from attneval.results.summary import ORACLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from attneval.metrics.declaration import Metric
    from attneval.results.result import Result
    from attneval.results.scores import Measured, Scores

ROW, REST = 0.2, 0.85
"""Inches of a row, and of what stands above and below all of them."""
CROWDED = 3.0
"""Letters of floors nearer than so many percent are written as one word."""
KEY = (
    "Band: what is reached without a model. {}. A longer line at the right: what is possible over these regions. "
    "Filled dot: above every floor; ring: not told apart; diamond: below one; small dot: no paired interval. "
    "Bars: 95 % intervals."
)
NAMES = {
    "uniform": "u even attention",
    "center": "c the region at the centre",
    "shuffled": "s the maps on other things",
}
"""What the letters of floors mean."""


def score_figure(result: Result, digits: int = 1, names: Sequence[str] = ()) -> Drawing:
    """Draw the headline of a result; of many channels the best ones.

    Args:
        result: The result.
        digits: After the point, of numbers in percent.
        names: The metrics to show, shares all of them; those that say how right attention is by default.

    Raises:
        MetricError: The result lacks a metric, or it is no share.
        NothingToScoreError: There is nothing to draw.
    """
    with styled():
        many = {key: scores for key, scores in result.channels.items() if not scores.has_sums}
        if many and not result.channel and not names and not result.scores.has_retrieval:
            return plain(_channels(result, many, digits))
        return plain(_metrics(result, _chosen(result, names), digits))


def _chosen(result: Result, names: Sequence[str]) -> list[Metric]:
    if names:
        return [_named(result, name) for name in names]
    shown = [metric for metric in metrics() if metric.name in result.metrics and _stands(metric, result)]
    if not shown:
        raise NothingToScoreError(f"{result.name} has no metric to draw", hint="its notes say why")
    return shown


def _stands(metric: Metric, result: Result) -> bool:
    """Tell whether a metric says, on the axis from 0 to 100 %, how right something is."""
    if result.channels and not result.channel and not all(s.has_sums for s in result.channels.values()):
        # Of many channels nobody means the mean, unless it was asked for.
        return metric.group == "retrieval" and _is_share(metric)
    headline = not metric.headline or metric.headline == result.protocol.average
    return headline and _is_share(metric) and metric.lower == 0 and metric.higher_is_better and not metric.tuned


def _is_share(metric: Metric) -> bool:
    return metric.unit == "share" and metric.upper <= 1 and metric.group != "ceiling"


def _named(result: Result, name: str) -> Metric:
    result[name]  # raises where there is no such metric
    metric = find_metric(name)
    if metric is None or metric.unit != "share" or metric.upper > 1:
        raise MetricError(f"metric {name!r} is no share, and has no place on an axis of percent")
    return metric


def _metrics(result: Result, shown: Sequence[Metric], digits: int) -> Drawing:
    places, y, group = [], 0.0, shown[0].group
    for metric in shown:
        y += 0.5 if metric.group != group else 0.0
        group = metric.group
        places.append(y)
        y += 1
    figure = Drawing.sized(REST + ROW * (y + 0.5))
    axes = figure.add_subplot()
    measured = [result.metrics[metric.name] for metric in shown]
    drawn = {base: table for base, table in result.scores.baselines.items() if base in FLOORS}
    beneath = [table[m.name] for table in drawn.values() for m in shown if m.name in table]
    lowest = min([0.0, *(m.ci[0] if m.ci else m.value or 0.0 for m in [*measured, *beneath])])
    low = span([100 * lowest, 100.0])[0] if lowest < 0 else 0.0
    gaps = False
    for metric, one, place in zip(shown, measured, places, strict=True):
        _floors(axes, metric, result.scores, place)
        if one.value is not None:
            state = state_of_gap(one.above_floor) if not metric.mark or metric.main else UNKNOWN
            mark_value(axes, one.value, place, one.ci, LOOKS[state])
        beside_value(axes, 28, place, number(one.value, digits=digits), interval(one.ci, digits=digits))
        if one.above_floor is not None and (not metric.mark or metric.main):
            gaps = True
            text = number(one.above_floor.difference, digits=digits)
            text = text if text.startswith("-") or float(text) == 0 else f"+{text}"
            beside_value(axes, 113, place, text, interval(one.above_floor.ci, digits=digits))
    percent_axis(axes, "in %", low)
    rows_axis(axes, places, [metric.title for metric in shown])
    head = {"fontsize": TINY + 0.5, "color": FAINT}
    beside(axes, 8, places[0] - 0.85, "value, 95 % interval", **head)
    if gaps:
        beside(axes, 90, places[0] - 0.85, "above its highest floor", **head)
    axes.set_title(written(f"{result.name or 'Result'}{' (PARTIAL)' if result.partial else ''}", 70), pad=9)
    letters = [NAMES[base] for base in drawn if any(metric.name in drawn[base] for metric in shown)]
    key = KEY.format(", ".join(letters)) if letters else "Bars: 95 % intervals."
    explain(figure, key)
    return figure


def _floors(axes: Axes, metric: Metric, scores: Scores, y: float) -> None:
    """The floors of a row with their letters, the band up to the highest, and the ceiling."""
    at = {
        base: 100 * value
        for base in FLOORS
        if (m := scores.baselines.get(base, {}).get(metric.name)) is not None and (value := m.value) is not None
    }
    if at:
        band(axes, max(at.values()), y)
    for value in at.values():
        tick(axes, value, y)
    words: list[list[tuple[float, str]]] = []
    for value, letter in sorted((value, LETTERS[base]) for base, value in at.items()):
        if words and value - words[-1][-1][0] < CROWDED:
            words[-1].append((value, letter))
        else:
            words.append([(value, letter)])
    for word in words:
        middle = sum(value for value, _ in word) / len(word)
        axes.text(
            middle, y - 0.3, "".join(letter for _, letter in word), ha="center", va="bottom", fontsize=TINY, color=FAINT
        )
    oracle = scores.baselines.get(ORACLE, {}).get(metric.name)
    if oracle is not None and oracle.value is not None:
        tick(axes, 100 * oracle.value, y, height=0.8, color=INK, width=1.3)


def _channels(result: Result, many: dict[str, Scores], digits: int) -> Drawing:
    """The best of many channels; what was chosen here is shown here, and the figure says so."""
    metric = next(m for m in in_table("heads") if any(m.name in scores.metrics for scores in many.values()))
    known: dict[str, Measured] = {key: scores.metrics[metric.name] for key, scores in many.items()}
    sign = -1 if metric.higher_is_better else 1
    best = sorted((k for k in known if known[k].value is not None), key=lambda k: sign * (known[k].value or 0.0))[:BEST]
    figure = Drawing.sized(REST + ROW * (len(best) + 1.5))
    axes = figure.add_subplot()
    ends = [0.0]
    for y, key in enumerate(best):
        one = known[key]
        ends += [100 * (one.value or 0.0), *(100 * end for end in one.ci or ())]
        mark_value(axes, one.value or 0.0, y, one.ci, LOOKS[UNKNOWN])
        beside_value(axes, 28, y, number(one.value, digits=digits), "")
    percent_axis(axes, f"{metric.title}, in %", *span(ends))
    axes.axvline(0, color=FAINT, linewidth=0.8)
    rows_axis(axes, range(len(best)), [written(key) for key in best])
    axes.set_title(written(f"The best {len(best)} of {len(many)} channels of {result.name}", 70))
    words = "Chosen on the very images they are shown on: too high for new ones. attneval heads chooses on one half."
    explain(figure, words)
    return figure
