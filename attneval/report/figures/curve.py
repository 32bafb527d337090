"""The figure of curves: over the threshold, and precision over recall."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attneval.config.thresholds import RULES
from attneval.errors import NothingToScoreError
from attneval.metrics.floors import FLOORS, UNIFORM
from attneval.report.curve import curves_of, drawn_metrics
from attneval.report.figures.crosses import mark_crosses
from attneval.report.figures.marks import explain
from attneval.report.figures.score import NAMES
from attneval.report.figures.style import (
    BLUE,
    COLORS,
    DASHES,
    FAINT,
    GRID,
    HALO,
    INK,
    MARKERS,
    TINY,
    Drawing,
    legend_columns,
    legend_height,
    plain,
    styled,
    written,
)
from attneval.report.html.names import LETTERS
from attneval.report.table import number, typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from attneval.results.result import Result
    from attneval.results.scores import Curve

HEIGHT = 2.7
NAME = 46
"""Characters of a line of a name."""
AXIS = 58
"""Characters of a line beneath an axis."""
ROOT_TICKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)
"""Places on an axis that begins at 0 and is swept by squares, in shares of its end."""
APART = 12
"""Percent within which the names of two curves would meet."""
BOTTOM, TOP = 8, 90
"""Percent below and above which there is no room for a name."""


class Look(NamedTuple):
    """The look of a curve.

    Attributes:
        color: Its colour.
        dash: How its line is broken.
        marker: The mark on it.
    """

    color: str
    dash: Any
    marker: str = "o"

    @property
    def line(self) -> dict[str, Any]:
        """The line, for matplotlib."""
        return {"color": self.color, "linestyle": self.dash}


PRECISION, RECALL, F1 = "P", "R", "F"
"""The marks of metrics in the registry."""
LOOKS = {PRECISION: Look(FAINT, DASHES[1]), RECALL: Look(FAINT, DASHES[2]), F1: Look(BLUE, DASHES[0])}
"""The colours and dashes of the curves of one result, by the mark of the metric."""


def curve_figure(results: Sequence[Result], digits: int = 1) -> Drawing:
    """Draw precision, recall and F1 of one result over the threshold, or F1 of several, and precision over recall.

    Args:
        results: Results under one protocol.
        digits: After the point, of numbers in percent.

    Raises:
        NothingToScoreError: A result has no curve, or there are more than can be told apart.
    """
    curves = curves_of(list(results))
    most = len(COLORS) * len(DASHES)
    if len(curves) > most:
        raise NothingToScoreError(
            f"{len(curves)} curves are more than the {most} that can be told apart in a figure",
            hint="name fewer results",
        )
    names = [written(name, NAME) for name in curves]
    with styled():
        figure = Drawing.sized(HEIGHT + (legend_height(names) if len(names) > 1 else 0.0))
        left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.35, 1)})
        _threshold_axis(left, next(iter(curves.values())), results[0])
        if len(curves) == 1:
            (curve,) = curves.values()
            _one(left, curve, results[0])
            _ratios(right, curve, results[0], LOOKS[F1])
            _floors(right, results[0], digits)
            left.set_title(written(results[0].name, NAME))
            left.set_ylabel("in %", labelpad=2)
        else:
            handles = []
            for place, (curve, result) in enumerate(zip(curves.values(), results, strict=True)):
                look = Look(COLORS[place % len(COLORS)], DASHES[place // len(COLORS)], MARKERS[place % len(MARKERS)])
                (line,) = left.plot(curve.parameter, _percent(curve.f1), marker=look.marker, markevery=[], **look.line)
                handles.append(line)
                _at_protocol(left, curve, result, _name(F1), look)
                _ratios(right, curve, result, look)
            for line in handles:
                line.set_markersize(4)
            figure.legend(handles, names, loc="outside upper left", ncols=legend_columns(names), handlelength=2.6)
            left.set_ylabel("F1, in %", labelpad=2)
        _even(left, results, digits)
        explain(figure, _key(results))
    return plain(figure)


def _threshold_axis(axes: Axes, curve: Curve, result: Result) -> None:
    rule, low, high = RULES[curve.rule], curve.parameter[0], curve.parameter[-1]
    form, meaning = rule.attended[-1]
    if rule.scale and low > 0:
        axes.set_xscale("log")
        axes.minorticks_off()
        powers = [10.0**power for power in range(-12, 13) if low * 0.999 <= 10.0**power <= high * 1.001]
        axes.set_xticks(powers, [f"{power:g}" for power in powers])
    elif rule.scale:
        axes.set_xscale("function", functions=(np.sqrt, np.square))
        axes.set_xticks([share * high for share in ROOT_TICKS], [f"{share * high:g}" for share in ROOT_TICKS])
    if high > low:
        axes.set_xlim(low, high)
    axes.set_xlabel(textwrap.fill(f"{form.partition(':')[2] or 'threshold'} of {form} ({meaning})", AXIS))
    _percent_up(axes)
    axes.axvline(result.protocol.rule.value, color=INK, linewidth=0.7, zorder=1)


def _percent_up(axes: Axes) -> None:
    axes.set_ylim(0, 100)
    axes.set_yticks(range(0, 101, 25))
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.5)


def _one(axes: Axes, curve: Curve, result: Result) -> None:
    """The three curves of a result, each with its name where it is farthest from the others."""
    series = {metric.mark: (metric, _percent(getattr(curve, metric.name))) for metric in drawn_metrics()}
    count = len(curve.parameter)
    inner = range(count // 6, max(count * 5 // 6, count // 6 + 1))
    floor = result.scores.baselines.get(UNIFORM, {}).get(_name(F1))
    even = [] if floor is None or floor.value is None else [[100 * floor.value] * count]
    busy = [curve.parameter.index(result.protocol.rule.value), curve.best]
    free = [k for k in inner if all(abs(k - place) > count // 8 for place in busy)] or list(inner)
    named: list[tuple[int, float]] = []
    for mark, (metric, values) in series.items():
        look = LOOKS.get(mark, Look(INK, DASHES[3]))
        axes.plot(curve.parameter, values, linewidth=1.8 if metric.main else 1.2, **look.line)
        _at_protocol(axes, curve, result, metric.name, look)
        others = [*(other for name, (_, other) in series.items() if name != mark), *even]
        clear = [
            k for k in free if all(abs(k - j) > count // 8 or abs(values[k] - y) > APART for j, y in named)
        ] or free
        room = {k: _room(values, others, k) for k in clear}
        at = max(room, key=lambda k: (room[k], -k))
        named.append((at, values[at]))
        above = all(values[at] >= other[at] for other in others) and values[at] < TOP
        axes.annotate(
            metric.label,
            (curve.parameter[at], values[at]),
            (0, 3 if above else -3),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            color=look.color,
            bbox=HALO,
        )
    best = curve.best
    axes.plot(
        [curve.parameter[best]], [100 * curve.f1[best]], marker="o", color=BLUE, markerfacecolor="white", markersize=5
    )


def _room(values: list[float], others: list[list[float]], at: int) -> float:
    """How far a point of a curve is from the other curves nearby; less where its own is steep, and at the bottom."""
    near = slice(max(at - 4, 0), at + 5)
    room = min(abs(values[at] - y) for other in others for y in other[near])
    return room - (max(values[near]) - min(values[near])) / 3 if values[at] > BOTTOM else -100


def _at_protocol(axes: Axes, curve: Curve, result: Result, name: str, look: Look) -> None:
    """The value at the protocol's threshold with its interval."""
    at = result.protocol.rule.value
    value = 100 * getattr(curve, name)[curve.parameter.index(at)]
    measured = result.metrics.get(name)
    if measured is not None and measured.ci is not None:
        _bar(axes, [at, at], [100 * end for end in measured.ci], look)
    axes.plot([at], [value], marker=look.marker, color=look.color, markersize=4, zorder=4, clip_on=False)


def _bar(axes: Axes, x: Sequence[float], y: Sequence[float], look: Look) -> None:
    """An interval across a curve."""
    axes.plot(x, y, color=look.color, linewidth=2.2, solid_capstyle="butt", zorder=3)


def _ratios(axes: Axes, curve: Curve, result: Result, look: Look) -> None:
    """Precision over recall, with both intervals at the protocol's threshold."""
    recall, precision = _percent(curve.recall), _percent(curve.precision)
    kept = [place for place, value in enumerate(recall) if value > 0]
    axes.plot([recall[k] for k in kept], [precision[k] for k in kept], **look.line)
    at = curve.parameter.index(result.protocol.rule.value)
    across, up = (result.metrics.get(_name(mark)) for mark in (RECALL, PRECISION))
    if across is not None and across.ci is not None:
        _bar(axes, [100 * end for end in across.ci], [precision[at]] * 2, look)
    if up is not None and up.ci is not None:
        _bar(axes, [recall[at]] * 2, [100 * end for end in up.ci], look)
    mark: dict[str, Any] = {"marker": look.marker, "color": look.color, "markersize": 4}
    axes.plot([recall[at]], [precision[at]], zorder=4, clip_on=False, **mark)
    _percent_up(axes)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("recall, in %")
    axes.set_ylabel("precision, in %", labelpad=2)


def _floors(axes: Axes, result: Result, digits: int) -> None:
    """What needs no model, as crosses with their letters."""
    crosses = []
    for base in FLOORS:
        table = result.scores.baselines.get(base, {})
        names = [_name(mark) for mark in (RECALL, PRECISION, F1)]
        three = [table[name].value for name in names if name in table]
        if len(three) == len(names) and None not in three:
            x, y, f1 = (value or 0.0 for value in three)
            crosses.append((100 * x, 100 * y, f"{LETTERS[base]}, F1 {number(f1, digits=digits)}"))
    mark_crosses(axes, crosses)


def _even(axes: Axes, results: Sequence[Result], digits: int) -> None:
    """F1 of even attention, which under every threshold attends to everything."""
    values = [result.scores.baselines.get(UNIFORM, {}).get(_name(F1)) for result in results]
    known = sorted({round(m.value, 12) for m in values if m is not None and m.value is not None})
    for value in known:
        axes.axhline(100 * value, color=INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    if known:
        numbers = " to ".join(number(value, digits=digits) for value in dict.fromkeys((known[0], known[-1])))
        axes.annotate(
            typeset(f"even attention {numbers}"),
            (1, 100 * known[-1]),
            (-1, 2.5),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=TINY + 0.5,
            bbox=HALO,
        )


def _key(results: Sequence[Result]) -> str:
    known = any(m is not None and m.ci is not None for result in results for m in [result.metrics.get(_name(F1))])
    sure = ", with 95 % intervals" if known else ""
    parts = [f"Line and filled marks: the protocol's threshold, {results[0].protocol.threshold}{sure}."]
    if len(results) == 1:
        letters = [NAMES[base] for base in FLOORS if base in results[0].scores.baselines]
        parts.append("Ring: the best F1, tuned on these data.")
        parts += [f"Crosses: {', '.join(letters)}."] if letters else []
    return " ".join(parts)


def _name(mark: str) -> str:
    """The metric that has a mark."""
    return next(metric.name for metric in drawn_metrics() if metric.mark == mark)


def _percent(values: Sequence[float]) -> list[float]:
    return [100 * value for value in values]
