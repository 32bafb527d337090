"""Spans of texts, as half-open code points."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attneval.groundtruth.entry import Span


def trimmed(text: str, start: int, stop: int) -> tuple[int, int]:
    """A span without what is neither a letter nor a digit at its ends; empty if there is nothing else."""
    while start < stop and not text[start].isalnum():
        start += 1
    while start < stop and not text[stop - 1].isalnum():
        stop -= 1
    return start, stop


def whole(text: str) -> list[Span]:
    """The span of a text without blanks around it; none if there is nothing else."""
    start = len(text) - len(text.lstrip())
    return [(start, len(text.rstrip()))] if text.strip() else []
