"""Tables on a terminal, with rich."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from attneval.report.table import Entries, safe

if TYPE_CHECKING:
    from attneval.report.table import Cell, Page, Table


def print_terminal(page: Page, stream: IO[str], *, color: bool | None = None) -> None:
    """Print a page to a terminal.

    Optional columns are left out where they do not fit; text is never cut. Where the terminal's encoding lacks a
    character it is spelled out.

    Args:
        page: The tables.
        stream: The terminal.
        color: Whether to use colours and weights; by default as the terminal and `NO_COLOR` say.
    """
    console = make_console(stream, color=color)
    for part in page.tables:
        if isinstance(part, Entries):
            _print_entries(part, console)
            continue
        console.print(_fitted(part, console), highlight=False)
        for note in part.notes:
            console.print(_text(note, console), style="dim")
        console.print()
    for line in page.lines:
        console.print(_text(line, console), style="dim", soft_wrap=False, highlight=False)


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
    console.print(_text(entries.title, console), style="bold")
    console.print()
    for head, *rest in entries.entries:
        console.print(_text(head, console), style="bold")
        for line in rest:
            console.print(Padding(_text(line, console), (0, 0, 0, 2)), highlight=False)
    console.print()


def _fitted(table: Table, console: Console) -> RichTable:
    """The table with as many of its columns as the terminal has room for."""
    hidden: set[int] = set()
    for column in (None, *sorted(table.optional, reverse=True)):
        hidden |= set() if column is None else {column}
        made = _build(table, console, hidden)
        if console.measure(made).minimum <= console.width and made.columns:
            widest = console.measure(made, options=console.options.update(width=10**6)).maximum
            if widest <= console.width:
                return made
    return made


def _build(table: Table, console: Console, hidden: set[int]) -> RichTable:
    unicode = console.encoding.lower().startswith("utf")
    made = RichTable(
        title=_text(table.title, console),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if unicode else box.ASCII2,
        pad_edge=False,
    )
    for number, name in enumerate(table.header):
        if number not in hidden:
            made.add_column(_text(name, console), justify="left" if number == 0 else "right", overflow="fold")
    for place, row in enumerate(table.rows):
        if row.rule and place:
            made.add_section()
        made.add_row(*(_cell(cell, console) for number, cell in enumerate(row.cells) if number not in hidden))
    return made


def _cell(cell: Cell, console: Console) -> Text:
    text = _text(cell.text, console)
    if cell.strong:
        text.stylize("bold")
    if cell.mark:
        text.append(f" {cell.mark}", style="dim")
    return text


def _text(text: str, console: Console) -> Text:
    """Text without markup, in characters that the terminal's encoding has."""
    return Text(safe(text).encode(console.encoding, "backslashreplace").decode(console.encoding))
