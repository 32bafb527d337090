"""The one encoding of the page: a row from 0 to 100 % with floors, a value, its interval and a ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.report.markup import Markup
from attneval.report.overlay.svg import percent, tag

if TYPE_CHECKING:
    from attneval.report.html.number import Number
    from attneval.report.html.view import Floor, Measure

CROWDED = 0.045
"""Letters nearer than this share of the axis are written as one word."""
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
BAND, INK = "#e9e4d8", "#1c1c1a"
"""What is drawn where styles are blocked."""


def strip(measure: Measure, *, height: int = 33, letters: bool = True, few: bool = False) -> Markup:
    """Draw a metric.

    Args:
        measure: The metric.
        height: In pixels; the large one has letters above and the paired difference beneath.
        letters: Whether floors are marked with letters, and their difference with a bracket.
        few: Whether the number stands on too few images to have a state.
    """
    middle = 20 if letters else height / 2
    top, bottom = middle - 7, middle + 7
    parts = [_grid(height)]
    best = measure.best_floor
    if best is not None and best.name != "zero":
        end = _clipped(best.value)
        parts.insert(0, tag("rect", y=top, width=percent(end), height=14, class_="band", fill=BAND))
    if measure.ceiling is not None and letters:
        end = _clipped(measure.ceiling)
        if end < 0.995:
            parts.append(tag("rect", x=percent(end), y=top, width=percent(1 - end), height=14, fill="url(#hatch)"))
        parts.append(_tick(end, top, bottom, "ceiling"))
    for floor in measure.floors:
        if floor.name != "zero":
            title = tag("title", f"{floor.title}: {floor.value} %")
            parts.append(_tick(_clipped(floor.value), top, bottom, "floor", title))
    if letters:
        parts += _letters(measure.floors, middle - 10)
        parts.append(_bracket(measure, height))
    parts.append(point(measure, middle, state="few" if few else "none" if measure.half else measure.state))
    return tag("svg", *parts, class_="strip", width="100%", height=height, role="img", aria_label=described(measure))


def axis(last: str = "100 %") -> Markup:
    """The numbers along the axis."""
    texts = [tag("text", last if at == 1 else f"{100 * at:.0f}", x=percent(at), y=12) for at in QUARTERS]
    return tag("svg", *texts, class_="strip axis", width="100%", height=16, aria_hidden="true")


def described(measure: Measure) -> str:
    """A strip in words."""
    text = f"{measure.title} {measure.value} %"
    if measure.low is not None and measure.high is not None:
        text += f", interval {measure.low} to {measure.high}"
    floors = [f"{floor.title} {floor.value}" for floor in measure.floors]
    if floors:
        text += f"; floors: {', '.join(floors)}"
    if measure.ceiling is not None:
        text += f"; ceiling {measure.ceiling}"
    return text


def point(measure: Measure, y: float, *, state: str, scale: tuple[float, float] = (0.0, 1.0)) -> Markup:
    """A value with its interval: a dot above, a ring at, a diamond below its floor.

    Args:
        measure: The metric.
        y: The height of the line.
        state: As in `Measure`, or `few`.
        scale: What the left and the right end of the axis stand for.
    """
    return glyph(measure.value, measure.low, measure.high, y, state=state, scale=scale)


def glyph(
    value: Number,
    low: Number | None,
    high: Number | None,
    y: float,
    *,
    state: str,
    scale: tuple[float, float] = (0.0, 1.0),
) -> Markup:
    """A number with its interval, on an axis of any scale."""

    def place(number: Number) -> str:
        share = ((number.value or 0.0) - scale[0]) / (scale[1] - scale[0])
        return percent(min(max(share, 0.0), 1.0))

    parts = []
    if low is not None and high is not None:
        parts.append(tag("line", x1=place(low), x2=place(high), y1=y, y2=y, class_="ci-line", stroke=INK))
    parts.append(shape(place(value), y, state))
    return tag("g", *parts, class_=f"pt {state}")


def shape(x: str, y: float, state: str) -> Markup:
    """The mark of a state."""
    if state == "below":
        diamond = tag("path", d="M0-5.6 5.6 0 0 5.6-5.6 0Z", class_="hollow", fill="none", stroke=INK)
        return tag("svg", diamond, x=x, y=y, overflow="visible")
    if state == "at":
        return tag("circle", cx=x, cy=y, r=4.6, class_="hollow", fill="none", stroke=INK)
    return tag("circle", cx=x, cy=y, r=4.6 if state == "above" else 3.2, class_="solid")


def _grid(height: int) -> Markup:
    lines = (tag("line", x1=percent(at), x2=percent(at), y1=0, y2=height) for at in QUARTERS)
    return tag("g", *lines, class_="grid")


def _tick(at: float, top: float, bottom: float, kind: str, *children: Markup) -> Markup:
    return tag("line", *children, x1=percent(at), x2=percent(at), y1=top, y2=bottom, class_=f"tick {kind}", stroke=INK)


def _letters(floors: tuple[Floor, ...], y: float) -> list[Markup]:
    """The floors' letters, those that would touch written as one word; the ticks themselves never move."""
    words: list[list[tuple[float, str]]] = []
    for at, letter in sorted((_clipped(floor.value), floor.letter) for floor in floors if floor.letter):
        if words and at - words[-1][-1][0] < CROWDED:
            words[-1].append((at, letter))
        else:
            words.append([(at, letter)])
    return [
        tag("text", "".join(letter for _, letter in word), x=percent(sum(at for at, _ in word) / len(word)), y=y)
        for word in words
    ]


def _bracket(measure: Measure, height: int) -> Markup:
    """Where the best floor could lie if the value is held: a dot over it is not told apart."""
    lift = measure.lift
    best = measure.best_floor
    if lift is None or lift.low is None or lift.high is None or not lift.paired or best is None or best.name == "zero":
        return Markup("")
    value = measure.value.value or 0.0
    ends = [percent(min(max(value - (end.value or 0.0), 0.0), 1.0)) for end in (lift.high, lift.low)]
    y = height - 2.5
    bars = [tag("line", x1=end, x2=end, y1=y - 2.5, y2=y + 2.5) for end in ends]
    return tag("g", tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y), *bars, class_="bracket", stroke=INK)


def _clipped(number: Number) -> float:
    return min(max(number.value or 0.0, 0.0), 1.0)
