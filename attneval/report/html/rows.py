"""Rows of tables that a template would be too clumsy to lay out: the heat map and the ranked channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attneval.report.html.charts import ranked_row, ranked_scale
from attneval.report.html.model import taken_off
from attneval.report.html.number import Number

if TYPE_CHECKING:
    from attneval.report.html.sections import Heads
    from attneval.report.html.view import Channel
    from attneval.report.markup import Markup

MANY_CHANNELS, SHOWN_ENDS = 64, 16
"""Above so many channels the ranked list has only this many at each end."""
TABLE_OF_ALL = 256
"""Above so many channels there is no table of all their metrics."""
FAINTEST, STRONGEST = 0.06, 0.48


@dataclass(frozen=True)
class HeatCell:
    """A channel in the map.

    Attributes:
        name: The channel.
        value: Of the metric shown.
        lift: Its difference to the floor that all channels share.
        alpha: How strong its colour is.
        side: `above` or `below` the floor, empty without one.
        best: Whether it is the best.
    """

    name: str
    value: Number
    lift: Number | None
    alpha: float
    side: str
    best: bool


@dataclass(frozen=True)
class HeatMap:
    """Layers by heads.

    Attributes:
        heads: The heads, in the order of columns.
        rows: By layer: its number, its cells (None where there is none), and their mean.
        means: The mean of each head.
        mean: Of all channels.
        best: The best channel.
        above: How many channels lie above the floor.
    """

    heads: tuple[int | None, ...]
    rows: tuple[tuple[int | None, tuple[HeatCell | None, ...], Number], ...]
    means: tuple[Number, ...]
    mean: Number
    best: HeatCell
    above: int | None


def heat_map(heads: Heads) -> HeatMap | None:
    """The channels laid out by layer and head; None if they have neither, or two share a place."""
    metric = heads.metrics[0][0]
    places = {(channel.layer, channel.head): channel for channel in heads.channels}
    if len(places) < len(heads.channels) or set(places) == {(None, None)}:
        return None
    floor = heads.floors.get(metric)
    lifts = {
        key: None if floor is None else taken_off(channel.measures[metric].value, floor.value)
        for key, channel in places.items()
    }
    largest = max((abs(n.value or 0.0) for n in lifts.values() if n is not None), default=0.0)
    top = max(channel.measures[metric].value.value or 0.0 for channel in heads.channels)
    cells = {}
    for key, channel in places.items():
        value, lift = channel.measures[metric].value, lifts[key]
        share = abs(lift.value or 0.0) / largest if lift is not None and largest else 0.0
        side = "" if lift is None else "above" if (lift.value or 0.0) >= 0 else "below"
        alpha = round(FAINTEST + (STRONGEST - FAINTEST) * share, 3)
        cells[key] = HeatCell(channel.name, value, lift, alpha, side, value.value == top)
    layers = sorted({layer for layer, _ in places}, key=_or_first)
    columns = sorted({head for _, head in places}, key=_or_first)
    rows = tuple(
        (
            layer,
            tuple(cells.get((layer, head)) for head in columns),
            _mean([c for (a, _), c in cells.items() if a == layer]),
        )
        for layer in layers
    )
    return HeatMap(
        heads=tuple(columns),
        rows=rows,
        means=tuple(_mean([c for (_, b), c in cells.items() if b == head]) for head in columns),
        mean=_mean(list(cells.values())),
        best=next(cell for cell in cells.values() if cell.best),
        above=None if floor is None else sum((c.lift.value or 0.0) > 0 for c in cells.values() if c.lift is not None),
    )


def ranked(heads: Heads) -> tuple[list[tuple[Channel | None, Markup | None]], tuple[float, float]]:
    """The channels, the best first, each with its strip; None stands for those in the middle of very many.

    Returns:
        The rows, and the ends of their axis.
    """
    metric = heads.metrics[0][0]
    order = sorted(heads.channels, key=lambda channel: -(channel.measures[metric].value.value or 0.0))
    floor, headline = heads.floors.get(metric), heads.headline.get(metric)
    scale = ranked_scale(order, metric, floor)
    rows: list[tuple[Channel | None, Markup | None]] = []
    for place, channel in enumerate(order):
        if len(order) > MANY_CHANNELS and SHOWN_ENDS <= place < len(order) - SHOWN_ENDS:
            if place == SHOWN_ENDS:
                rows.append((None, None))
            continue
        rows.append((channel, ranked_row(channel.measures[metric], floor, headline, scale)))
    return rows, scale


def _mean(cells: list[HeatCell]) -> Number:
    values = [cell.value.value or 0.0 for cell in cells]
    return Number(sum(values) / len(values), "page:mean")


def _or_first(number: int | None) -> int:
    return -1 if number is None else number
