"""Tables as a piece of HTML for notebooks, which needs nothing else and takes the colours of where it stands.

Notebooks show pieces of HTML without their scripts, and some without style sheets: each element carries what it needs.
Colours are those of the text around, so that it is readable on light and on dark.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from attneval.report.table import Table, safe, typeset

if TYPE_CHECKING:
    from attneval.report.table import Cell, Page, Row

OPEN_TABLES = 2
"""Tables that are shown at once; further ones are folded."""
FOLDED_LINES = "signature"
"""How lines begin that are folded: they are long, and looked up more than read."""
_RULE = "border:0;border-{}:1px solid;border-color:color-mix(in srgb,currentColor 30%,transparent)"
_PLAIN = "background:none;color:inherit"


def render_fragment(page: Page) -> str:
    """A page as HTML: tables, then the lines under them; every text is only ever text."""
    tables = [part for part in page.tables if isinstance(part, Table)]
    parts = [_table(table) for table in tables[:OPEN_TABLES]]
    parts += [_folded(table.title, _table(table, titled=False)) for table in tables[OPEN_TABLES:]]
    said = [line for line in page.lines if not line.startswith(FOLDED_LINES)]
    signatures = [line for line in page.lines if line.startswith(FOLDED_LINES)]
    parts += [f'<div style="{_PLAIN};opacity:.75;max-width:60em">{_text(line)}</div>' for line in said]
    if signatures:
        lines = "".join(
            f'<div style="overflow-wrap:anywhere;max-width:60em">{_text(line)}</div>' for line in signatures
        )
        parts.append(_folded("signature", lines))
    return f'<div style="{_PLAIN};font-size:90%;max-width:100%;overflow-x:auto">{"".join(parts)}</div>'


def _folded(title: str, content: str) -> str:
    return f'<details style="{_PLAIN}"><summary style="cursor:pointer">{_text(title)}</summary>{content}</details>'


def _table(table: Table, *, titled: bool = True) -> str:
    style = f"{_PLAIN};caption-side:top;text-align:left;font-weight:bold"
    caption = f'<caption style="{style}">{_text(table.title)}</caption>' if titled else ""
    names = "".join(
        f'<th scope="col" style="{_look(place, table, _RULE.format("bottom"))}">{_text(name)}</th>'
        for place, name in enumerate(table.header)
    )
    content = f"<thead><tr>{names}</tr></thead><tbody>{''.join(_row(row, table) for row in table.rows)}</tbody>"
    notes = "".join(f'<div style="{_PLAIN};opacity:.75">{_text(note)}</div>' for note in table.notes_on_bold_too)
    style = f"{_PLAIN};border-collapse:collapse;border:0;margin:.4em 0"
    return f'<table style="{style}">{caption}{content}</table>{notes}'


def _row(row: Row, table: Table) -> str:
    rule = _RULE.format("top") if row.rule else "border:0"
    cells = "".join(
        f'<th scope="row" style="{_look(0, table, rule)};font-weight:normal">{_cell(cell, 0, table)}</th>'
        if place == 0
        else f'<td style="{_look(place, table, rule)}">{_cell(cell, place, table)}</td>'
        for place, cell in enumerate(row.cells)
    )
    return f'<tr style="{_PLAIN}">{cells}</tr>'


def _look(place: int, table: Table, border: str) -> str:
    side = "left" if place < table.texts else "right"
    return f"{_PLAIN};{border};text-align:{side};padding:.1em .6em;white-space:nowrap"


def _cell(cell: Cell, place: int, table: Table) -> str:
    text = escape(typeset(safe(cell.text)) if place >= table.texts else safe(cell.text))
    text = f"<b>{text}</b>" if cell.strong and text else text
    room = table.mark_widths()[place]
    if not room:
        return text
    # Numbers with and without marks stand below each other.
    look = f"display:inline-block;width:{room}ch;text-align:left;line-height:0"
    return f'{text}<sup style="{look}">{escape(safe(cell.mark))}</sup>'


def _text(text: str) -> str:
    return escape(safe(text))
