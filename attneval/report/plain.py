"""Tables as plain ASCII text of any width, for pipes and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.report.table import Entries, safe

if TYPE_CHECKING:
    from attneval.report.table import Page, Row, Table


def render_plain(page: Page) -> str:
    """A page as text: columns padded with spaces, a rule under the header."""
    parts = ["\n".join(_entries(part) if isinstance(part, Entries) else _lines(part)) for part in page.tables]
    parts.append("\n".join(safe(line) for line in page.lines))
    return "\n\n".join(part for part in parts if part) + "\n"


def _entries(entries: Entries) -> list[str]:
    lines = [safe(entries.title), "-" * len(safe(entries.title))]
    for head, *rest in entries.entries:
        lines += [safe(head), *(f"  {safe(line)}" for line in rest)]
    return lines


def _lines(table: Table) -> list[str]:
    rows = [[safe(name) for name in table.header], *(_texts(row) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [safe(table.title), _aligned(rows[0], widths), rule]
    for row, texts in zip(table.rows, rows[1:], strict=True):
        lines += [rule] * row.rule + [_aligned(texts, widths)]
    return lines + [safe(note) for note in table.notes]


def _texts(row: Row) -> list[str]:
    return [safe(cell.text) + (f"^{cell.mark}" if cell.mark else "") for cell in row.cells]


def _aligned(texts: list[str], widths: list[int]) -> str:
    first = texts[0].ljust(widths[0])
    rest = (text.rjust(width) for text, width in zip(texts[1:], widths[1:], strict=True))
    return "  ".join((first, *rest)).rstrip()
