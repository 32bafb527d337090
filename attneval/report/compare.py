"""A comparison as tables, CSV and JSON values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from attneval.errors import amount
from attneval.metrics.registry import metric_named
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
)
from attneval.report.tones import OF_DIFFERENCES, of_difference

if TYPE_CHECKING:
    from attneval.metrics.declaration import Metric
    from attneval.report.delimited import Lines
    from attneval.results.comparison import Comparison, Difference, Line


def compare_page(comparison: Comparison, digits: int = 1) -> Page:
    """Show all systems in one table, then each candidate against the base."""
    tables = [_overview(comparison, digits)]
    tables += [_against_base(comparison, system, digits) for system in range(1, len(comparison.names))]
    lines = [amount(comparison.images, "image"), *_counts(comparison)]
    if comparison.images_with_items < FEW_IMAGES:
        few = few_images(comparison.images_with_items, comparison.images)
        lines.append(f"note: {few}; intervals and p-values may mislead")
    lines += [f"note: {note}" for note in comparison.notes]
    return Page(tables, [*lines, *_signatures(comparison)], tones=OF_DIFFERENCES)


def _counts(comparison: Comparison) -> list[str]:
    """What values are means over, where systems differ in it."""
    by_counts: dict[tuple[int | None, ...], list[str]] = {}
    for line in comparison.lines:
        if len({count for count in line.n if count is not None}) > 1:
            by_counts.setdefault(line.n, []).append(line.metric)
    return [
        f"n: {', '.join(f'{letter(i)} {UNDEFINED if n is None else n}' for i, n in enumerate(counts))} "
        f"({', '.join(names)})"
        for counts, names in by_counts.items()
    ]


def _signatures(comparison: Comparison) -> list[str]:
    """The base's signature, and those of systems that have another one."""
    lines = [f"signature: {comparison.signature}"]
    for system, signature in enumerate(comparison.signatures):
        if signature != comparison.signature:
            lines.append(f"signature of {letter(system)}: {signature}")
    return lines


def _overview(comparison: Comparison, digits: int) -> Table:
    rows = []
    # Once some systems have two letters, letters that stand together could mean one or two of them.
    between = "" if len(letter(len(comparison.names) - 1)) == 1 else ","
    for system, name in enumerate(comparison.names):
        cells = [Cell(f"{letter(system)}  {name}")]
        for line in comparison.lines:
            marks = between.join(letter(i) for i in line.better_than[system])
            value = number(line.values[system], metric_named(line.metric).unit, digits)
            cells.append(Cell(value, strong=system in line.best, mark=marks))
        rows.append(Row(cells))
    notes = [f"Letters: significantly better than that system (p < {comparison.alpha:g} after Holm)."]
    if any(line.metric not in comparison.family for line in comparison.lines):
        adjusted = ", ".join(comparison.family) or "none of them"
        notes.append(f"Holm's family: {adjusted}; other p-values are raw and give no letters.")
    header = ["", *(line.metric for line in comparison.lines)]
    paper = ["", *(metric_named(line.metric).in_papers for line in comparison.lines)]
    # What matters most stays longest.
    order = [i + 1 for i, line in enumerate(comparison.lines) if not metric_named(line.metric).main]
    return Table("Systems, in % (ranks as they are)", header, rows, notes, "Best in bold.", tuple(order), paper=paper)


def _against_base(comparison: Comparison, system: int, digits: int) -> Table:
    base, name = comparison.names[0], comparison.names[system]
    rows = [_row(line, system, digits, comparison.alpha) for line in comparison.lines]
    header = ["", letter(0), letter(system), "change", "95 % interval", "p", "p (Holm)", "win/tie/loss"]
    return Table(f"{letter(system)} {name} against {letter(0)} {base}", header, rows, optional=(7, 5, 2, 1))


def _row(line: Line, system: int, digits: int, alpha: float) -> Row:
    metric = metric_named(line.metric)
    values = [
        Cell(number(line.values[s], metric.unit, digits), strong=s in line.best and len(line.best) < len(line.values))
        for s in (0, system)
    ]
    name, difference = Cell(line.metric, paper=metric.in_papers), line.differences[system]
    if difference is None:
        return Row([name, *values, *([Cell("")] * 5)])
    return Row([name, *values, *_difference(difference, metric, digits, alpha)])


def _difference(difference: Difference, metric: Metric, digits: int, alpha: float) -> list[Cell]:
    delta = number(difference.delta, metric.unit, digits)
    counts = f"{difference.wins}/{difference.ties}/{difference.losses}" if metric.by_image else ""
    tone = of_difference(difference, metric, alpha)
    return [
        Cell(delta if delta.startswith("-") or float(delta) == 0 else f"+{delta}", tone=tone),
        Cell(interval(difference.ci, metric.unit, digits)),
        Cell(p_text(difference.p)),
        Cell("" if difference.p_holm is None else p_text(difference.p_holm)),
        Cell(counts),
    ]


def letter(system: int) -> str:
    """Name a system in marks: a, b, ..., z, aa, ab, ..."""
    return ("" if system < 26 else letter(system // 26 - 1)) + chr(ord("a") + system % 26)


def p_text(p: float) -> str:
    """Write a p-value with as many digits as it deserves; never 0."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def compare_dict(comparison: Comparison) -> dict[str, Any]:
    """Give the comparison as JSON values, unrounded."""
    return {
        "schema": 1,
        "systems": list(comparison.names),
        "images": comparison.images,
        "signature": comparison.signature,
        "signatures": dict(zip(comparison.names, comparison.signatures, strict=False)),
        "across_regions": comparison.across_regions,
        "family": list(comparison.family),
        "images_with_items": comparison.images_with_items,
        "alpha": comparison.alpha,
        "trials": comparison.trials,
        "notes": list(comparison.notes),
        "metrics": {line.metric: _line_dict(comparison, line) for line in comparison.lines},
    }


def _line_dict(comparison: Comparison, line: Line) -> dict[str, Any]:
    names = comparison.names
    return {
        "higher_is_better": metric_named(line.metric).higher_is_better,
        "value": dict(zip(names, line.values, strict=True)),
        "n": dict(zip(names, line.n, strict=True)),
        "ci": dict(zip(names, line.intervals, strict=True)),
        "best": [names[i] for i in line.best],
        "better_than": {names[j]: [names[i] for i in beaten] for j, beaten in enumerate(line.better_than)},
        "difference": {
            name: None if difference is None else dataclasses.asdict(difference)
            for name, difference in list(zip(names, line.differences, strict=True))[1:]
        },
    }


def compare_lines(comparison: Comparison) -> Lines:
    """Lines of a table: one per system and metric, unrounded."""
    header = ("metric", "system", "value", "ci_low", "ci_high", "delta", "delta_low", "delta_high", "p", "p_holm")
    rows = []
    for line in comparison.lines:
        for system, name in enumerate(comparison.names):
            low, high = line.intervals[system] or (None, None)
            difference = line.differences[system]
            tail: tuple[object, ...] = (None,) * 8
            if difference is not None:
                bounds = difference.ci or (None, None)
                counts = (difference.wins, difference.ties, difference.losses)
                tail = (difference.delta, *bounds, difference.p, difference.p_holm, *counts)
            rows.append((line.metric, name, line.values[system], low, high, *tail))
    return (*header, "wins", "ties", "losses"), rows
