"""Marks that several figures share: axes in percent, values with intervals, floors."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from attneval.report.figures.style import BAND, BLUE, FAINT, GRID, INK, ORANGE, SMALL, TINY
from attneval.report.table import typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from attneval.report.figures.style import Drawing
    from attneval.results.scores import FloorGap

ABOVE, AT, BELOW, UNKNOWN = "above", "at", "below", ""
"""States of a difference: its interval lies above 0, holds it or lies below; or there is none."""
LOOKS: dict[str, dict[str, Any]] = {
    ABOVE: {"marker": "o", "markersize": 5, "color": BLUE, "markerfacecolor": BLUE},
    AT: {"marker": "o", "markersize": 5, "color": INK, "markerfacecolor": "white"},
    BELOW: {"marker": "D", "markersize": 4.2, "color": ORANGE, "markerfacecolor": "white"},
    UNKNOWN: {"marker": "o", "markersize": 3.4, "color": FAINT, "markerfacecolor": FAINT},
}
"""Each state has a colour and a shape, for prints in black and white."""
LINE = 150
"""Characters of a line beneath a figure."""


def state_of(ci: tuple[float, float] | None, *, higher_is_better: bool = True) -> str:
    """On which side of no difference an interval lies."""
    if ci is None:
        return UNKNOWN
    low, high = ci if higher_is_better else (-ci[1], -ci[0])
    return ABOVE if low > 0 else BELOW if high < 0 else AT


def state_of_gap(gap: FloorGap | None, *, higher_is_better: bool = True) -> str:
    """On which side of its highest floor a value lies."""
    return UNKNOWN if gap is None else state_of(gap.ci, higher_is_better=higher_is_better)


def mark_value(
    axes: Axes, value: float, y: float, ci: tuple[float, float] | None, look: dict[str, Any], *, width: float = 1.6
) -> None:
    """Draw a value in percent with its interval.

    Args:
        axes: Where.
        value: A share.
        y: The height of the row.
        ci: Its interval.
        look: How a marker looks.
        width: Of the interval's line, in points.
    """
    if ci is not None:
        axes.plot([100 * ci[0], 100 * ci[1]], [y, y], color=look["color"], linewidth=width, solid_capstyle="butt")
    axes.plot([100 * value], [y], linestyle="none", markeredgewidth=1, zorder=4, clip_on=False, **look)


def percent_axis(axes: Axes, label: str, low: float = 0, high: float = 100) -> None:
    """Make the x axis one of percent, with hairlines at its ticks.

    Args:
        axes: The axes.
        label: What it shows.
        low: The left end, in percent.
        high: The right end.
    """
    ticks = ticks_between(low, high)
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [_number(tick) for tick in ticks])
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.5)
    axes.set_xlabel(label)


def ticks_between(low: float, high: float) -> list[float]:
    """Round numbers between two ends, about five of them."""
    step = nice_step((high - low) / 4)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * place for place in range(first, last + 1)]


def nice_step(rough: float) -> float:
    """Round a step up to 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= rough * (1 - 1e-9))


def span(values: Sequence[float], *, around: float | None = None) -> tuple[float, float]:
    """The ends of an axis that has room for values.

    Args:
        values: In the axis' unit.
        around: A number that the axis is symmetric around; None for none.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    if around is not None:
        reach = max(high - around, around - low, 1e-9)
        step = nice_step(reach / 3)
        reach = step * math.ceil(reach / step - 1e-9)
        return around - reach, around + reach
    step = nice_step(max(high - low, 1.0) / 4)
    return step * math.floor(low / step + 1e-9), step * math.ceil(high / step - 1e-9) or step


def rows_axis(axes: Axes, places: Sequence[float], names: Sequence[str], *, pad: float = 0.6) -> None:
    """Make the y axis one of named rows from top to bottom.

    Args:
        axes: The axes.
        places: The heights of the rows, ascending downwards.
        names: Their names.
        pad: Room above the first and below the last.
    """
    axes.set_yticks(list(places), list(names))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(max(places, default=0) + pad, min(places, default=0) - pad)


def band(axes: Axes, end: float, y: float, height: float = 0.56) -> None:
    """Shade a row from 0 to what needs no model, in percent."""
    axes.barh([y], [end], height=height, color=BAND, linewidth=0)


def tick(axes: Axes, at: float, y: float, *, height: float = 0.56, color: str = FAINT, width: float = 1) -> None:
    """Draw a line across a row."""
    axes.plot([at, at], [y - height / 2, y + height / 2], color=color, linewidth=width, solid_capstyle="butt")


def beside(axes: Axes, points: float, y: float, text: str, **look: Any) -> None:
    """Write a text at the right of the axes.

    Args:
        axes: The axes.
        points: How far from their right end.
        y: The height of the row.
        text: The text, which is shown as it is.
        look: Arguments of matplotlib's text.
    """
    place: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    axes.annotate(text, (1, y), (points, 0), **place | {"fontsize": SMALL, "va": "center"} | look)


def beside_value(axes: Axes, points: float, y: float, value: str, bounds: str) -> None:
    """Write a number and its interval at the right of a row, so that numbers stand below each other.

    Args:
        axes: The axes.
        points: Where the number ends.
        y: The height of the row.
        value: The number.
        bounds: Its interval, empty without one.
    """
    beside(axes, points, y, typeset(value), ha="right")
    if bounds:
        beside(axes, points + 5, y, typeset(bounds), color=FAINT)


def explain(figure: Drawing, text: str) -> None:
    """Write beneath a figure how it is read."""
    figure.supxlabel(textwrap.fill(text, LINE), x=0.01, ha="left", fontsize=TINY + 0.5, color=FAINT)


def _number(value: float) -> str:
    text = f"{value:.4g}"
    return "0" if float(text) == 0 else text.replace("-", "\u2212")
