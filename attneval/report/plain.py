"""Tables as plain ASCII text of any width, for pipes and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.report.table import Entries, safe

if TYPE_CHECKING:
    from attneval.report.table import Page, Row, Table


COLUMNS = 80
"""Columns that drawings have."""


def render_plain(page: Page) -> str:
    """Render a page as text: columns padded with spaces, a rule under the header."""
    drawn = page.drawing(COLUMNS) if page.drawing is not None else ""
    above = f"{drawn}\n" if drawn else ""
    parts = ["\n".join(_entries(part) if isinstance(part, Entries) else _lines(part)) for part in page.tables]
    parts.append("\n".join(safe(line) for line in page.lines))
    return above + "\n\n".join(part for part in parts if part) + "\n"


def _entries(entries: Entries) -> list[str]:
    lines = [safe(entries.title), "-" * len(safe(entries.title))]
    for head, *rest in entries.entries:
        lines += [safe(head), *(f"  {safe(line)}" for line in rest)]
    return lines


def _lines(table: Table) -> list[str]:
    marks = table.mark_widths()
    rows = [[safe(name) for name in table.header], *(_texts(row, marks) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [safe(table.title), _aligned(rows[0], widths, table.texts), rule]
    for row, texts in zip(table.rows, rows[1:], strict=True):
        lines += [rule] * row.rule + [_aligned(texts, widths, table.texts)]
    return lines + [safe(note) for note in table.notes]


def _texts(row: Row, marks: list[int]) -> list[str]:
    return [
        safe(cell.text) + (f"{'^' if cell.mark else ' '}{cell.mark:{width}}" if width else "")
        for cell, width in zip(row.cells, marks, strict=True)
    ]


def _aligned(texts: list[str], widths: list[int], left: int) -> str:
    padded = (
        text.ljust(width) if number < left else text.rjust(width)
        for number, (text, width) in enumerate(zip(texts, widths, strict=True))
    )
    return "  ".join(padded).rstrip()
