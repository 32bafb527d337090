"""Report formats: one table that commands take their choices and suffixes from.

A format is a function in a file of its own and a line here. The function takes what the format shows and returns text:

- `page`: a `Page` of tables, for people;
- `values`: JSON values, unrounded;
- `lines`: a header and lines of values, unrounded;
- `verdict`: the `Verdict` of a gate.

The command line reads this table before anything heavy is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Sources = Mapping[str, Callable[[], Any]]
    """Things that a command can show, by kind, made when a format asks for them."""

TERMINAL = "table"
"""The one format that is no text but printed, since it depends on the terminal."""
PIPE = "plain"
"""The format of a stdout that is no terminal."""


@record
class ReportFormat:
    """A line of the table.

    Attributes:
        name: What `-f` calls it.
        suffix: What a file's name ends with to be written in it; empty where it is no format of files.
        shows: What it takes: `page`, `values`, `lines` or `verdict`.
        render: "module:function", imported when it is used.
        commands: Those that offer it.
    """

    name: str
    suffix: str
    shows: str
    render: str
    commands: tuple[str, ...]

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        module, _, name = self.render.partition(":")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return function

    def text(self, sources: Sources) -> str:
        """Show what a command has to show, in this format."""
        return str(self.load()(sources[self.shows]()))


ALL = ("score", "merge", "compare", "heads", "curve", "inspect", "doctor", "gate")
ITEMS = ("score", "merge", "compare", "heads", "curve", "inspect", "doctor")
"""Commands that have more to say than a verdict."""

FORMATS = {
    line.name: line
    for line in (
        ReportFormat(TERMINAL, "", "page", "attneval.report.terminal:print_terminal", ALL),
        ReportFormat(PIPE, ".txt", "page", "attneval.report.plain:render_plain", ALL),
        ReportFormat("json", ".json", "values", "attneval.report.json:render_json", ALL),
        ReportFormat("csv", ".csv", "lines", "attneval.report.delimited:render_csv", ITEMS),
        ReportFormat("markdown", ".md", "page", "attneval.report.markdown:render_markdown", ALL),
        ReportFormat("latex", ".tex", "page", "attneval.report.latex:render_latex", ("compare", "heads")),
        ReportFormat("junit", ".xml", "verdict", "attneval.report.gate:gate_junit", ("gate",)),
    )
}
"""Report formats by name."""


def offered_by(command: str) -> dict[str, ReportFormat]:
    """The formats that a command offers, by name."""
    return {name: line for name, line in FORMATS.items() if command in line.commands}


def by_suffix(command: str) -> dict[str, ReportFormat]:
    """The formats of a command's files, by suffix."""
    return {line.suffix: line for line in offered_by(command).values() if line.suffix}
