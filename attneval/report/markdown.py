"""Tables as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attneval.report.table import Entries, safe

if TYPE_CHECKING:
    from attneval.report.table import Cell, Page, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#!~&])")


def render_markdown(page: Page) -> str:
    """A page as Markdown: one table after the other, the lines under them as a list."""
    parts = ["\n".join(_entries(part) if isinstance(part, Entries) else _lines(part)) for part in page.tables]
    parts.append("\n".join(f"- {escaped(line)}" for line in page.lines))
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", safe(text))


def _entries(entries: Entries) -> list[str]:
    lines = [f"**{escaped(entries.title)}**", ""]
    for head, *rest in entries.entries:
        lines += [f"- **{escaped(head)}**", *(f"  - {escaped(line)}" for line in rest)]
    return lines


def _lines(table: Table) -> list[str]:
    header = [escaped(name) or " " for name in table.header]
    rule = [":--" if number < table.texts else "--:" for number in range(len(header))]
    lines = [f"**{escaped(table.title)}**", "", _joined(header), _joined(rule)]
    lines += [_joined([_cell(cell) for cell in row.cells]) for row in table.rows]
    return lines + [line for note in table.notes_on_bold_too for line in ("", escaped(note))]


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.strong and text:
        text = f"**{text}**"
    return text + (f"<sup>{escaped(cell.mark)}</sup>" if cell.mark else "")


def _joined(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
