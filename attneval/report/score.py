"""A result as tables: the headline, what stands beside it, retrieval, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.config.breakdowns import BREAKDOWNS
from attneval.metrics.registry import REGISTRY
from attneval.report.table import Cell, Page, Row, Table, interval, number
from attneval.results.summary import BASELINES

if TYPE_CHECKING:
    from attneval.results.result import Result
    from attneval.results.scores import Scores

BREAKDOWN = ("precision", "recall", "f1", "ap", "pointing", "coverage")


def score_page(result: Result, digits: int = 1) -> Page:
    """The tables of one result."""
    tables = []
    if "items" in result.scores.sums.columns:
        tables.append(_attention(result, digits))
    if "rsum" in result.metrics:
        tables.append(_retrieval(result, digits))
    if result.channels:
        tables.append(_channels(result, digits))
    tables += [_breakdown(result.scores, kind, digits) for kind, groups in result.scores.by.items() if groups]
    return Page(tables, lines_under(result))


def lines_under(result: Result) -> list[str]:
    """What has to be said with the numbers: how much was scored, the notes, the signature."""
    names = {
        "images": "images",
        "captions": "captions",
        "phrases": "phrases",
        "items": "items",
        "unreachable": "unreachable",
    }
    counted = ", ".join(f"{result.counts[key]} {name}" for key, name in names.items() if key in result.counts)
    lines = [counted] if counted else []
    if len(result.scores.sums.image_id) < 30:
        lines.append(f"note: {len(result.scores.sums.image_id)} images are few; intervals may be too narrow")
    lines += [f"note: {note}" for note in result.notes]
    return [*lines, f"signature: {result.signature}"]


def _attention(result: Result, digits: int) -> Table:
    scores = result.scores
    bases = [name for name in BASELINES if name in scores.baselines]
    average = "micro_" if result.protocol.average == "micro" else ""
    headline = {f"{average}{name}" for name in ("precision", "recall", "f1")}
    rows = []
    group = ""
    for name, measured in scores.metrics.items():
        metric = REGISTRY[name]
        if metric.group == "retrieval":
            continue
        strong = name in headline
        value = number(measured.value, metric.unit, digits)
        cells = [
            Cell(metric.title if name != "best_f1" else _best_f1_title(scores), strong=strong),
            Cell(value, strong=strong),
            Cell(interval(measured.ci, metric.unit, digits)),
        ]
        for base in bases:
            found = scores.baselines[base].get(name)
            cells.append(Cell("" if found is None else number(found.value, metric.unit, digits)))
        rows.append(Row(cells, rule=bool(group) and metric.group != group))
        group = metric.group
    title = f"Attention of {result.name}, in %" if result.name else "Attention, in %"
    header = ["", "value", "95 % interval", *bases]
    return Table(title, header, rows, optional=tuple(range(3, len(header))))


def _best_f1_title(scores: Scores) -> str:
    """The title says which threshold the number was tuned to."""
    title = REGISTRY["best_f1"].title
    if scores.curve is None:
        return title
    return f"{title} at {scores.curve.rule}:{scores.curve.parameter[scores.curve.best]:.3g}"


def _retrieval(result: Result, digits: int) -> Table:
    columns = {"r@1": "R@1", "r@5": "R@5", "r@10": "R@10", "medr": "median rank", "meanr": "mean rank"}
    rows = []
    for direction, title in (("i2t", "image to text"), ("t2i", "text to image")):
        named = {f"{direction}_{short}": result.metrics[f"{direction}_{short}"] for short in columns}
        values = [Cell(number(m.value, REGISTRY[name].unit, digits)) for name, m in named.items()]
        bounds = [Cell(interval(m.ci, REGISTRY[name].unit, digits)) for name, m in named.items()]
        rows += [Row([Cell(title), *values]), Row([Cell("  interval"), *bounds])]
    rsum = result.metrics["rsum"]
    note = f"rSum {number(rsum.value, digits=digits)} {interval(rsum.ci, digits=digits)}".rstrip()
    return Table("Retrieval, Recall@K in %", ["", *columns.values()], rows, [note], optional=(5, 4))


def _channels(result: Result, digits: int) -> Table:
    names = ("precision", "recall", "f1", "ap", "pointing", "specificity")
    best = max((s.metrics["f1"].value or 0.0 for s in result.channels.values()), default=0.0)
    rows = []
    for channel, scores in result.channels.items():
        strong = scores.metrics["f1"].value == best
        cells = [
            Cell(number(scores.metrics[name].value, digits=digits), strong=strong and name == "f1") for name in names
        ]
        rows.append(Row([Cell(channel), *cells]))
    header = ["Channel", *(_short(name) for name in names)]
    return Table("By channel and direction, in %", header, rows, optional=(6, 5, 4))


def _breakdown(scores: Scores, kind: str, digits: int) -> Table:
    breakdown = BREAKDOWNS[kind]
    rows = []
    for group, table in scores.by[kind].items():
        values = [
            Cell(number(table[name].value, REGISTRY[name].unit, digits), strong=name == "f1") for name in BREAKDOWN
        ]
        rows.append(Row([Cell(breakdown.label(group)), Cell(str(table["coverage"].n)), *values]))
    return Table(
        f"{breakdown.title}, in %",
        [breakdown.header, "items", *(_short(name) for name in BREAKDOWN)],
        rows,
        optional=(7, 6, 5),
    )


def _short(name: str) -> str:
    return {"ap": "AP", "f1": "F1"}.get(name, name)
