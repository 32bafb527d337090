"""The figure of a comparison: values with their intervals, and changes against the base."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.errors import NothingToScoreError, amount
from attneval.metrics.registry import metric_named
from attneval.report.compare import letter
from attneval.report.figures.marks import (
    ABOVE,
    AT,
    BELOW,
    UNKNOWN,
    explain,
    mark_value,
    percent_axis,
    rows_axis,
    span,
)
from attneval.report.figures.style import (
    COLORS,
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
from attneval.report.table import UNDEFINED, interval, number, typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from attneval.results.comparison import Comparison, Line

STEP, GAP, REST = 0.13, 0.12, 0.75
"""Inches between systems of a metric, between metrics, and above and below all."""
NAME = 50
"""Characters of a line of a name."""
SHAPES = {ABOVE: "o", AT: "o", BELOW: "D", UNKNOWN: "."}


def compare_figure(comparison: Comparison, digits: int = 1, names: Sequence[str] = ()) -> Drawing:
    """Draw the values of all systems, and the changes of each candidate against the base.

    Args:
        comparison: The comparison.
        digits: After the point, of numbers that stand in words, since they are no shares.
        names: The metrics to show; all of the comparison by default.

    Raises:
        MetricError: The comparison lacks a metric.
        NothingToScoreError: There are more systems than can be told apart.
    """
    systems, most = len(comparison.names), len(MARKERS) * len(COLORS)
    if systems > most:
        raise NothingToScoreError(
            f"{systems} systems are more than the {most} that can be told apart in a figure",
            hint="compare fewer, or write a table",
        )
    lines = _chosen(comparison, names)
    labels = [written(f"{letter(place)}  {name}", NAME) for place, name in enumerate(comparison.names)]
    with styled():
        block = STEP * systems + GAP
        figure = Drawing.sized(REST + legend_height(labels) + block * len(lines))
        left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (1.15, 1)})
        handles = [left.plot([], [], linestyle="none", markersize=4.5, **_look(system))[0] for system in range(systems)]
        figure.legend(handles, labels, loc="outside upper left", ncols=legend_columns(labels), handletextpad=0.3)
        places = [block * row for row in range(len(lines))]
        offsets = [STEP * (system - (systems - 1) / 2) for system in range(systems)]
        shared = [line for line in lines if _is_share(line)]
        for line, place in zip(lines, places, strict=True):
            for system, offset in enumerate(offsets):
                _value(left, line, system, place + offset, digits)
                if system:
                    state = _state(line, system, comparison.alpha)
                    _change(right, line, (system, state), place + offset, digits)
        percent_axis(left, "in %", *span([0, 100, *(100 * end for line in shared for end in _ends(line))]))
        changes = [100 * end for line in shared for d in line.differences if d for end in (d.delta, *(d.ci or ()))]
        percent_axis(right, f"change against {letter(0)}, in points", *span(changes, around=0))
        right.axvline(0, color=INK, linewidth=0.7, zorder=1)
        rows_axis(left, places, [metric_named(line.metric).title for line in lines], pad=block / 2)
        right.tick_params(axis="y", length=0)
        right.spines["left"].set_visible(False)
        for axes in (left, right):
            for place in places[:-1]:
                axes.axhline(place + block / 2, color=GRID, linewidth=0.4)
        explain(figure, _key(comparison))
    return plain(figure)


def _chosen(comparison: Comparison, names: Sequence[str]) -> list[Line]:
    return [comparison[name] for name in names] if names else list(comparison.lines)


def _look(system: int) -> dict[str, Any]:
    """The colour and the shape of a system; beyond seven of them colours shift against shapes."""
    color = COLORS[(system + system // len(MARKERS)) % len(COLORS)]
    return {"marker": MARKERS[system % len(MARKERS)], "color": color}


def _is_share(line: Line) -> bool:
    """Tell whether a metric has a place on an axis of percent."""
    metric = metric_named(line.metric)
    return metric.unit == "share" and metric.upper <= 1


def _ends(line: Line) -> list[float]:
    return [end for ci in line.intervals if ci for end in ci] + [value for value in line.values if value is not None]


def _value(axes: Axes, line: Line, system: int, y: float, digits: int) -> None:
    value, ci = line.values[system], line.intervals[system]
    if _is_share(line) and value is not None:
        mark_value(axes, value, y, ci, {"markersize": 3.6, **_look(system)}, width=1.3)
        return
    metric = metric_named(line.metric)
    text = f"{number(value, metric.unit, digits)}  {interval(ci, metric.unit, digits)}".rstrip()
    _in_words(axes, text, y, system)


def _change(axes: Axes, line: Line, changed: tuple[int, str], y: float, digits: int) -> None:
    """A system's change against the base, in the shape of its state."""
    system, state = changed
    difference, metric = line.differences[system], metric_named(line.metric)
    if difference is None:
        _in_words(axes, UNDEFINED, y, system)
    elif _is_share(line):
        look = _look(system) | {"marker": SHAPES[state], "markersize": 3.8 if state == BELOW else 4.2}
        look |= {"markerfacecolor": "white"} if state in {AT, BELOW} else {}
        mark_value(axes, difference.delta, y, difference.ci, look, width=1.3)
    else:
        delta = number(difference.delta, metric.unit, digits)
        delta = delta if delta.startswith("-") or float(delta) == 0 else f"+{delta}"
        _in_words(axes, f"{delta}  {interval(difference.ci, metric.unit, digits)}".rstrip(), y, system)


def _in_words(axes: Axes, text: str, y: float, system: int) -> None:
    """A number that has no place on the axis."""
    axes.text(
        0.03,
        y,
        typeset(f"{letter(system)}  {text}"),
        transform=axes.get_yaxis_transform(),
        fontsize=TINY + 0.5,
        va="center_baseline",
        bbox=HALO,
    )


def _state(line: Line, system: int, alpha: float) -> str:
    """Whether a change is significant after adjustment, and for better or worse."""
    difference = line.differences[system]
    if difference is None or difference.p_holm is None:
        return UNKNOWN
    if difference.p_holm >= alpha:
        return AT
    return ABOVE if (difference.delta > 0) == metric_named(line.metric).higher_is_better else BELOW


def _key(comparison: Comparison) -> str:
    outside = any(line.metric not in comparison.family for line in comparison.lines)
    return (
        f"{amount(comparison.images, 'image')}, 95 % intervals. Changes: filled dot "
        f"significantly better, diamond significantly worse (p < {comparison.alpha:g} after Holm), ring neither"
        f"{'; small dot: not in the family of tests' if outside else ''}."
    )
