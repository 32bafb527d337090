"""Words outside a model's vocabulary, fitted into the gaps that the known ones leave in an annotated caption."""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Gaps:
    """An annotated caption, into whose gaps unknown words are fitted.

    A gap is a part [start, end) of the caption's stream of letters and digits. The tokens that stand in it are flags:
    true for an unknown word, false for punctuation. `open_end` says that nothing known follows them: the caption may
    go on, and either side may end in punctuation that the other lacks.

    Attributes:
        word: The word of each character of the stream.
        place: Of each word among all white-space words of the caption, also those without a letter or digit.
        count: How many white-space words the caption has.
    """

    word: list[int]
    place: list[int]
    count: int

    def end(self, stream: str, start: int, tokens: list[bool], literal: str) -> int | None:
        """Find the end of a gap, before the letters that follow it: where its words fit the tokens best.

        Args:
            stream: The caption's stream.
            start: Where the gap starts.
            tokens: What stands in it.
            literal: The letters that follow; none for an open end.

        Returns:
            The end, None if the letters do not follow anywhere.
        """
        ends = (end for end in range(start, len(stream) + 1) if stream.startswith(literal, end))
        return min(ends, key=lambda end: self._misfit(start, end, tokens, open_end=not literal), default=None)

    def parts(self, start: int, end: int, tokens: list[bool], *, open_end: bool) -> list[tuple[int, int]]:
        """The part of the stream that each unknown word stands for; an empty one where that cannot be told."""
        if sum(tokens) == 1:
            return [(start, end)]
        words = self._words(start, end)
        if len(words) == sum(tokens):
            return words
        return self._with_punctuation(start, end, tokens, open_end=open_end) or [(0, 0)] * sum(tokens)

    def _misfit(self, start: int, end: int, tokens: list[bool], *, open_end: bool) -> tuple[float, bool]:
        """Best are as many whole words as unknown ones, next best as many if punctuation is counted on both sides."""
        off = float(abs(len(self._words(start, end)) - sum(tokens)))
        if off and self._with_punctuation(start, end, tokens, open_end=open_end):
            off = 0.5
        return off, 0 < end < len(self.word) and self.word[end] == self.word[end - 1]

    def _words(self, start: int, end: int) -> list[tuple[int, int]]:
        """A gap, cut into words."""
        inner = (p for p in range(start + 1, end) if self.word[p] != self.word[p - 1])
        return list(itertools.pairwise([start, *inner, end])) if end > start else []

    def _with_punctuation(
        self, start: int, end: int, tokens: list[bool], *, open_end: bool
    ) -> list[tuple[int, int]] | None:
        """The parts of the unknown words if words without a letter have a token each as well; None if they have not."""
        first = self.place[self.word[start - 1]] + 1 if start else 0
        last = self.place[self.word[end]] if end < len(self.word) else self.count
        parts = dict.fromkeys(range(first, last), (0, 0))
        parts |= {self.place[self.word[a]]: (a, b) for a, b in self._words(start, end)}
        listed = [parts[place] for place in sorted(parts)]
        if len(listed) != len(tokens) and not open_end:
            return None
        pairs = list(itertools.zip_longest(listed, tokens, fillvalue=None))
        letters = [(part, unknown) for part, unknown in pairs if part not in {None, (0, 0)} or unknown]
        if not all(part is not None and unknown for part, unknown in letters):
            return None
        return [part for part, unknown in letters if part is not None]
