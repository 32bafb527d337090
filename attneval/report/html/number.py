"""Numbers as the page shows them: rounded for reading, with the unrounded value and its place in the result beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attneval.report.markup import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable

MINUS, NO_BREAK, UNDEFINED = "\u2212", "\u00a0", "\u2013"

STYLES = ("share", "signed", "size", "way", "count", "rank", "plain", "p")
"""`share` in %; `signed` in points with a plus; `size` in points without a sign; `way` in whole %; `count` with
thousands; `rank`; `p`, a p-value; `plain` as it is."""


@dataclass(frozen=True)
class Number:
    """A number with where it comes from.

    Attributes:
        value: Unrounded; None where it is undefined.
        source: JSON pointer (RFC 6901) into the result, or into what a prefix such as `compare:` names; empty for a
            number that was counted from items.
        minus: The pointer of what was taken off.
        toward: The pointer of the ceiling, for a share of the way from `minus` to it.
        style: One of `STYLES`.
    """

    value: float | None
    source: str = ""
    minus: str = ""
    toward: str = ""
    style: str = "share"

    @property
    def text(self) -> str:
        """The number as it is read."""
        return shown(self.value, self.style)

    def __str__(self) -> str:
        return self.text

    def __html__(self) -> Markup:
        if self.value is None:
            return Markup(UNDEFINED)  # noqa: S704 - a dash
        origin = {"from": self.source, "minus": self.minus, "toward": self.toward, "style": self.style}
        if self.style == "share":
            origin.pop("style")
        attributes = Markup("").join(
            Markup(' data-{}="{}"').format(name, place) for name, place in origin.items() if place
        )
        return Markup('<data value="{}"{}>{}</data>').format(repr(self.value), attributes, self.text)


Sentence = tuple["str | Number | Strong", ...]
"""Text with numbers in it."""


@dataclass(frozen=True)
class Strong:
    """A part of a sentence that stands out."""

    text: str

    def __html__(self) -> Markup:
        return Markup("<strong>{}</strong>").format(self.text)


def sentence(parts: Iterable[str | Number | Strong]) -> Markup:
    """A sentence as HTML."""
    # A number and its unit stay on one line.
    return Markup("").join(escape(part).replace(" %", f"{NO_BREAK}%") for part in parts)


def shown(value: float | None, style: str = "share") -> str:
    """A value as text; a value that rounds to zero has no sign."""
    if value is None:
        return UNDEFINED
    if style == "count":
        return f"{value:,.0f}"
    if style == "p":
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    if style == "plain":
        return _minus(f"{value:.4g}")
    digits = {"rank": 1, "way": 0}.get(style, 1)
    scaled = value if style == "rank" else 100 * value
    text = f"{scaled:.{digits}f}"
    if style == "rank":
        text = text.removesuffix(".0")
    if float(text) == 0:
        return text.lstrip("-")
    return _minus(f"+{text}" if style == "signed" and value > 0 else text)


def _minus(text: str) -> str:
    return MINUS + text[1:] if text.startswith("-") else text


def bounds(low: Number | None, high: Number | None) -> Markup:
    """An interval in brackets; empty without one."""
    if low is None or high is None:
        return Markup("")
    return Markup("[{}, {}]").format(low, high)
