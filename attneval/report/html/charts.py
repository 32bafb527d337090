"""Charts beside the strips: curves, the spread of F1, ranked channels, changes between systems."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attneval.report.html.strip import BAND, QUARTERS, glyph, point
from attneval.report.overlay.svg import path, percent, tag

if TYPE_CHECKING:
    from attneval.report.html.sections import Errors
    from attneval.report.html.systems import Change
    from attneval.report.html.view import Channel, CurvePoint, CurveView, Floor, Measure
    from attneval.report.markup import Markup

HEIGHT = 270
LINE = {"fill": "none", "stroke": "#5b5850", "stroke_width": 2, "vector_effect": "non-scaling-stroke"}
"""How a line is drawn where styles are blocked."""
CANVAS = {"viewBox": "0 0 1000 1000", "preserveAspectRatio": "none", "width": "100%", "height": HEIGHT}


class Axis:
    """The places of a sweep's thresholds, in equal ratios where they span a wide range.

    Args:
        values: The thresholds, ascending.
    """

    def __init__(self, values: tuple[float, ...]) -> None:
        self.low, self.high = values[0], values[-1]
        self.log = self.low > 0 and self.high / self.low >= 50

    def place(self, value: float) -> float:
        """The share of the width at which a threshold stands."""
        if self.high <= self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Thresholds that are written beneath."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return [10.0**power for power in range(first, last + 1)]
        return [self.low + (self.high - self.low) * step / 4 for step in range(5)]


def curve_chart(curve: CurveView) -> Markup:
    """Precision, recall and F1 over the threshold."""
    axis = Axis(curve.parameter)
    name = curve.rule.parameter
    x = [1000 * axis.place(value) for value in curve.parameter]

    def line(values: tuple[float, ...], class_: str) -> Markup:
        points = [(a, 1000 * (1 - v)) for a, v in zip(x, values, strict=True)]
        return tag("path", d=path(points), class_=class_, **LINE)

    lines = [line(curve.recall, "recall"), line(curve.precision, "precision"), line(curve.f1, "f1")]
    if curve.low and curve.high:
        upper = [(a, 1000 * (1 - v)) for a, v in zip(x, curve.high, strict=True)]
        lower = [(a, 1000 * (1 - v)) for a, v in zip(x, curve.low, strict=True)]
        lines.insert(0, tag("path", d=path(upper + lower[::-1], closed=True), class_="f1-band", opacity=0.16))
    parts = [_frame(), _percents()]
    parts += [tag("text", _short(v), x=percent(axis.place(v)), y=HEIGHT + 16, class_="mid") for v in axis.ticks()]
    if curve.floor is not None:
        y = _y(curve.floor.value)
        parts.insert(0, tag("rect", y=y, width="100%", height=HEIGHT - y, class_="band", fill=BAND, opacity=0.7))
        parts.append(tag("text", f"F1 of everything {curve.floor}", x="100%", y=y - 5, class_="end"))
    at, best = axis.place(curve.parameter[curve.at.place]), axis.place(curve.parameter[curve.best.place])
    parts.append(tag("line", x1=percent(at), x2=percent(at), y1=0, y2=HEIGHT, class_="now"))
    parts.append(tag("svg", *lines, **CANVAS))
    parts.append(tag("text", f"protocol: {name} = {curve.at.parameter}", x=percent(at), y=-7, class_=_side(at)))
    parts.append(_mark(best, curve.best, "hollow"))
    parts.append(_mark(at, curve.at, "solid"))
    parts += _line_labels(curve, axis, best)
    parts.append(tag("g", class_="reader", id="curve-ring"))
    meaning = f"{name}: {curve.rule.attends}" + (" (log scale)" if axis.log else "")
    label = (
        f"Precision, recall and F1 over {name}. At the protocol's {curve.at.parameter}: precision "
        f"{curve.at.precision}, recall {curve.at.recall}, F1 {curve.at.f1} %."
    )
    chart = tag("svg", *parts, width="100%", height=HEIGHT, class_="plane", role="img", aria_label=label, id="curve")
    return tag("div", chart, tag("p", meaning, class_="under"), class_="chart")


def _line_labels(curve: CurveView, axis: Axis, best: float) -> list[Markup]:
    """Names on the lines, each where its line is farthest from the other two."""
    lines = {"precision": curve.precision, "recall": curve.recall, "F1": curve.f1}

    def widest(name: str, among: range) -> int:
        values, rest = lines[name], [other for title, other in lines.items() if title != name]
        return max(among, key=lambda k: (min(abs(values[k] - other[k]) for other in rest), -k))

    count = len(curve.parameter)
    inner = range(count // 6, max(count * 5 // 6, count // 6 + 1))
    labels = []
    for name in ("precision", "recall"):
        k = widest(name, inner)
        x, y = axis.place(curve.parameter[k]), _y(lines[name][k])
        labels.append(tag("text", name, x=percent(x), y=y - 9 if y > 24 else y + 18, class_="key mid halo"))
    words = f"best F1 {curve.best.f1} %, tuned"
    labels.append(
        tag("text", words, x=percent(best), y=_y(curve.best.f1.value) - 10, class_=f"model halo {_side(best)}")
    )
    return labels


def pr_chart(curve: CurveView) -> Markup:
    """Precision over recall, with floors as crosses."""
    points = [(1000 * r, 1000 * (1 - p)) for r, p in zip(curve.recall, curve.precision, strict=True)]
    line = tag("path", d=path(points), **LINE)
    parts = [_frame(), _percents()]
    parts += [tag("text", f"{100 * at:.0f}", x=percent(at), y=HEIGHT + 16, class_="mid") for at in QUARTERS]
    parts.append(tag("svg", tag("g", line, class_="pr"), **CANVAS))
    taken: list[tuple[float, float]] = []
    for title, precision, recall, f1 in curve.points:
        x, y = recall.value or 0.0, _y(precision.value)
        below = _free(taken, x, y)
        cross = tag("path", d="M-4-4 4 4M-4 4 4-4", class_="cross")
        parts.append(tag("svg", cross, x=percent(x), y=y, overflow="visible"))
        parts.append(tag("text", f"{title}, F1 {f1}", x=percent(x), y=below, class_=f"halo {_side(x)}"))
    for words, point_, shape in (("best", curve.best, "hollow"), ("protocol", curve.at, "solid")):
        x, y = point_.recall.value or 0.0, _y(point_.precision.value)
        parts.append(tag("circle", cx=percent(x), cy=y, r=4.6, class_=f"model {shape}"))
        if words != "best" or curve.best.place != curve.at.place:
            parts.append(
                tag("text", f"{words}, F1 {point_.f1}", x=percent(x), y=y - 10, class_=f"model halo {_side(x)}")
            )
    parts.append(tag("g", class_="reader", id="pr-ring"))
    label = f"Precision over recall; the protocol stands at recall {curve.at.recall}, precision {curve.at.precision} %."
    chart = tag("svg", *parts, width="100%", height=HEIGHT, class_="plane", role="img", aria_label=label)
    return tag("div", chart, tag("p", "recall, % (across), precision, % (up)", class_="under"), class_="chart")


def histogram(errors: Errors) -> Markup:
    """The spread of F1 over the items."""
    height, largest = 110, max(*errors.bins, 1)
    width = 1 / len(errors.bins)
    parts = []
    for k, count in enumerate(errors.bins):
        tall = height * count / largest
        title = tag("title", f"F1 from {100 * k * width:.0f} to {100 * (k + 1) * width:.0f} %: {count:,} items")
        bar = tag("rect", title, x=percent(k * width), y=height - tall, width=percent(width * 0.94), height=tall)
        parts.append(bar)
    texts = [tag("text", f"{100 * at:.0f}", x=percent(at), y=height + 16, class_="mid") for at in QUARTERS]
    mean = errors.mean.value
    marks = []
    if mean is not None:
        marks.append(tag("line", x1=percent(mean), x2=percent(mean), y1=-6, y2=height, class_="model"))
        marks.append(tag("text", f"mean {errors.mean}", x=percent(mean), y=-10, class_="model mid"))
    label = f"Distribution of the F1 of items in 20 steps: {', '.join(map(str, errors.bins))}; mean {errors.mean} %"
    base = tag("line", x1="0", x2="100%", y1=height, y2=height, class_="base")
    return tag(
        "svg",
        tag("g", *parts, class_="bars"),
        base,
        *texts,
        *marks,
        width="100%",
        height=height + 22,
        class_="plane spread",
        role="img",
        aria_label=label,
    )


def ranked_row(measure: Measure, floor: Floor | None, headline: Measure | None, scale: tuple[float, float]) -> Markup:
    """One channel in the ranked list."""

    def place(value: float) -> float:
        return min(max((value - scale[0]) / (scale[1] - scale[0]), 0.0), 1.0)

    parts = []
    if floor is not None:
        end = place(floor.value.value or 0.0)
        parts.append(tag("rect", width=percent(end), height=14, class_="band", fill=BAND))
        parts.append(tag("line", x1=percent(end), x2=percent(end), y1=0, y2=14, class_="tick floor"))
    if headline is not None:
        x = percent(place(headline.value.value or 0.0))
        parts.append(tag("line", x1=x, x2=x, y1=0, y2=14, class_="dash"))
    parts.append(point(measure, 7, state=measure.state, scale=scale))
    label = f"{measure.title} {measure.value} %"
    return tag("svg", *parts, width="100%", height=14, class_="strip", role="img", aria_label=label)


def ranked_scale(channels: list[Channel], metric: str, floor: Floor | None) -> tuple[float, float]:
    """The ends of the ranked list's axis, in multiples of 5 points."""
    values = [floor.value.value or 0.0] if floor else []
    for channel in channels:
        measure = channel.measures[metric]
        values += [n.value for n in (measure.value, measure.low, measure.high) if n is not None and n.value is not None]
    low, high = math.floor(min(values) * 20 + 1e-9) / 20, math.ceil(max(values) * 20 - 1e-9) / 20
    return (low, high) if high > low else (low, low + 0.05)


def change_row(change: Change, limit: float) -> Markup:
    """A change against the first system, on an axis around 0."""
    middle = tag("line", x1="50%", x2="50%", y1=0, y2=20, class_="now")
    base = tag("line", x1="0", x2="100%", y1=10, y2=10, class_="base")
    mark = glyph(change.value, change.low, change.high, 10, state=change.state, scale=(-limit, limit))
    ends = f", interval {change.low} to {change.high}" if change.low is not None else ""
    label = f"{change.metric} {change.value} points{ends}"
    return tag("svg", base, middle, mark, width="100%", height=20, class_="strip", role="img", aria_label=label)


def _free(taken: list[tuple[float, float]], x: float, y: float) -> float:
    """A height for the words of a cross where no other cross has words."""
    heights = [y + 17, y - 9, y + 32]
    free = [height for height in heights if not any(abs(x - a) < 0.3 and abs(height - b) < 14 for a, b in taken)]
    taken.append((x, (free or heights)[0]))
    return taken[-1][1]


def _frame() -> Markup:
    across = [tag("line", x1="0", x2="100%", y1=_y(at), y2=_y(at)) for at in QUARTERS]
    up = [tag("line", x1=percent(at), x2=percent(at), y1=0, y2=HEIGHT) for at in (0, 1)]
    return tag("g", *across, *up, class_="grid")


def _percents() -> Markup:
    texts = [tag("text", f"{100 * at:.0f}" + (" %" if at == 1 else ""), x=-7, y=_y(at) + 4) for at in QUARTERS]
    return tag("g", *texts, class_="end")


def _mark(x: float, point_: CurvePoint, shape: str) -> Markup:
    return tag("circle", cx=percent(x), cy=_y(point_.f1.value), r=4.6, class_=f"model {shape}")


def _y(value: float | None) -> float:
    return HEIGHT * (1 - (value or 0.0))


def _side(x: float) -> str:
    """On which side of its place a text is written, so that it stays within the chart."""
    return "start" if x < 0.18 else "end" if x > 0.82 else "mid"


def _short(value: float) -> str:
    return f"{value:.3g}"
