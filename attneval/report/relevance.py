"""Retrieval with relevance sets as tables: one for each set, with what chance scores and what can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.metrics.declaration import RELEVANCE
from attneval.metrics.floors import CHANCE
from attneval.metrics.ranks import DIRECTIONS
from attneval.metrics.registry import metrics
from attneval.report.table import UNDEFINED, Cell, Row, Table, interval, number
from attneval.results.summary import ORACLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attneval.metrics.declaration import Metric
    from attneval.results.result import Result
    from attneval.results.scores import Measured

QUERIES = {"i2t": "image to text", "t2i": "text to image"}


def relevance_tables(result: Result, digits: int) -> list[Table]:
    """Show each relevance set of a result."""
    had = [metric for metric in metrics(RELEVANCE) if metric.name in result.metrics]
    names = dict.fromkeys(metric.relevance for metric in had)
    return [_table(result, name, [metric for metric in had if metric.relevance == name], digits) for name in names]


def _table(result: Result, name: str, had: Sequence[Metric], digits: int) -> Table:
    columns = list(dict.fromkeys(metric.label for metric in had))
    rows = []
    for direction in DIRECTIONS:
        by_label = {metric.label: metric for metric in had if metric.direction == direction}
        if not by_label:
            continue
        queries = next(result.metrics[metric.name].n for metric in by_label.values())
        shown = [by_label.get(label) for label in columns]
        rows.append(_row((QUERIES[direction], str(queries)), shown, result.metrics, digits))
        bounds = [
            Cell("" if metric is None else interval(result.metrics[metric.name].ci, metric.unit, digits))
            for metric in shown
        ]
        rows.append(Row([Cell("  interval"), Cell(""), *bounds]))
        rows.append(_row(("  chance", ""), shown, result.scores.baselines.get(CHANCE, {}), digits))
        best = result.scores.baselines.get(ORACLE, {})
        if any((best[m.name].value or 0.0) < 1 for m in by_label.values() if m.name in best):
            rows.append(_row(("  oracle", ""), shown, best, digits))
    title = f"Retrieval with the relevance set {name}, in %"
    # Where space is short the first and the last say most: the best answer, and all of them.
    return Table(title, ["", "queries", *columns], rows, optional=(1, *range(3, len(columns) + 1)))


def _row(head: tuple[str, str], shown: Sequence[Metric | None], table: Mapping[str, Measured], digits: int) -> Row:
    """A row of values: its title and number of queries, then the metrics that there are."""
    cells = [Cell(text) for text in head]
    for metric in shown:
        measured = None if metric is None else table.get(metric.name)
        text = UNDEFINED if metric is None or measured is None else number(measured.value, metric.unit, digits)
        cells.append(Cell(text))
    return Row(cells)
