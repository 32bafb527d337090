"""The words of captions, and their streams of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.matching.folding import fold

if TYPE_CHECKING:
    from numpy.typing import NDArray


from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.strings import Strings


@record
class Words:
    """The words of C captions that hold a letter or a digit, as W rows, and the captions' streams.

    Attributes:
        caption_offset: i8[C+1], first word of each caption.
        span: i8[W, 2], half-open code points into the caption's text; once aligned, those of V parts of words follow.
        stream: u4[n], all captions' streams.
        stream_offset: i8[C+1], where each caption's stream starts.
        stream_word: i8[n], the word of each character of the stream.
        place: i8[W], which of all its caption's white-space words each is, counting those without letter or digit.
        count: i8[C], how many white-space words each caption has.
    """

    caption_offset: NDArray[np.int64]
    span: NDArray[np.int64]
    stream: NDArray[np.uint32]
    stream_offset: NDArray[np.int64]
    stream_word: NDArray[np.int64]
    place: NDArray[np.int64]
    count: NDArray[np.int64]

    def with_parts(self, span: NDArray[np.int64]) -> Words:
        """The same with the spans i8[V, 2] of parts of words behind those of words."""
        return replace(self, span=np.concatenate((self.span, span))) if len(span) else self

    @classmethod
    def from_texts(cls, text: Strings) -> Words:
        """Split texts at white space."""
        space = _is_space(text.code)
        starts = ~space
        starts[1:] &= space[:-1]
        first = text.offset[:-1][np.diff(text.offset) > 0]
        starts[first] |= ~space[first]
        stream, before = fold(text.code)
        source = np.repeat(np.cumsum(starts) - 1, np.diff(before))
        # Words are numbered without those that hold no letter or digit.
        starts_word = np.diff(source, prepend=-1) > 0
        kept, stream_word = source[starts_word], np.cumsum(starts_word) - 1
        start = np.flatnonzero(starts)[kept]
        ends = ~space
        ends[:-1] &= space[1:]
        last = text.offset[1:][np.diff(text.offset) > 0] - 1
        ends[last] |= ~space[last]
        stop = np.flatnonzero(ends)[kept] + 1
        caption_offset = np.searchsorted(start, text.offset)
        words_of = np.diff(caption_offset)
        first = np.repeat(text.offset[:-1], words_of)
        span = np.stack((start - first, stop - first), axis=1)
        bound = offsets_of(starts)[text.offset]
        place = kept - np.repeat(bound[:-1], words_of)
        return cls(caption_offset, span, stream, before[text.offset], stream_word, place, np.diff(bound))


def _is_space(code: NDArray[np.uint32]) -> NDArray[np.bool_]:
    if not len(code):
        return np.zeros(0, np.bool_)
    present = np.flatnonzero(np.bincount(code))
    table = np.zeros(present[-1] + 1, np.bool_)
    table[present] = [chr(point).isspace() for point in present.tolist()]
    return table[code]
