"""Curves over thresholds: a plot of characters, a table, CSV and JSON values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attneval.compare import letter
from attneval.errors import NothingToScoreError
from attneval.report.delimited import to_csv
from attneval.report.table import Cell, Page, Row, Table, number, safe

if TYPE_CHECKING:
    from attneval.result import Result
    from attneval.scores import Curve

HEIGHT, WIDTH = 16, 66
LABELS = {"precision": "P", "recall": "R", "f1": "F"}


def curve_text(results: list[Result]) -> str:
    """A plot that reads well at 80 columns: precision, recall and F1 of one result, or F1 of several."""
    if len(results) == 1:
        curve = _curve(results[0])
        series = {mark: getattr(curve, name) for name, mark in LABELS.items()}
        legend = "P precision   R recall   F F1"
    else:
        series = {letter(i): _curve(result).f1 for i, result in enumerate(results)}
        legend = "F1 of " + "   ".join(f"{letter(i)} {result.name}" for i, result in enumerate(results))
    first = _curve(results[0])
    lines = _plot(series, first, results[0].protocol.rule.value)
    return "\n".join([*lines, "", safe(legend), "* where curves meet; | the protocol's threshold", ""])


def curve_page(results: list[Result], digits: int = 1) -> Page:
    """For each result: the area under its P/R curve, its best F1 and its F1 at the protocol's threshold."""
    rows = []
    for i, result in enumerate(results):
        curve = _curve(result)
        own = curve.parameter.index(result.protocol.rule.value)
        cells = [number(curve.area_under_pr, digits=digits), number(curve.f1[curve.best], digits=digits)]
        cells += [f"{curve.rule}:{curve.parameter[curve.best]:.3g}", number(curve.f1[own], digits=digits)]
        cells += [result.protocol.threshold]
        rows.append(Row([Cell(f"{letter(i)}  {result.name}"), *(Cell(text) for text in cells)]))
    header = ["", "area under P/R", "best F1", "at", "F1", "at the protocol's"]
    notes = ["best F1 is tuned on the data it is reported on"]
    return Page([Table("Curves, in %", header, rows, notes)], [f"signature: {results[0].signature}"])


def curve_csv(results: list[Result]) -> str:
    """One line per result and threshold."""
    rows = [
        (result.name, curve.rule, *values)
        for result in results
        for curve in (_curve(result),)
        for values in zip(curve.parameter, curve.precision, curve.recall, curve.f1, strict=True)
    ]
    return to_csv(("system", "rule", "threshold", "precision", "recall", "f1"), rows)


def curve_dict(results: list[Result]) -> dict[str, Any]:
    """The curves as JSON values."""
    return {
        "schema": 1,
        "systems": {
            result.name: vars(_curve(result))
            | {"threshold": result.protocol.threshold, "area_under_pr": _curve(result).area_under_pr}
            for result in results
        },
    }


def _curve(result: Result) -> Curve:
    curve = result.scores.curve
    if curve is None:
        raise NothingToScoreError(f"{result.name} has no curve: its attention was not scored")
    return curve


def _plot(series: dict[str, list[float]], curve: Curve, threshold: float) -> list[str]:
    """Marks on a grid; x is the threshold, evenly or in equal ratios as it is swept, y the value in percent."""
    count = len(curve.parameter)
    columns = [round(i * (WIDTH - 1) / max(count - 1, 1)) for i in range(count)]
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    marker = columns[curve.parameter.index(threshold)]
    for line in grid:
        line[marker] = "|"
    for mark, values in series.items():
        for column, value in dict(zip(columns, values, strict=True)).items():
            row = HEIGHT - 1 - math.floor(min(max(value, 0), 1) * (HEIGHT - 1) + 0.5)
            grid[row][column] = mark if grid[row][column] in {" ", "|", mark} else "*"
    lines = [f"{100 * (HEIGHT - 1 - r) / (HEIGHT - 1):5.0f} |{''.join(line).rstrip()}" for r, line in enumerate(grid)]
    low, high = f"{curve.parameter[0]:.3g}", f"{curve.parameter[-1]:.3g}"
    middle = f"threshold {curve.rule}:c"
    axis = low + middle.center(WIDTH - len(low) - len(high)) + high
    return ["    %", *lines, f"      +{'-' * WIDTH}", f"       {axis}"]
