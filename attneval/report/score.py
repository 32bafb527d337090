"""A result as tables: the headline, what stands beside it, retrieval, and where it comes from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attneval.config.breakdowns import BREAKDOWNS
from attneval.metrics.declaration import ATTENTION, FAITHFULNESS, RETRIEVAL
from attneval.metrics.floors import CENTER, FLOORS, UNIFORM
from attneval.metrics.populations import ITEMS
from attneval.metrics.registry import find_metric, in_table, metrics
from attneval.report.joint import joint_table
from attneval.report.relevance import relevance_tables
from attneval.report.table import (
    FEW_IMAGES,
    UNDEFINED,
    Cell,
    Page,
    Row,
    Table,
    few_images,
    interval,
    number,
    scored_amounts,
)
from attneval.report.tones import ABOVE_FLOORS, beside_floors
from attneval.results.groups import item_counts, some_groups
from attneval.results.summary import BASELINES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attneval.metrics.declaration import Metric
    from attneval.results.result import Result
    from attneval.results.scores import Measured, Scores

DIRECTIONS = {"i2t": "image to text", "t2i": "text to image"}
BEST = 10
"""How many of many channels a table shows."""


def score_page(result: Result, digits: int = 1) -> Page:
    """Show the tables of one result."""
    tables = []
    # Of many channels nobody means the mean, unless it was asked for.
    named = bool(result.channel) or all(scores.has_sums for scores in result.channels.values())
    if result.scores.has_attention and named:
        tables.append(_attention(result, digits))
    if result.scores.has_retrieval:
        tables.append(_retrieval(result, digits))
        tables += relevance_tables(result, digits)
    if result.joint is not None:
        tables.append(joint_table(result.joint, digits))
    if result.scores.has_faithfulness:
        tables.append(_faithfulness(result, digits))
    if result.channels:
        tables.append(_channels(result, digits))
    if named:
        tables += [_breakdown(result.scores, kind, digits) for kind, groups in result.scores.by.items() if groups]
    return Page(tables, lines_under(result), tones=ABOVE_FLOORS)


def lines_under(result: Result) -> list[str]:
    """Write what has to be said with the numbers: how much was scored, the notes, the signature."""
    numbers = scored_amounts(result.counts)
    lines = [numbers] if numbers else []
    sums = result.scores.sums
    counted = int(sums.counted().sum())
    if counted < FEW_IMAGES:
        lines.append(f"note: {few_images(counted, len(sums.image_id))}; intervals may be too narrow")
    lines += [f"note: {note}" for note in result.notes]
    return [*lines, f"signature: {result.signature}", f"short: {result.short_signature}"]


def _attention(result: Result, digits: int) -> Table:
    scores = result.scores
    bases = [name for name in BASELINES if name in scores.baselines]
    rows = []
    group = ""
    for name, measured in scores.metrics.items():
        metric = find_metric(name)
        if metric is None or metric.group not in ATTENTION:
            continue
        strong = metric.headline == result.protocol.average
        cells = [
            Cell(_title(metric, scores), strong=strong),
            _cell(metric, measured, digits, strong=strong),
            Cell(interval(measured.ci, metric.unit, digits)),
        ]
        for base in bases:
            floor = scores.baselines[base].get(name)
            cells.append(Cell("" if floor is None else number(floor.value, metric.unit, digits)))
        rows.append(Row(cells, rule=bool(group) and metric.group != group))
        group = metric.group
    title = f"Attention of {result.name}, in %" if result.name else "Attention, in %"
    header = ["", "value", "95 % interval", *bases]
    return Table(title, header, rows, optional=tuple(range(3, len(header))))


def _title(metric: Metric, scores: Scores) -> str:
    """The title; of a number tuned on a curve also the threshold that it was tuned to."""
    if not metric.tuned or scores.curve is None:
        return metric.title
    values: list[float] = getattr(scores.curve, metric.tuned)
    return f"{metric.title} at {scores.curve.rule}:{scores.curve.parameter[values.index(max(values))]:.3g}"


def _retrieval(result: Result, digits: int) -> Table:
    had = [metric for metric in metrics(RETRIEVAL) if metric.name in result.metrics]
    columns = list(dict.fromkeys(metric.label for metric in had if metric.direction))
    rows = []
    for direction, title in DIRECTIONS.items():
        by_label = {metric.label: metric for metric in had if metric.direction == direction}
        values, bounds = [Cell(title)], [Cell("  interval")]
        for label in columns:
            metric = by_label.get(label)
            values.append(Cell(UNDEFINED) if metric is None else _cell(metric, result.metrics[metric.name], digits))
            ci = None if metric is None else result.metrics[metric.name].ci
            bounds.append(Cell("" if metric is None else interval(ci, metric.unit, digits)))
        rows += [Row(values), Row(bounds)]
    notes = []
    for metric in had:
        if not metric.direction:
            measured = result.metrics[metric.name]
            text = f"{metric.title} {number(measured.value, metric.unit, digits)}"
            notes.append(f"{text} {interval(measured.ci, metric.unit, digits)}".rstrip())
    # Ranks are the first to go where space is short.
    ranks = [place for place, label in enumerate(columns, 1) if all(m.unit == "rank" for m in had if m.label == label)]
    return Table("Retrieval, Recall@K in %", ["", *columns], rows, notes, optional=tuple(reversed(ranks)))


def _faithfulness(result: Result, digits: int) -> Table:
    rows = []
    for metric in metrics(FAITHFULNESS):
        if (measured := result.metrics.get(metric.name)) is not None:
            cells = [
                metric.title,
                number(measured.value, metric.unit, digits),
                interval(measured.ci, metric.unit, digits),
            ]
            rows.append(Row([*map(Cell, cells), Cell(str(measured.n))]))
    notes = ["of the difference between the model's scores with all regions and with none; random order scores 0"]
    return Table("Faithfulness, in %", ["", "value", "95 % interval", "captions"], rows, notes)


def _channels(result: Result, digits: int) -> Table:
    if not all(scores.has_sums for scores in result.channels.values()):
        return _best_channels(result, digits)
    chosen = _shown("channels", [scores.metrics for scores in result.channels.values()])
    best = {metric.name: _best(metric, result) for metric in chosen if metric.main}
    rows = []
    for channel, scores in result.channels.items():
        cells = [Cell(channel)]
        strong = all(scores.metrics[name].value == value for name, value in best.items() if name in scores.metrics)
        for metric in chosen:
            measured = scores.metrics.get(metric.name)
            cells.append(_cell(metric, measured, digits, strong=strong and metric.main))
        rows.append(Row(cells))
    rows += _floor_rows(result, chosen, digits)
    header, paper = _names("Channel", chosen)
    return Table("By channel and direction, in %", header, rows, optional=_optional(chosen, after=1), paper=paper)


def _best_channels(result: Result, digits: int) -> Table:
    """The best of many channels; what was chosen here is reported here, and the table says so."""
    many = {key: scores.metrics for key, scores in result.channels.items() if not scores.has_sums}
    chosen = _shown("heads", list(many.values()))
    first = chosen[0]
    sign = -1 if first.higher_is_better else 1

    def place(key: str) -> float:
        measured = many[key].get(first.name)
        return math.inf if measured is None or measured.value is None else sign * measured.value

    best = sorted(many, key=place)[:BEST]
    rows = [Row([Cell(key), *(_cell(metric, many[key].get(metric.name), digits) for metric in chosen)]) for key in best]
    rows += _floor_rows(result, chosen, digits)
    name = f" of {result.name}" if result.name else ""
    note = (
        f"The best {len(best)} of {len(many)} channels by {first.label} on the very images they are shown on, so too "
        "high for new ones: attneval heads chooses on one half of the images and reports on the other."
    )
    header, paper = _names("Channel", chosen)
    title = f"Attention{name}, channel by channel, in %"
    return Table(title, header, rows, [note], optional=_optional(chosen, after=1), paper=paper)


def _names(first: str, chosen: Sequence[Metric]) -> tuple[list[str], list[str]]:
    """The columns' names on screens and in papers."""
    return [first, *(metric.label for metric in chosen)], [first, *(metric.in_papers for metric in chosen)]


def _floor_rows(result: Result, chosen: Sequence[Metric], digits: int) -> list[Row]:
    """What attention scores that is the same for all channels, in each direction: a number says little without it."""
    rows: list[Row] = []
    directions = result.protocol.directions
    for direction in directions:
        of_direction = [scores for key, scores in result.channels.items() if key.endswith(direction)]
        baselines = next((scores.baselines for scores in of_direction if scores.baselines), None)
        if baselines is None:
            baselines = result.scores.baselines if direction == directions[0] else {}
        for floor in (UNIFORM, CENTER):
            if floor not in baselines:
                continue
            name = f"{floor} attention {direction}" if len(directions) > 1 else f"{floor} attention"
            cells = [
                _cell(metric, baselines[floor][metric.name], digits) if metric.name in baselines[floor] else Cell("")
                for metric in chosen
            ]
            rows.append(Row([Cell(name), *cells], rule=not rows))
    return rows


def _best(metric: Metric, result: Result) -> float:
    values = [s.metrics[metric.name].value or 0.0 for s in result.channels.values() if metric.name in s.metrics]
    return max(values) if metric.higher_is_better else min(values)


def _breakdown(scores: Scores, kind: str, digits: int) -> Table:
    groups, breakdown = scores.by[kind], BREAKDOWNS[kind]
    shown = some_groups(groups, _most_frequent(groups))
    floors = some_groups(scores.by_baselines.get(kind, {}), list(shown))
    chosen = _shown("breakdown", list(shown.values()))
    images = scores.by_images.get(kind, {})
    counts = (["images"] if images else []) + ["items"]
    header, paper = [breakdown.header, *counts], [breakdown.header, *counts]
    for metric in chosen:
        bounds = ("95 % interval", "floor") if metric.main and images else ()
        header += [metric.label, *bounds]
        paper += [metric.in_papers, *bounds]
    rows = []
    for group, table in shown.items():
        cells = [Cell(breakdown.label(group)), *([Cell(str(images.get(group, 0)))] if images else [])]
        cells.append(Cell(_items(table)))
        for metric in chosen:
            cells.append(_cell(metric, table.get(metric.name), digits, strong=metric.main))
            if metric.main and images:
                highest = _highest(metric, floors.get(group, {}), digits)
                cells += [_interval(metric, table.get(metric.name), digits), highest]
        rows.append(Row(cells))
    notes = [f"floor: the highest of {', '.join(FLOORS)}"] if images else []
    if len(shown) < len(groups):
        notes.append(f"the {len(shown)} of {len(groups)} groups with most items; all are in -f json and -f csv")
    # What is no headline goes first where space is short, then how sure the main metric is.
    headlines = {metric.label for metric in chosen if metric.headline} | {breakdown.header, "items", "floor"}
    optional = [place for place in range(len(header) - 1, 0, -1) if header[place] not in headlines]
    return Table(f"{breakdown.title}, in %", header, rows, notes, optional=tuple(optional), paper=paper)


LONGEST_BREAKDOWN = 30
"""Groups of a breakdown in a table for people."""


def _most_frequent(groups: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    """The groups with most items, in the order in which they are."""
    counts = item_counts(groups)
    kept = set(sorted(groups, key=lambda group: -counts[group])[:LONGEST_BREAKDOWN])
    return [group for group in groups if group in kept]


def _interval(metric: Metric, measured: Measured | None, digits: int) -> Cell:
    return Cell("" if measured is None else interval(measured.ci, metric.unit, digits))


def _highest(metric: Metric, floors: Mapping[str, Mapping[str, Measured]], digits: int) -> Cell:
    """The best that a floor scores on a group."""
    values = [table[metric.name].value for table in floors.values() if metric.name in table]
    known = [value for value in values if value is not None]
    best = max if metric.higher_is_better else min
    return Cell(number(best(known), metric.unit, digits) if known else UNDEFINED)


def _items(table: Mapping[str, Measured]) -> str:
    """The number of items, as the metrics have it that are means over all of them."""
    counts = (m.n for name, m in table.items() if (metric := find_metric(name)) and metric.per == ITEMS)
    return str(next(counts, UNDEFINED))


def _shown(table: str, measured: Sequence[Mapping[str, Measured]]) -> list[Metric]:
    """The metrics of a table that some of its rows have."""
    return [metric for metric in in_table(table) if any(metric.name in row for row in measured)]


def _optional(chosen: Sequence[Metric], *, after: int) -> tuple[int, ...]:
    """The columns of metrics that are never a headline, the last to go first."""
    return tuple(place for place in range(len(chosen) + after - 1, after - 1, -1) if not chosen[place - after].headline)


def _cell(metric: Metric, measured: Measured | None, digits: int, *, strong: bool = False) -> Cell:
    text = UNDEFINED if measured is None else number(measured.value, metric.unit, digits)
    return Cell(text, strong=strong, tone=beside_floors(metric, measured))
