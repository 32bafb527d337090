"""Tables on a terminal, with rich."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from attneval.report.table import BAD, GOOD, UNSURE, Entries, safe

if TYPE_CHECKING:
    from attneval.report.table import Cell, Page, Table


def print_terminal(page: Page, stream: IO[str], *, color: bool | None = None) -> None:
    """Print a page to a terminal.

    Optional columns are left out where they do not fit, and named below the table; text is never cut. Where the
    terminal's encoding lacks a character it is spelled out.

    Args:
        page: The tables.
        stream: The terminal.
        color: Whether to use colours and weights; by default as the terminal and `NO_COLOR` say.
    """
    console = make_console(stream, color=color)
    drawn = page.drawing(console.width) if page.drawing is not None else ""
    if drawn:
        stream.write(f"{drawn}\n".encode(console.encoding, "backslashreplace").decode(console.encoding))
    for part in page.tables:
        if isinstance(part, Entries):
            _print_entries(part, console)
            continue
        _print_line(part.title, console, style="bold")
        made, left_out = _fitted(part, console)
        console.print(made, highlight=False)
        if left_out:
            _print_line(f"no room for: {', '.join(part.header[column] for column in sorted(left_out))}", console)
        for note in part.notes_on_bold_too:
            _print_line(note, console)
        console.print()
    if page.tones_used and console.color_system is not None and not console.no_color:
        console.print(_key(page))
    for line in page.lines:
        _print_line(line, console)


ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""A rule below the head and nothing else, as where there are more characters."""
STYLES = {GOOD: "green", UNSURE: "yellow", BAD: "red"}
"""The colours of tones."""


def _key(page: Page) -> Text:
    """What the colours mean that are used."""
    parts = [(f"{STYLES[tone]}: {page.tones[tone]}", STYLES[tone]) for tone in page.tones_used]
    return Text("; ").join(Text(text, style=style) for text, style in parts)


def _print_line(line: str, console: Console, *, style: str = "dim", indent: int = 0) -> None:
    """Print a line of text, broken where words end."""
    text = _folded(_text(line, console), console.width - indent)
    for part in text.split("\n"):
        console.print(Text(" " * indent) + part, style=style, highlight=False)


def _folded(text: Text, width: int) -> Text:
    """Lines that break at spaces, and within signatures between their fields."""
    lines = [""]
    for piece in re.split(r"(?<=[ |])", text.plain):
        if len(lines[-1]) + len(piece.rstrip()) > width and lines[-1]:
            lines.append("")
        lines[-1] += piece
    return Text("\n".join(line.rstrip() for line in lines))


def make_console(stream: IO[str], *, color: bool | None = None) -> Console:
    """A console for a stream; `color` None leaves it to the terminal and `NO_COLOR`."""
    return Console(
        file=stream,
        force_terminal=True if color else None,
        no_color=True if color is False else None,
        highlight=False,
        legacy_windows=False,
    )


def _print_entries(entries: Entries, console: Console) -> None:
    _print_line(entries.title, console, style="bold")
    console.print()
    for head, *rest in entries.entries:
        _print_line(head, console, style="bold")
        for line in rest:
            _print_line(line, console, style="", indent=2)
    console.print()


def _fitted(table: Table, console: Console) -> tuple[RichTable, set[int]]:
    """The table with as many of its columns as the terminal has room for, and the columns that are left out."""
    hidden: set[int] = set()
    for column in (None, *sorted(table.optional, reverse=True)):
        hidden |= set() if column is None else {column}
        made = _build(table, console, hidden)
        if console.measure(made).minimum <= console.width and made.columns:
            widest = console.measure(made, options=console.options.update(width=10**6)).maximum
            if widest <= console.width:
                break
    return made, hidden


def _build(table: Table, console: Console, hidden: set[int]) -> RichTable:
    unicode = console.encoding.lower().startswith("utf")
    made = RichTable(
        box=box.SIMPLE_HEAD if unicode else ASCII_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    marks = table.mark_widths()
    for number, name in enumerate(table.header):
        if number not in hidden:
            made.add_column(_text(name, console), justify="left" if number < table.texts else "right", overflow="fold")
    for place, row in enumerate(table.rows):
        if row.rule and place:
            made.add_section()
        cells = zip(row.cells, marks, strict=True)
        made.add_row(*(_cell(cell, width, console) for n, (cell, width) in enumerate(cells) if n not in hidden))
    return made


def _cell(cell: Cell, mark_width: int, console: Console) -> Text:
    text = _text(cell.text, console)
    if cell.strong:
        text.stylize("bold")
    if cell.tone:
        text.stylize(STYLES[cell.tone])
    if mark_width:
        text.append(f" {cell.mark:{mark_width}}", style="dim")
    return text


def _text(text: str, console: Console) -> Text:
    """Text without markup, in characters that the terminal's encoding has."""
    return Text(safe(text).encode(console.encoding, "backslashreplace").decode(console.encoding))
