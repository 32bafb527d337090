"""The exported tokens that make up annotated words: the one place where tokens become words.

Both sides are folded to streams of letters and digits (`attneval.matching.folding`). Where the streams of a caption
agree, a token belongs to the words whose characters it covers, whatever tokeniser made it. They also agree when

- the export's text is a beginning of the annotated one (the model cuts captions),
- the annotated text stands somewhere inside the export's (a prompt around the caption),
- the export has unknown-word tokens where the annotation has words.
"""

from __future__ import annotations

import itertools
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.arrays.strings import text_of
from attneval.matching.folding import fold
from attneval.matching.word_parts import WordParts, cut_words, tokens_of_parts
from attneval.matching.words import Words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.read.content import TokenBlock
    from attneval.groundtruth import GroundTruth

ABSENT = -1
"""In `Alignment.row`: the export does not have this caption."""
PIECE = "##"
"""What a word piece begins with that goes on with a word."""


@record
class Alignment:
    """Tokens of each annotated word, for C captions of the ground truth and k captions of an export.

    Attributes:
        words: The annotated words.
        row: i8[C], position among the k captions of each annotated caption's attention, or `ABSENT`.
        token_offset: i8[W+V+1], first entry of each word, and then of each part of a word, in `token`.
        token: i8[m], tokens, as rows of the export's token block, in order within each word.
        unaligned: Positions of export captions whose text is no caption of their image.
        disagreeing: Positions of export captions whose text is another caption than their index says.
        parts: The parts of words that phrases have which begin or end inside a word.
        repeated: Positions of export captions that hold their annotated caption several times.
    """

    words: Words
    row: NDArray[np.int64]
    token_offset: NDArray[np.int64]
    token: NDArray[np.int64]
    unaligned: list[int]
    disagreeing: list[int]
    parts: WordParts = field(default_factory=WordParts.none)
    repeated: list[int] = field(default_factory=list)

    @property
    def word_count(self) -> int:
        """W, behind which parts of words are numbered."""
        return int(self.words.caption_offset[-1])


def align(truth: GroundTruth, tokens: TokenBlock, image: NDArray[np.int64], index: NDArray[np.int64]) -> Alignment:
    """Align the tokens of k exported captions with the annotated words of their images.

    Args:
        truth: The annotations.
        tokens: The exported captions' tokens.
        image: i8[k], the row of each exported caption's image in `truth`.
        index: i8[k], which caption of its image it claims to be, -1 if unknown.
    """
    words = Words.from_texts(truth.text)
    matcher = _Matcher(words, tokens)
    claimed = _claimed(truth, image, index)
    caption = np.where(matcher.same_beginning(claimed), claimed, ABSENT)
    unaligned, disagreeing, repeated = [], [], []
    taken = set(caption.tolist())
    for row in np.flatnonzero(caption == ABSENT).tolist():
        candidates = range(*truth.caption_offset[image[row] : image[row] + 2].tolist())
        # What the index claims is tried first, then captions that no other export row has.
        order = sorted(candidates, key=lambda c: (c != claimed[row], c in taken))
        meant = matcher.search(row, order)
        if meant is None:
            unaligned.append(row)
            continue
        caption[row] = meant
        taken.add(meant)
        if claimed[row] != meant and index[row] >= 0:
            disagreeing.append(row)
        if row in matcher.repeated:
            repeated.append(row)
    of_caption = np.full(len(truth.text), ABSENT, np.int64)
    # Should two rows be the same caption, the first one counts.
    aligned = np.flatnonzero(caption != ABSENT)[::-1]
    of_caption[caption[aligned]] = aligned
    token_offset, token = matcher.tokens_of_words(caption, of_caption)
    parts = cut_words(truth, words)
    token_offset, token = tokens_of_parts(parts, token_offset, token, matcher.start, matcher.stop)
    return Alignment(
        words.with_parts(parts.span), of_caption, token_offset, token, unaligned, disagreeing, parts, repeated
    )


class _Matcher:
    """Compares the streams of exported captions with those of annotated ones.

    `start` and `stop` hold, for each token, its part of its own caption's stream, and then, once its caption has been
    matched, of the annotated caption's. `repeated` has the captions that hold their annotated caption several times.
    """

    def __init__(self, words: Words, tokens: TokenBlock) -> None:
        self.words = words
        self.tokens = tokens
        self.stream, before = fold(tokens.text.code)
        self.bound = before[tokens.text.offset]
        self.row = np.repeat(np.arange(len(tokens.text)), np.diff(tokens.offset))
        base = tokens.text.offset[self.row]
        self.special = tokens.span[:, 0] < 0
        span = np.where(self.special[:, None], 0, tokens.span) + base[:, None]
        self.start = before[span[:, 0]] - self.bound[self.row]
        self.stop = before[span[:, 1]] - self.bound[self.row]
        self.before = before
        self.repeated: set[int] = set()

    def same_beginning(self, claimed: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell for each export caption whether it is its claimed annotated caption, or a beginning of it.

        A caption without letters is a beginning of those alone that have none either.
        """
        letters = np.diff(self.bound)
        # The last entry stands for no caption at all, of which nothing is a beginning.
        most = np.append(np.diff(self.words.stream_offset), -1)[claimed]
        fits = (letters <= most) & ((letters > 0) | (most == 0))
        fits[self.row[self.tokens.unknown]] = False
        length = np.where(fits, letters, 0)
        mine = self.stream[ranges(self.bound[:-1], length)]
        other = self.words.stream[ranges(self.words.stream_offset[claimed], length)]
        differs = np.bincount(np.repeat(np.arange(len(letters)), length), mine != other, len(letters)) > 0
        return np.asarray(fits & ~differs)

    def search(self, row: int, captions: list[int]) -> int | None:
        """The first of some annotated captions that an export caption can be read as, whole ones before parts."""
        mine = text_of(self.stream[self.bound[row] : self.bound[row + 1]])
        texts = {c: text_of(self.words.stream[slice(*self.words.stream_offset[c : c + 2])]) for c in captions}
        rows = slice(*self.tokens.offset[row : row + 2])
        if self.tokens.unknown[rows].any():
            return next((c for c in captions if self._fill_unknown(row, c, texts[c])), None)
        if not mine:
            return next((caption for caption in captions if not texts[caption]), None)
        whole = (caption for caption in captions if texts[caption] == mine)
        beginning = (caption for caption in captions if texts[caption].startswith(mine))
        first = next(itertools.chain(whole, beginning), None)
        if first is not None:
            return first
        begins, ends = self._borders(row)
        for caption in captions:
            length = len(texts[caption])
            places = [p for p in _places(mine, texts[caption]) if p in begins and p + length in ends]
            if places:
                # What stands in front of a caption, as instructions do, may hold the same words.
                position = places[-1]
                if len(places) > 1:
                    self.repeated.add(row)
                self.start[rows] = np.clip(self.start[rows] - position, 0, length)
                self.stop[rows] = np.clip(self.stop[rows] - position, 0, length)
                return caption
        return None

    def _borders(self, row: int) -> tuple[set[int], set[int]]:
        """Places in a caption's stream where a caption within it may begin and end.

        They are the borders of tokens, but for those within word pieces, and of words within tokens: in `Locate` there
        is no `cat`.
        """
        first, last = self.tokens.offset[row : row + 2].tolist()
        text, bound = self.tokens.text[row], int(self.bound[row])
        offset = int(self.tokens.text.offset[row])
        before = self.before[offset : offset + len(text) + 1] - bound
        # Where something that is no letter stands, the stream stays where it is.
        between = set(before[:-1][np.diff(before) == 0].tolist())
        inner = {
            int(self.start[token])
            for token in range(first, last)
            if text[slice(*self.tokens.span[token].tolist())].startswith(PIECE)
        }
        begins, ends = {0}, {len(self.stream[bound : int(self.bound[row + 1])])}
        for token in range(first, last):
            if self.stop[token] > self.start[token]:
                begins.add(int(self.start[token]))
                ends.add(int(self.stop[token]))
        return (begins | between) - inner, (ends | between) - inner

    def _fill_unknown(self, row: int, caption: int, text: str) -> bool:
        """Give each unknown-word token the word that stands in its place; False if the known ones do not fit."""
        from attneval.matching.unknown_words import Gaps

        first, last = self.tokens.offset[row : row + 2].tolist()
        mine = self.stream[self.bound[row] : self.bound[row + 1]]
        known = {t: text_of(mine[self.start[t] : self.stop[t]]) for t in range(first, last)}
        begin = int(self.words.stream_offset[caption])
        among = slice(*self.words.caption_offset[caption : caption + 2].tolist())
        gaps = Gaps(
            word=(self.words.stream_word[begin : begin + len(text)] - among.start).tolist(),
            place=self.words.place[among].tolist(),
            count=int(self.words.count[caption]),
        )
        place: dict[int, tuple[int, int]] = {}
        position = 0
        visible = (t for t in range(first, last) if self.tokens.unknown[t] or known[t])
        runs = [
            (unknown, list(run)) for unknown, run in itertools.groupby(visible, lambda t: bool(self.tokens.unknown[t]))
        ]
        for number, (unknown, run) in enumerate(runs):
            if not unknown:
                if not text.startswith("".join(known[t] for t in run), position):
                    return False
                for token in run:
                    place[token] = (position, position + len(known[token]))
                    position += len(known[token])
                continue
            after = runs[number + 1][1] if number + 1 < len(runs) else []
            between = range(runs[number - 1][1][-1] + 1 if number else first, after[0] if after else last)
            # Punctuation among the unknown words stands for no letter, but it takes a place.
            hidden = [bool(self.tokens.unknown[t]) for t in between if self.tokens.unknown[t] or not self.special[t]]
            end = gaps.end(text, position, hidden, "".join(known[t] for t in after))
            if end is None:
                return False
            place |= dict(zip(run, gaps.parts(position, end, hidden, open_end=not after), strict=True))
            position = end
        for token in range(first, last):
            self.start[token], self.stop[token] = place.get(token, (0, 0))
        return True

    def tokens_of_words(
        self, caption: NDArray[np.int64], of_caption: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The tokens that cover each word, once every caption has been matched."""
        meant = caption[self.row]
        # Punctuation has no part of the stream, but stands at a place in it: within a word, it belongs to that word.
        length = np.append(np.diff(self.words.stream_offset), 0)[meant]
        within = (self.start > 0) & (self.start < length) & (self.tokens.span[:, 1] > self.tokens.span[:, 0])
        used = (meant != ABSENT) & ((self.stop > self.start) | within)
        used &= np.append(of_caption, ABSENT)[meant] == self.row
        token = np.flatnonzero(used)
        base = self.words.stream_offset[meant[token]]
        first = self.words.stream_word[base + self.start[token]]
        # Between two words it is none, since the next word is one further than the last.
        count = self.words.stream_word[base + self.stop[token] - 1] - first + 1
        word = ranges(first, count)
        order = np.argsort(word, kind="stable")
        total = np.bincount(word, minlength=len(self.words.span))
        return offsets_of(total), np.repeat(token, count)[order]


def _places(text: str, part: str) -> list[int]:
    """All places of a part in a text, which may overlap; none of an empty one."""
    places: list[int] = []
    position = text.find(part) if part else -1
    while position >= 0:
        places.append(position)
        position = text.find(part, position + 1)
    return places


def _claimed(truth: GroundTruth, image: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The annotated caption that each export caption claims to be, or `ABSENT`."""
    count = np.diff(truth.caption_offset)
    base = int(truth.caption_index.max(initial=0)) + 2
    keys = np.repeat(np.arange(len(count)), count) * base + truth.caption_index
    wanted = np.where((index >= 0) & (index < base - 1), image * base + index, -1)
    order = np.argsort(keys, kind="stable")
    position = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
    if not len(keys):
        return np.full(len(image), ABSENT, np.int64)
    return np.where(keys[order][position] == wanted, order[position], ABSENT)
