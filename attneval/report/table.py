"""Tables as plain data, which every format renders in its own way, and how numbers look in them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import field
from typing import TYPE_CHECKING

from attneval.arrays.records import record
from attneval.errors import amount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UNDEFINED = "-"
"""The sign for a value that is undefined."""

MINUS = "\u2212"
"""The minus sign, as wide as a plus, which print has in place of the hyphen."""
GOOD, UNSURE, BAD = "good", "unsure", "bad"
"""Tones: what colours stand for where a format has some."""

COUNTED = ("images", "captions", "phrases", "items", "unreachable")
"""The counts that tables say."""
FEW_IMAGES = 30
"""Images with fewer of which intervals are said to mislead."""


def few_images(counted: int, images: int) -> str:
    """Write that the images that count are few, beside all where these are more."""
    have, are = ("has", "is") if counted == 1 else ("have", "are")
    some, which = ("", "") if counted == images else (f"{counted} of ", f" {have} items, which")
    return f"{some}{amount(images, 'image')}{which} {are} few"


def scored_amounts(counts: Mapping[str, int]) -> str:
    """Write how much is scored: images, captions, phrases and items; see the glossary for what each is."""
    held = [name for name in COUNTED if name in counts]
    nouns = [name.removesuffix("s") for name in held]
    return ", ".join(
        f"{counts[name]} {name}" if name == noun else amount(counts[name], noun)
        for name, noun in zip(held, nouns, strict=True)
    )


@record
class Cell:
    """A cell.

    Attributes:
        text: What it says, not yet made safe.
        strong: The best or the headline value.
        mark: A superscript.
        paper: What papers write in its place; empty for the same.
        tone: `good`, `unsure`, `bad`, or empty: what it says besides, for formats that have colours.
    """

    text: str
    strong: bool = False
    mark: str = ""
    paper: str = ""
    tone: str = ""


@record
class Row:
    """A row of cells; `rule` draws a line above it."""

    cells: list[Cell]
    rule: bool = False


@record
class Table:
    """A table.

    Attributes:
        title: What it is about.
        header: The columns' names.
        rows: The rows.
        notes: Lines below it.
        bold: What bold means in it, for formats that have it.
        optional: Columns to leave out first, from the last, where space is short.
        texts: How many of the first columns are text, which begins at the left; the others are numbers.
        paper: The columns' names as papers write them; those of `header` where it is empty.
    """

    title: str
    header: list[str]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bold: str = ""
    optional: tuple[int, ...] = ()
    texts: int = 1
    paper: list[str] = field(default_factory=list)

    @property
    def notes_on_bold_too(self) -> list[str]:
        """The notes of a format that has bold."""
        return [*self.notes, *([self.bold] if self.bold else [])]

    def mark_widths(self) -> list[int]:
        """For each column the room that marks take, so that numbers with and without stand below each other."""
        return [max((len(row.cells[n].mark) for row in self.rows), default=0) for n in range(len(self.header))]


@record
class Entries:
    """Things that are described in a few lines each, for which a table would be too wide.

    Attributes:
        title: What they are.
        entries: The lines of each, the first one its heading.
    """

    title: str
    entries: list[list[str]]


@record
class Page:
    """A page of a report.

    Attributes:
        tables: Tables and entries.
        lines: The lines under them.
        drawing: What draws with characters above them, within so many columns, for formats whose characters are
            equally wide; what it makes is safe.
        tones: What the tones of cells mean.
        caption: What stands in place of the first table's title, in formats for papers.
        label: What papers refer to the first table by.
    """

    tables: Sequence[Table | Entries]
    lines: list[str] = field(default_factory=list)
    drawing: Callable[[int], str] | None = None
    tones: Mapping[str, str] = field(default_factory=dict)
    caption: str = ""
    label: str = ""

    @property
    def tones_used(self) -> list[str]:
        """The tones that some cells have, in the order in which their meaning is given."""
        used = {cell.tone for part in self.tables if isinstance(part, Table) for row in part.rows for cell in row.cells}
        return [tone for tone in self.tones if tone in used]


def safe(text: str) -> str:
    """Text from a file as it can be shown anywhere.

    Control, format and private characters are spelled out, and so is the beginning of what a CI server that reads the
    output would take as a command: `::` at the start of a line, `##[` anywhere.
    """
    shown = text
    if not (text.isascii() and text.isprintable()):
        shown = "".join(c if is_visible(c) else c.encode("unicode_escape").decode("ascii") for c in text)
    if shown.lstrip(" ").startswith("::"):
        shown = shown.replace("::", r"\x3a:", 1)
    return shown.replace("##[", r"\x23#[")


def is_visible(character: str) -> bool:
    """Tell whether a character is shown as itself, the space included."""
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def number(value: float | None, unit: str = "share", digits: int = 1) -> str:
    """A value as tables show it: shares in percent, ranks and nats as they are."""
    if value is None:
        return UNDEFINED
    scaled = 100 * value if unit == "share" else value
    text = f"{scaled:.{digits}f}"
    # A value that rounds to zero has no sign.
    return text.lstrip("-") if float(text) == 0 else text


def interval(ci: tuple[float, float] | None, unit: str = "share", digits: int = 1) -> str:
    """An interval as tables show it."""
    return "" if ci is None else f"[{number(ci[0], unit, digits)}, {number(ci[1], unit, digits)}]"


def typeset(text: str) -> str:
    """A number or an interval with a minus sign in place of each hyphen before a digit."""
    return re.sub(r"-(?=\d)", MINUS, text)
