"""What could not be aligned, by name, and what becomes of it; and what says that nothing fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attneval.errors import first_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass
class Problems:
    """What could not be aligned, by name.

    Attributes:
        absent: Annotated captions without attention.
        unaligned: Exported captions whose tokens are no caption of their image, each with its text.
        disagreeing: Exported captions whose text is another caption than their index says.
        wordless: Annotated words of exported captions without a token.
        warnings: Flaws of the annotations that were read around.
    """

    absent: list[str] = field(default_factory=list)
    unaligned: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def extend(self, other: Problems) -> None:
        """Add those of another block."""
        for name, values in vars(self).items():
            values.extend(getattr(other, name))

    def disagreements(self, path: Path, captions: int) -> list[str]:
        """What is noted but does no harm, of an export of so many captions."""
        others = f"captions of {path} are other captions of their image than their caption_index says; matched by text"
        return [_some(self.disagreeing, captions, others)] if self.disagreeing else []

    def missing(self, path: Path, captions: int, counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """What is missing of an export of so many captions, each with the way out.

        Args:
            path: The export.
            captions: How many captions it has.
            counts: How many annotated `captions` were aligned, and how many annotated `words` there are.
        """
        way_out = "pass --missing skip to leave them out, or --missing zero to score them 0"
        if self.unaligned:
            text = f"captions of {path} are no caption of their image in the annotations"
            yield _some(self.unaligned, captions, text), f"check image ids and caption numbers; {way_out}"
        if self.absent:
            annotated = counts["captions"] + len(self.absent) + len(self.unaligned)
            yield _some(self.absent, annotated, f"captions have no attention in {path}"), way_out
        if self.wordless:
            text = f"annotated words have no token in {path}"
            yield _some(self.wordless, counts["words"], text), f"the model may cut captions; {way_out}"


def _some(found: list[str], whole: int, what: str) -> str:
    return f"{len(found)} of {whole} {what} (first: {first_of(found)})"
