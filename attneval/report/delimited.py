"""A result as comma-separated values: one line per number, unrounded."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from attneval.results.result import Result
    from attneval.results.scores import Measured, Scores

HEADER = ("system", "channel", "group", "metric", "value", "ci_low", "ci_high", "n")


def result_csv(result: Result) -> str:
    """Write every number of a result: the headline (channel empty), baselines, breakdowns and channels."""
    lines = [*_lines(result.name, "", result.scores)]
    for channel, scores in result.channels.items():
        lines += _lines(result.name, channel, scores)
    return to_csv(HEADER, lines)


def to_csv(header: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    """Write lines of values as CSV; nothing is rounded, undefined values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else _guarded(value) for value in line] for line in lines)
    return text.getvalue()


def _guarded(value: object) -> object:
    """Text that a spreadsheet would run as a formula is kept from it by an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def _lines(system: str, channel: str, scores: Scores) -> Iterator[tuple[object, ...]]:
    groups: dict[str, dict[str, Measured]] = {"": scores.metrics}
    groups |= {f"baseline:{name}": table for name, table in scores.baselines.items()}
    groups |= {f"{kind}:{name}": table for kind, found in scores.by.items() for name, table in found.items()}
    for group, table in groups.items():
        for name, m in table.items():
            low, high = m.ci or (None, None)
            yield system, channel, group, name, m.value, low, high, m.n
