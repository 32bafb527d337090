"""Heads: a map of layers and heads, the best ten as a table, all of them as CSV and JSON values."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attneval.errors import amount
from attneval.metrics.registry import in_table, metric_named
from attneval.metrics.spatial import SPATIAL
from attneval.report.table import UNDEFINED, Cell, Page, Row, Table, interval, number
from attneval.report.tones import ABOVE_FLOORS, beside_floors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attneval.metrics.declaration import Metric
    from attneval.report.delimited import Lines
    from attneval.results.heads import Head, HeadRanking
    from attneval.results.result import Result
    from attneval.results.scores import Measured

SHOWN = 10
"""How many heads the table shows, the best."""
RANKS = "1234567890"
"""Their marks in the map, in their order."""
SHADES = ".:-=+*#%@"
"""Marks of the others, from the lowest to the highest value."""
ACROSS = 48
"""Heads beside each other in the map; more than these stand below."""
SPACED = 24
"""So many heads have a space between them."""


def heads_page(ranking: HeadRanking, digits: int = 1) -> Page:
    """Show the map and the best heads."""
    result = ranking.result
    chosen, reported = ranking.chosen_on, ranking.reported_on
    halves = f"chosen on the {chosen} of the even half, reported on the {reported} of the odd half"
    lines = [f"{amount(len(ranking.heads), 'channel')}, {amount(chosen + reported, 'image')}: {halves}"]
    if min(chosen, reported) < 30:
        lines.append("note: a half of less than 30 images is small; intervals may be too narrow")
    lines += [f"note: {note}" for note in _notes(result)]
    lines += ["all channels are in -f csv and -f json"] if len(ranking.heads) > SHOWN else []
    lines.append(f"signature: {result.signature}")
    return Page([_table(ranking, digits)], lines, partial(_map, ranking, digits), ABOVE_FLOORS)


def heads_lines(ranking: HeadRanking) -> Lines:
    """Lines of a table: one for each channel, the best first, and one for the mean of the best."""
    others = [metric.name for metric in _others(ranking)]
    header = ("system", "rank", "channel", "layer", "head", "metric", "even", "even_n", "odd", "odd_low", "odd_high")
    rows: list[tuple[object, ...]] = []
    for rank, head in enumerate(ranking.heads, 1):
        leading = (
            head.name,
            head.layer,
            head.head,
            ranking.metric,
            *_halves(head.chosen, head.reported),
            head.optimism,
        )
        measured_others = (head.metrics.get(name) for name in others)
        values = (None if measured is None else measured.value for measured in measured_others)
        rows.append((ranking.result.name, rank, *leading, *values, head.image_mass))
    if ranking.system is not None:
        even, odd = system_halves(ranking)
        optimism = _difference(even, odd)
        system = ranking.system
        values = (None if (m := system.measured(name)) is None else m.value for name in others)
        leading = (f"top:{ranking.top}", None, None, ranking.metric, *_halves(even, odd), optimism)
        rows.append((ranking.result.name, None, *leading, *values, None))
    return (*header, "odd_n", "optimism", *others, "image_mass"), rows


def heads_dict(ranking: HeadRanking) -> dict[str, Any]:
    """Give the ranking as JSON values, the channels with the best first."""
    result = ranking.result
    system = None
    if ranking.system is not None:
        even, odd = system_halves(ranking)
        system = {
            "k": ranking.top,
            "channels": [head.key for head in ranking.heads[: ranking.top]],
            "even": _values(even, ranking.metric),
            "odd": _values(odd, ranking.metric),
            "optimism": _difference(even, odd),
            "metrics": {name: _values(measured, name) for name, measured in ranking.system.metrics.items()},
        }
    return {
        "schema": 1,
        "name": result.name,
        "signature": result.signature,
        "metric": ranking.metric,
        "chosen_on": {"half": "even", "images": ranking.chosen_on},
        "reported_on": {"half": "odd", "images": ranking.reported_on},
        "bootstrap": {"resamples": result.resamples, "seed": result.seed, "confidence": 0.95},
        "notes": _notes(result),
        "floors": {
            floor: {name: _values(measured, name) for name, measured in table.items()}
            for floor, table in ranking.floors.items()
        },
        "channels": {
            head.key: {
                "rank": rank,
                "layer": head.layer,
                "head": head.head,
                "even": _values(head.chosen, ranking.metric),
                "odd": _values(head.reported, ranking.metric),
                "optimism": head.optimism,
                "metrics": {name: _values(measured, name) for name, measured in head.metrics.items()},
                "image_mass": head.image_mass,
            }
            for rank, head in enumerate(ranking.heads, 1)
        },
        "top": system,
    }


def _notes(result: Result) -> list[str]:
    """What is to be known of the channels; what follows from the headline's numbers is of their mean."""
    from attneval.results.notes import COMPUTED, MANY_CHANNELS, NO_RETRIEVAL

    return [str(note) for note in result.notes if note.kind not in {*COMPUTED, MANY_CHANNELS, NO_RETRIEVAL}]


def _table(ranking: HeadRanking, digits: int) -> Table:
    metric, others = metric_named(ranking.metric), _others(ranking)
    masses = any(head.image_mass is not None for head in ranking.heads)
    rows = []
    for rank, head in enumerate(ranking.heads[:SHOWN], 1):
        cells = _cells(metric, f"{rank:2}  {head.name}", head.chosen, head.reported, digits, strong=rank == 1)
        cells += [_cell(other, head.metrics.get(other.name), digits) for other in others]
        rows.append(Row([*cells, *([Cell(number(head.image_mass, digits=digits))] if masses else [])]))
    if ranking.system is not None:
        even, odd = system_halves(ranking)
        cells = _cells(metric, f"    mean of {ranking.top}", even, odd, digits)
        cells += [_cell(other, ranking.system.measured(other.name), digits) for other in others]
        rows.append(Row([*cells, *([Cell("")] if masses else [])], rule=True))
    for place, (floor, of_floor) in enumerate(ranking.floors.items()):
        # A lift is a difference to a floor, and has none.
        ends = [Cell(""), _floor_cell(metric, of_floor, digits), Cell(""), Cell("")]
        cells = [Cell(f"    {floor} attention"), *ends, *(_floor_cell(other, of_floor, digits) for other in others)]
        rows.append(Row([*cells, *([Cell("")] if masses else [])], rule=not place))
    notes = [f"Mean of {ranking.top}: the mean of the maps of the best {ranking.top}."] if ranking.system else []
    notes += ["Optimism: even minus odd half; the other columns are of the odd half."]
    if len(ranking.heads) > SHOWN:
        notes.insert(0, f"The best {SHOWN} of {len(ranking.heads)} channels.")
    header = ["Channel", "even half", "odd half", "95 % interval", "optimism", *(other.label for other in others)]
    header += ["image mass"] if masses else []
    named = f" of {ranking.result.name}" if ranking.result.name else ""
    paper = [*header[: len(header) - len(others) - masses], *(other.in_papers for other in others)]
    paper += ["image mass"] if masses else []
    title = f"Heads{named} by {metric.label}{', in %' if metric.unit == 'share' else ''}"
    return Table(title, header, rows, notes, optional=tuple(range(len(header) - 1, 3, -1)), paper=paper)


def _cells(
    metric: Metric, name: str, even: Measured | None, odd: Measured | None, digits: int, *, strong: bool = False
) -> list[Cell]:
    ci = None if odd is None else odd.ci
    return [
        Cell(name, strong=strong),
        _cell(metric, even, digits),
        _cell(metric, odd, digits, strong=strong),
        Cell(interval(ci, metric.unit, digits)),
        Cell(number(_difference(even, odd), metric.unit, digits)),
    ]


def _cell(metric: Metric, measured: Measured | None, digits: int, *, strong: bool = False) -> Cell:
    # Nats are few: two more digits than percent have.
    places = digits + 1 if metric.unit == "nats" else digits
    text = UNDEFINED if measured is None else number(measured.value, metric.unit, places)
    return Cell(text, strong=strong, tone=beside_floors(metric, measured))


def _floor_cell(metric: Metric, of_floor: Mapping[str, Measured], digits: int) -> Cell:
    return _cell(metric, of_floor[metric.name], digits) if metric.name in of_floor else Cell("")


def _map(ranking: HeadRanking, digits: int, columns: int) -> str:
    """Layers below and heads beside each other; nothing where channels are no layers and heads."""
    placed = placed_heads(ranking)
    if not placed:
        return ""
    metric = metric_named(ranking.metric)
    values = [value for _, head in placed.values() if (value := head.reported.value) is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)
    layers, heads = sorted({layer for layer, _ in placed}), sorted({number for _, number in placed})
    unit = " %" if metric.unit == "share" else ""
    lines = [f"{metric.label} of layers (down) and heads (across) on the odd half"]
    width = len(str(layers[-1])) + 1
    room = max(columns - width - 2, 1)
    between = " " if len(heads) <= SPACED and 2 * len(heads) <= room else ""
    across = min(ACROSS, room)
    for start in range(0, len(heads), across):
        part = heads[start : start + across]
        if len(heads) > 1:
            ends = f"H{part[0]}" if len(part) == 1 else f"H{part[0]} to H{part[-1]}"
            lines.append(f"{'':{width}}  {ends}")
        for layer in layers:
            marks = [_mark(placed.get((layer, number)), low, high) for number in part]
            lines.append(f"{f'L{layer}':>{width}}  {between.join(marks)}".rstrip())
    bounds = ((SHADES[0], low), (SHADES[-1], high))
    shades = " to ".join(f"{mark} {number(value, metric.unit, digits)}{unit}" for mark, value in bounds)
    shown = min(SHOWN, len(ranking.heads))
    best = "1" if shown == 1 else f"1 to {RANKS[shown - 1]}"
    return "\n".join([*lines, shades, f"{best}: the best on the even half, in their order", ""])


def placed_heads(ranking: HeadRanking) -> dict[tuple[int, int], tuple[int, Head]]:
    """Lay heads out by layer and head, -1 for none, each with its place in the ranking from 0.

    Returns:
        The heads; nothing where channels are no layers and heads, or are one.
    """
    placed: dict[tuple[int, int], tuple[int, Head]] = {}
    for rank, head in enumerate(ranking.heads):
        if head.layer is not None:
            placed[head.layer, -1 if head.head is None else head.head] = (rank, head)
    return {} if len(placed) < max(len(ranking.heads), 2) else placed


def _mark(ranked: tuple[int, Head] | None, low: float, high: float) -> str:
    if ranked is None:
        return " "
    rank, head = ranked
    if rank < SHOWN:
        return RANKS[rank]
    value = head.reported.value
    if value is None:
        return "?"
    share = (value - low) / (high - low) if high > low else 0.0
    return SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]


def _others(ranking: HeadRanking) -> list[Metric]:
    """The other metrics that some heads have."""
    candidates = (*in_table("heads"), metric_named(SPATIAL))
    had = {name for head in ranking.heads for name, m in head.metrics.items() if m.value is not None}
    return [metric for metric in candidates if metric.name in had and metric.name != ranking.metric]


def system_halves(ranking: HeadRanking) -> tuple[Measured | None, Measured | None]:
    """Get what the mean of the best scores on the even half and on the odd half."""
    return ranking.system_chosen, None if ranking.system is None else ranking.system.measured(ranking.metric)


def _difference(even: Measured | None, odd: Measured | None) -> float | None:
    if even is None or odd is None or even.value is None or odd.value is None:
        return None
    return even.value - odd.value


def _halves(even: Measured | None, odd: Measured | None) -> tuple[object, ...]:
    low, high = (None, None) if odd is None or odd.ci is None else odd.ci
    first = (None, None) if even is None else (even.value, even.n)
    value, n = (None, None) if odd is None else (odd.value, odd.n)
    return (*first, value, low, high, n)


def _values(measured: Measured | None, name: str) -> dict[str, Any] | None:
    if measured is None:
        return None
    ci = None if measured.ci is None else list(measured.ci)
    return {
        "value": measured.value,
        "ci": ci,
        "n": measured.n,
        "higher_is_better": metric_named(name).higher_is_better,
    }
