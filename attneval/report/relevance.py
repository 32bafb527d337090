"""Retrieval with relevance sets as tables: one for each set, with what chance scores and what can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.metrics.floors import CHANCE
from attneval.metrics.ranks import DIRECTIONS
from attneval.metrics.registry import RELEVANCE, metrics
from attneval.report.table import UNDEFINED, Cell, Row, Table, interval, number
from attneval.results.summary import ORACLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attneval.metrics.registry import Metric
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
        rows.append(_row(QUERIES[direction], str(queries), columns, by_label, result.metrics, digits))
        bounds = [
            Cell("" if metric is None else interval(result.metrics[metric.name].ci, metric.unit, digits))
            for metric in map(by_label.get, columns)
        ]
        rows.append(Row([Cell("  interval"), Cell(""), *bounds]))
        rows.append(_row("  chance", "", columns, by_label, result.scores.baselines.get(CHANCE, {}), digits))
        best = result.scores.baselines.get(ORACLE, {})
        if any((best[m.name].value or 0.0) < 1 for m in by_label.values() if m.name in best):
            rows.append(_row("  oracle", "", columns, by_label, best, digits))
    title = f"Retrieval with the relevance set {name}, in %"
    return Table(title, ["", "queries", *columns], rows, optional=(1,))


def _row(
    title: str,
    queries: str,
    columns: Sequence[str],
    by_label: Mapping[str, Metric],
    table: Mapping[str, Measured],
    digits: int,
) -> Row:
    cells = []
    for metric in map(by_label.get, columns):
        measured = None if metric is None else table.get(metric.name)
        known = metric is not None and measured is not None
        cells.append(Cell(number(measured.value, metric.unit, digits) if known else UNDEFINED))  # type: ignore[union-attr]
    return Row([Cell(title), Cell(queries), *cells])
