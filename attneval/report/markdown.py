"""Tables as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attneval.report.table import Entries, safe, typeset

if TYPE_CHECKING:
    from attneval.report.table import Cell, Page, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#!~&])")


def render_markdown(page: Page) -> str:
    """A page as Markdown: one table after the other, the lines under them as a list.

    The first table has the page's caption, where there is one, in place of its title.
    """
    captions = [page.caption, *[""] * len(page.tables)]
    parts = [
        "\n".join(_entries(part) if isinstance(part, Entries) else _lines(part, caption))
        for part, caption in zip(page.tables, captions, strict=False)
    ]
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


def _lines(table: Table, caption: str) -> list[str]:
    header = [escaped(name) or " " for name in table.paper or table.header]
    rule = [":--" if number < table.texts else "--:" for number in range(len(header))]
    lines = [f"**{escaped(caption or table.title)}**", "", _joined(header), _joined(rule)]
    lines += [
        _joined([_cell(cell, is_text=place < table.texts) for place, cell in enumerate(row.cells)])
        for row in table.rows
    ]
    return lines + [line for note in table.notes_on_bold_too for line in ("", escaped(note))]


def _cell(cell: Cell, *, is_text: bool) -> str:
    text = escaped(cell.paper or cell.text)
    text = text if is_text else typeset(text)
    if cell.strong and text:
        text = f"**{text}**"
    return text + (f"<sup>{escaped(cell.mark)}</sup>" if cell.mark else "")


def _joined(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
