"""Notes: remarks that a reader of the numbers needs, each of a kind that other modules ask for.

A note is its text, so that it can be printed and written as it is; what it is about is its `kind`, and nobody looks for
words in it. Files hold texts only: kinds come back from a table of the texts that are always the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attneval.config.protocol import Protocol

OTHER = "other"
NO_ATTENTION, NO_RETRIEVAL = "no attention", "no retrieval"
"""Nothing was scored of attention maps, or of similarities."""
LEFT_OUT, SCORED_ZERO = "left out", "scored 0"
"""The two ways in which the protocol gets over what is missing."""
UNREACHED = "unreached"
"""No region is relevant to anything."""
PARTIAL = "partial"
"""Not all images were scored."""
UNKNOWN_METRICS = "unknown metrics"
"""A file holds metrics that this attneval does not know; said by whoever reads it, and not kept in the file."""

REACHING = "boxes must be in pixels of the original image, and small patches need --overlap iof"
"""A hint for where no region reaches a phrase."""


class Note(str):
    """A remark on a result: its text, with what it is about.

    Args:
        text: What a reader is told.
        kind: One of the kinds of this module.
        problem: The part of the text that says what is wrong, without what was made of it; all of it by default.
    """

    __slots__ = ("kind", "problem")

    kind: str
    problem: str

    def __new__(cls, text: str, kind: str = OTHER, problem: str | None = None) -> Note:  # noqa: PYI034 - `Self` is from Python 3.11
        """Make a note of a text."""
        note = super().__new__(cls, text)
        note.kind, note.problem = kind, text if problem is None else problem
        return note

    def __getnewargs__(self) -> tuple[str, str, str]:  # type: ignore[override]
        """Give what copies and other processes make the note of."""
        return str(self), self.kind, self.problem


NO_ANNOTATIONS = Note("attention was not scored: no annotations were given (--gt)", NO_ATTENTION)
NO_MAPS = Note("attention was not scored: there are no attention maps", NO_ATTENTION)
NO_SIMILARITIES = Note("retrieval was not scored: there are no similarities", NO_RETRIEVAL)
_TEXTS = {str(note): note for note in (NO_ANNOTATIONS, NO_MAPS, NO_SIMILARITIES)}


def left_out(problem: str) -> Note:
    """Note something missing that was left out (`missing=skip`)."""
    return Note(f"{problem}: left out", LEFT_OUT, problem)


def scored_zero(problem: str) -> Note:
    """Note something missing that was scored 0 (`missing=zero`)."""
    return Note(f"{problem}: scored 0", SCORED_ZERO, problem)


def only_first(images: int) -> Note:
    """Note that only the first images were scored (`--limit`)."""
    return Note(f"PARTIAL: only the first {images} images were scored", PARTIAL)


def unreached(counts: Mapping[str, int], protocol: Protocol) -> list[Note]:
    """Note that no region is relevant to anything, if there are items and none is."""
    if not counts.get("items") or counts["unreachable"] < counts["items"]:
        return []
    text = f"none of the {counts['items']} items has a relevant region"
    under = f"overlap={protocol.overlap} and iou={protocol.iou:g}"
    return [Note(f"{text} under {under}: {REACHING}", UNREACHED)]


def note_of(text: str, counts: Mapping[str, int], protocol: Protocol) -> Note:
    """Make the note of a text from a file, `OTHER` where its kind is not known.

    Args:
        text: The text.
        counts: What the file counts.
        protocol: The file's protocol.
    """
    known = _TEXTS | {str(note): note for note in unreached(counts, protocol)}
    return known.get(text) or Note(text)
