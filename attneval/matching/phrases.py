"""The annotated words that are scored, phrase by phrase, and the classes of phrases that breakdowns tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.arrays.records import record
from attneval.config.breakdowns import AREA_EDGES, LENGTHS
from attneval.geometry.boxes import areas, enclosing
from attneval.matching.word_parts import touched_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment


@record
class ScoredPhrases:
    """The annotated words that are scored, phrase by phrase.

    Attributes:
        phrase: i8[p], rows of phrases in the ground truth: those with a box, a word and enough area.
        caption: i8[p], the caption of each.
        word_offset: i8[p+1], first word of each phrase in `word`.
        word: i8[w], rows of the alignment's words.
        area: i8[p], index into `AREAS`.
        length: i8[p], index into `LENGTHS`.
    """

    phrase: NDArray[np.int64]
    caption: NDArray[np.int64]
    word_offset: NDArray[np.int64]
    word: NDArray[np.int64]
    area: NDArray[np.int64]
    length: NDArray[np.int64]

    @classmethod
    def from_annotations(cls, truth: GroundTruth, alignment: Alignment, min_area: float) -> ScoredPhrases:
        """Find the phrases that have a box, and the words with a letter or digit that their spans touch."""
        caption_of = np.repeat(np.arange(len(truth.text)), np.diff(truth.phrase_offset))
        share = _area_share(truth)
        kept = truth.phrase_entity >= 0
        kept[kept] = share[truth.phrase_entity[kept]] >= min_area
        phrase = np.flatnonzero(kept)
        spans = np.diff(truth.span_offset)[phrase]
        rows = ranges(truth.span_offset[phrase], spans)
        owner = np.repeat(np.arange(len(phrase)), spans)
        words = alignment.words
        first, count = touched_words(truth, words, rows, caption_of[phrase[owner]])
        word, kept_word = alignment.parts.in_place_of(
            np.repeat(rows, count), ranges(first, count), alignment.word_count
        )
        # Two spans of a phrase may touch the same word.
        total = max(len(words.span), 1)
        pair = distinct_values((np.repeat(owner, count) * total + word)[kept_word])
        length = np.bincount(pair // total, minlength=len(phrase))
        named = np.flatnonzero(length)
        return cls(
            phrase=phrase[named],
            caption=caption_of[phrase[named]],
            word_offset=offsets_of(length[named]),
            word=pair % total,
            area=np.digitize(share[truth.phrase_entity[phrase[named]]], AREA_EDGES),
            length=np.minimum(length[named], len(LENGTHS)) - 1,
        )

    def none(self) -> ScoredPhrases:
        """The same without any phrase."""
        nothing = np.zeros(0, np.int64)
        return ScoredPhrases(nothing, nothing, np.zeros(1, np.int64), nothing, nothing, nothing)


def _area_share(truth: GroundTruth) -> NDArray[np.float64]:
    """f8[E], the share of its image that each entity's enclosing box covers."""
    box = enclosing(truth.box, truth.box_offset)
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset))
    return np.asarray(areas(box) / truth.image_size[image].prod(axis=1))
