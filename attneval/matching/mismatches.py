"""The things of an export and its annotations that could not be aligned, by name."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.arrays.records import record
from attneval.errors import first_of
from attneval.matching.alignment import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport, TokenBlock
    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment
    from attneval.matching.phrases import ScoredPhrases


@record
class Mismatches:
    """The things that could not be aligned, by name.

    Attributes:
        absent: Annotated captions without attention.
        unaligned: Exported captions whose tokens are no caption of their image, each with its text.
        disagreeing: Exported captions whose text is another caption than their index says.
        repeated: Exported captions that hold their annotated caption several times.
        wordless: Annotated words of exported captions without a token.
        warnings: Flaws of the annotations that were read around.
    """

    absent: list[str] = field(default_factory=list)
    unaligned: list[str] = field(default_factory=list)
    disagreeing: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def joined(cls, parts: Iterable[Mismatches]) -> Mismatches:
        """Those of several blocks."""
        whole = cls()
        for part in parts:
            for name, values in vars(part).items():
                getattr(whole, name).extend(values)
        return whole

    def disagreements(self, path: Path, captions: int) -> list[str]:
        """List what is noted but does no harm, of an export of so many captions."""
        others = f"captions of {path} are other captions of their image than their caption_index says; matched by text"
        return [_some(self.disagreeing, captions, others)] if self.disagreeing else []

    def repetitions(self, path: Path, captions: int) -> list[str]:
        """List the captions, of so many of an export, of which one of several places was taken."""
        text = f"captions of {path} hold their annotated caption several times; the last place is taken"
        return [_some(self.repeated, captions, text)] if self.repeated else []

    def missing(self, path: Path, captions: int, counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """List what is missing of an export of so many captions, each with the way out.

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


def find_mismatches(
    export: AttentionExport,
    rows: NDArray[np.int64],
    *,
    tokens: TokenBlock,
    truth: GroundTruth,
    alignment: Alignment,
    phrases: ScoredPhrases,
) -> Mismatches:
    """Name what could not be aligned.

    Args:
        export: The export.
        rows: i8[c], its captions that were aligned.
        tokens: Their tokens.
        truth: The annotations.
        alignment: What became of them.
        phrases: The annotated words.
    """
    scored = distinct_values(phrases.caption)
    absent = scored[alignment.row[scored] == ABSENT]
    claimed = {export.caption_name(int(rows[row])) for row in alignment.unaligned}
    caption = np.repeat(phrases.caption, np.diff(phrases.word_offset))
    token_count = np.diff(alignment.token_offset)[phrases.word]
    wordless = (token_count == 0) & (alignment.row[caption] != ABSENT)
    return Mismatches(
        absent=[name for c in absent.tolist() if (name := name_of_caption(truth, c)) not in claimed],
        unaligned=[
            f"{export.caption_name(int(rows[row]))} reads {_words_of(tokens, row)[:40]!r}"
            for row in alignment.unaligned
        ],
        disagreeing=[export.caption_name(int(rows[row])) for row in alignment.disagreeing],
        repeated=[export.caption_name(int(rows[row])) for row in alignment.repeated],
        wordless=[
            f"{name_of_caption(truth, c)} {truth.text[c][slice(*alignment.words.span[w].tolist())]!r}"
            for c, w in zip(caption[wordless].tolist(), phrases.word[wordless].tolist(), strict=True)
        ],
        warnings=list(truth.warnings),
    )


def name_of_caption(truth: GroundTruth, caption: int) -> str:
    """The name of a row of the annotations' captions in messages: ``36979#2``."""
    image = int(np.searchsorted(truth.caption_offset, caption, side="right")) - 1
    return truth.caption_name(image, caption)


def _words_of(tokens: TokenBlock, row: int) -> str:
    text = tokens.text[row]
    spans = tokens.span[tokens.offset[row] : tokens.offset[row + 1]].tolist()
    return " ".join(text[start:stop] for start, stop in spans if start >= 0)


def _some(names: list[str], whole: int, what: str) -> str:
    return f"{len(names)} of {whole} {what} (first: {first_of(names)})"
