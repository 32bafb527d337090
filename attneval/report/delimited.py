"""A result as comma-separated values: one line per number, unrounded."""

from __future__ import annotations

import io
import unicodedata
from typing import TYPE_CHECKING

from attneval.report.table import safe
from attneval.results.joint import RHO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from attneval.results.result import Result
    from attneval.results.scores import Measured, Scores

    Lines = tuple[Sequence[str], Iterable[Sequence[object]]]
    """A header and lines of values."""

HEADER = ("system", "channel", "group", "metric", "value", "ci_low", "ci_high", "n")
FORMULAS = frozenset("=+-@")
"""What a spreadsheet takes for the beginning of a formula, after spaces and in wide forms, too."""


def result_lines(result: Result) -> Lines:
    """Every number of a result: the headline (channel empty), baselines, breakdowns, joint view and channels."""
    lines = [*_lines(result.name, "", result.scores)]
    for side, view in ({} if result.joint is None else result.joint.sides).items():
        for name, m in {RHO: view.rho, **view.table}.items():
            lines.append((result.name, "", f"joint:{side}", name, m.value, *(m.ci or (None, None)), m.n))
    for channel, scores in result.channels.items():
        lines += _lines(result.name, channel, scores)
    return HEADER, lines


def render_csv(lines: Lines) -> str:
    """A header and lines of values as CSV; nothing is rounded, undefined values are empty."""
    import csv  # which no other command needs

    header, rows = lines
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_guarded(value) for value in row] for row in rows)
    return text.getvalue()


def _guarded(value: object) -> object:
    """A value that no terminal, no CI server and no spreadsheet would obey.

    Text is made safe, after which nothing but spaces can stand before a formula, and an apostrophe keeps it text.
    """
    if not isinstance(value, str):
        return "" if value is None else value
    text = safe(value)
    return f"'{text}" if unicodedata.normalize("NFKC", text.lstrip(" ")[:1]) in FORMULAS else text


def _lines(system: str, channel: str, scores: Scores) -> Iterator[tuple[object, ...]]:
    groups: dict[str, dict[str, Measured]] = {"": scores.metrics}
    groups |= {f"baseline:{name}": table for name, table in scores.baselines.items()}
    groups |= {f"{kind}:{name}": table for kind, tables in scores.by.items() for name, table in tables.items()}
    for group, table in groups.items():
        for name, m in table.items():
            low, high = m.ci or (None, None)
            yield system, channel, group, name, m.value, low, high, m.n
