"""Words of which a phrase has only a part: scripts without spaces, `dog/cat`, `man-woman`.

A phrase that begins or ends inside a white-space word has the part of that word that lies in its span, and the tokens
of that part alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.matching.folding import fold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth
    from attneval.matching.words import Words

NOTHING = -1
"""In `WordParts.part`: the span has no letter or digit of the word."""


@record
class WordParts:
    """V parts of words, and the k spans that have them.

    Attributes:
        row: i8[k], rows of the annotations' spans, ascending.
        word: i8[k], the word that each has a part of.
        part: i8[k], the part, or `NOTHING`.
        of_word: i8[V], the word of each part.
        span: i8[V, 2], half-open code points into the caption's text.
        stream: i8[V, 2], half-open places in the caption's stream.
    """

    row: NDArray[np.int64]
    word: NDArray[np.int64]
    part: NDArray[np.int64]
    of_word: NDArray[np.int64]
    span: NDArray[np.int64]
    stream: NDArray[np.int64]

    @classmethod
    def none(cls) -> WordParts:
        """No parts."""
        nothing, pairs = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        return cls(nothing, nothing, nothing, nothing, pairs, pairs)

    def in_place_of(
        self, row: NDArray[np.int64], word: NDArray[np.int64], words: int
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Put parts in place of words.

        Args:
            row: i8[p], rows of spans.
            word: i8[p], a word that each touches.
            words: How many words there are; parts are numbered after them.

        Returns:
            The words or parts, i8[p], and b[p], those that are anything.
        """
        if not len(self.row):
            return word, np.ones(len(word), np.bool_)
        keys = self.row * (words + 1) + self.word
        wanted = row * (words + 1) + word
        order = np.argsort(keys, kind="stable")
        place = order[np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)]
        cut = keys[place] == wanted
        return np.where(cut, words + self.part[place], word), ~cut | (self.part[place] != NOTHING)


def touched_words(
    truth: GroundTruth, words: Words, rows: NDArray[np.int64], caption: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the words that spans touch: the first, and how many.

    Args:
        truth: The annotations.
        words: The words of their captions.
        rows: i8[s], rows of spans.
        caption: i8[s], the caption of each.
    """
    # Captions laid end to end, so that one search finds the words of every span.
    count = int(words.caption_offset[-1])
    span = truth.span[rows] + truth.text.offset[caption][:, None]
    base = np.repeat(truth.text.offset[:-1], np.diff(words.caption_offset))
    first = np.searchsorted(words.span[:count, 1] + base, span[:, 0], side="right")
    last = np.searchsorted(words.span[:count, 0] + base, span[:, 1], side="left")
    return first, np.maximum(last - first, 0)


def cut_words(truth: GroundTruth, words: Words) -> WordParts:
    """Find the words that phrases begin or end inside.

    Args:
        truth: The annotations.
        words: The words of their captions.
    """
    phrase = np.repeat(np.arange(len(truth.phrase_entity)), np.diff(truth.span_offset))
    caption = np.repeat(np.arange(len(truth.text)), np.diff(truth.phrase_offset))[phrase]
    first, count = touched_words(truth, words, np.arange(len(truth.span)), caption)
    some = np.flatnonzero(count)
    last = first[some] + count[some] - 1
    begins = truth.span[some, 0] > words.span[first[some], 0]
    ends = truth.span[some, 1] < words.span[last, 1]
    if not (begins.any() or ends.any()):
        return WordParts.none()
    # A span inside one word has one part of it, whichever end is looked at.
    row = np.concatenate((some[begins], some[ends & ~(begins & (count[some] == 1))]))
    word = np.concatenate((first[some][begins], last[ends & ~(begins & (count[some] == 1))]))
    inner = np.stack(
        (np.maximum(truth.span[row, 0], words.span[word, 0]), np.minimum(truth.span[row, 1], words.span[word, 1])),
        axis=1,
    )
    before = fold(truth.text.code)[1]
    base = truth.text.offset[caption[row]][:, None]
    stream = before[inner + base] - before[base]
    less = (stream != before[words.span[word] + base] - before[base]).any(axis=1)
    row, word, inner, stream = row[less], word[less], inner[less], stream[less]
    empty = stream[:, 0] == stream[:, 1]
    parts, part = np.unique(np.column_stack((word, stream, inner))[~empty], axis=0, return_inverse=True)
    number = np.full(len(row), NOTHING)
    number[~empty] = part.ravel()
    order = np.argsort(row, kind="stable")
    return WordParts(row[order], word[order], number[order], parts[:, 0], parts[:, 3:], parts[:, 1:3])


def tokens_of_parts(
    parts: WordParts,
    token_offset: NDArray[np.int64],
    token: NDArray[np.int64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Append the tokens of parts to those of words.

    Args:
        parts: The parts.
        token_offset: i8[W+1], first entry of each word in `token`.
        token: i8[m], tokens.
        start: i8[T], where the part of its caption's stream begins that each token has.
        stop: i8[T], where it ends; punctuation has none, and belongs to what it stands within.

    Returns:
        The same of words and then parts.
    """
    if not len(parts.of_word):
        return token_offset, token
    count = np.diff(token_offset)[parts.of_word]
    entry = token[ranges(token_offset[parts.of_word], count)]
    owner = np.repeat(np.arange(len(count)), count)
    low, high = parts.stream[owner].T
    shares = (start[entry] < high) & (stop[entry] > low)
    within = (start[entry] == stop[entry]) & (low < start[entry]) & (start[entry] < high)
    kept = shares | within
    offset = offsets_of(np.bincount(owner[kept], minlength=len(count)))
    return np.concatenate((token_offset, token_offset[-1] + offset[1:])), np.concatenate((token, entry[kept]))
