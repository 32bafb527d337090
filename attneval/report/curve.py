"""Curves over thresholds: a plot of characters, a table, CSV and JSON values."""

from __future__ import annotations

import math
import string
from functools import partial
from typing import TYPE_CHECKING, Any

from attneval.config.thresholds import RULES
from attneval.errors import NothingToScoreError
from attneval.metrics.registry import metrics
from attneval.report.table import Cell, Page, Row, Table, number, safe
from attneval.results.comparability import distinct

if TYPE_CHECKING:
    from attneval.metrics.declaration import Metric
    from attneval.report.delimited import Lines
    from attneval.results.result import Result
    from attneval.results.scores import Curve

HEIGHT, NARROWEST, USUAL = 16, 16, 66
"""Lines of a plot, and columns between its edges: they follow the terminal up to a column a threshold."""
COLUMNS = 80
"""Columns of a terminal, or of what is none."""
MARGIN = 14
"""Columns that are left beside the plot."""

MARKS = string.ascii_lowercase + string.ascii_uppercase + string.digits
"""One character for each of several systems, in the plot and in the table below it."""


def curve_text(results: list[Result], columns: int = COLUMNS) -> str:
    """Plot precision, recall and F1 of one result, or F1 of several, within so many columns."""
    curves = curves_of(results)
    if len(curves) == 1:
        (curve,) = curves.values()
        drawn = drawn_metrics()
        series = {metric.mark: getattr(curve, metric.name) for metric in drawn}
        legend = _packed("", [f"{metric.mark} {metric.label}" for metric in drawn], columns)
    else:
        marks = _marks(results)
        series = {mark: curve.f1 for mark, curve in zip(marks, curves.values(), strict=True)}
        entries = [f"{mark} {safe(name)}" for mark, name in zip(marks, curves, strict=True)]
        legend = _packed("F1 of ", entries, columns)
    first = next(iter(curves.values()))
    width = min(max(columns - MARGIN, NARROWEST), max(len(first.parameter), USUAL))
    lines = _plot(series, first, results[0].protocol.rule.value, width)
    signs = _packed("", ["* where curves meet;", "| the protocol's threshold"], columns, between=" ")
    return "\n".join([*lines, "", legend, signs, ""])


def curve_page(results: list[Result], digits: int = 1) -> Page:
    """Tabulate each result: the area under its P/R curve, its best F1 and its F1 at the protocol's threshold."""
    rows = []
    for mark, result, (name, curve) in zip(_marks(results), results, curves_of(results).items(), strict=True):
        chosen = curve.parameter.index(result.protocol.rule.value)
        cells = [number(curve.area_under_pr, digits=digits), number(curve.f1[curve.best], digits=digits)]
        cells += [f"{curve.rule}:{curve.parameter[curve.best]:.3g}", number(curve.f1[chosen], digits=digits)]
        cells += [result.protocol.threshold]
        rows.append(Row([Cell(f"{mark}  {name}"), *(Cell(text) for text in cells)]))
    header = ["", "area under P/R", "best F1", "at", "protocol's F1", "at"]
    notes = ["Best F1 is tuned on the data it is reported on."]
    table = Table("Curves, in %", header, rows, notes, optional=(5, 1))
    return Page([table], [f"signature: {results[0].signature}"], partial(curve_text, results))


def curve_lines(results: list[Result]) -> Lines:
    """Lines of a table: one per result and threshold."""
    rows = [
        (name, curve.rule, *values)
        for name, curve in curves_of(results).items()
        for values in zip(curve.parameter, *(getattr(curve, metric.name) for metric in drawn_metrics()), strict=True)
    ]
    return ("system", "rule", "threshold", *(metric.name for metric in drawn_metrics())), rows


def curve_dict(results: list[Result]) -> dict[str, Any]:
    """Give the curves as JSON values."""
    return {
        "schema": 1,
        "systems": {
            name: vars(curve) | {"threshold": result.protocol.threshold, "area_under_pr": curve.area_under_pr}
            for result, (name, curve) in zip(results, curves_of(results).items(), strict=True)
        },
    }


def drawn_metrics() -> list[Metric]:
    """The metrics that have a curve over thresholds."""
    return [metric for metric in metrics() if metric.mark]


def curves_of(results: list[Result]) -> dict[str, Curve]:
    """The curves by names that tell the results apart."""
    curves = {}
    for name, result in zip(distinct([result.name for result in results]), results, strict=True):
        if result.scores.curve is None:
            if result.channel and not result.scores.totals:
                raise NothingToScoreError(
                    f"{name} keeps no curve of channel {result.channel}, one of many",
                    hint="add --attn EXPORT --gt PATH to score it now",
                )
            if result.scores.has_attention:
                raise NothingToScoreError(
                    f"{name} has no curve: none of its items has a relevant region", hint="its notes say why"
                )
            raise NothingToScoreError(f"{name} has no curve: its attention was not scored", hint="score it with --gt")
        curves[name] = result.scores.curve
    return curves


def _marks(results: list[Result]) -> str:
    if len(results) > len(MARKS):
        raise NothingToScoreError(
            f"{len(results)} curves are more than the {len(MARKS)} that can be told apart by one character",
            hint="name fewer results, or pass -f csv or -f json",
        )
    return MARKS[: len(results)]


def _packed(head: str, entries: list[str], columns: int, between: str = "   ") -> str:
    """As many entries on each line as fit."""
    lines = [head + entries[0]]
    for entry in entries[1:]:
        longer = f"{lines[-1]}{between}{entry}"
        if len(longer) <= columns:
            lines[-1] = longer
        else:
            lines.append(" " * len(head) + entry)
    return "\n".join(lines)


def _plot(series: dict[str, list[float]], curve: Curve, threshold: float, width: int) -> list[str]:
    """Marks on a grid; x is the threshold, evenly or in equal ratios as it is swept, y the value in percent."""
    count = len(curve.parameter)
    columns = [round(i * (width - 1) / max(count - 1, 1)) for i in range(count)]
    grid = [[" "] * width for _ in range(HEIGHT)]
    marker = columns[curve.parameter.index(threshold)]
    for line in grid:
        line[marker] = "|"
    for mark, values in series.items():
        for column, value in dict(zip(columns, values, strict=True)).items():
            row = HEIGHT - 1 - math.floor(min(max(value, 0), 1) * (HEIGHT - 1) + 0.5)
            grid[row][column] = mark if grid[row][column] in {" ", "|", mark} else "*"
    lines = [f"{100 * (HEIGHT - 1 - r) / (HEIGHT - 1):5.0f} |{''.join(line).rstrip()}" for r, line in enumerate(grid)]
    low, high = f"{curve.parameter[0]:.3g}", f"{curve.parameter[-1]:.3g}"
    middle = f"threshold {curve.rule}:c{RULES[curve.rule].scale}"
    room = width - len(low) - len(high)
    below = [low + (middle.center(room) if len(middle) + 2 <= room else " " * room) + high]
    # Where the axis has no room for its name, that stands below it.
    below += [] if middle in below[0] else [middle]
    return ["    %", *lines, f"      +{'-' * width}", *(f"       {line}" for line in below)]
