"""Tokens held against the text that they are said to stand for."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attneval.errors import first_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Spelling:
    """The text that some tokens spell.

    Attributes:
        decoded: The tokens as text.
        caption: What they should spell.
        tokens: How many they are.
        unknown: How many the tokenizer does not know.
        elsewhere: Tokens that are not what stands at their places.
        whole: Whether all of them together are the caption.
    """

    decoded: str
    caption: str
    tokens: int
    unknown: int
    elsewhere: tuple[str, ...]
    whole: bool

    @property
    def passed(self) -> bool:
        """Tell whether the tokens spell the caption, each at its place."""
        return self.whole and not self.elsewhere

    @property
    def numbers(self) -> dict[str, int]:
        """Return how many tokens there are, are unknown, and stand elsewhere."""
        return {"tokens": self.tokens, "unknown": self.unknown, "elsewhere": len(self.elsewhere)}

    def __str__(self) -> str:
        text = f"{self.tokens} tokens spell {self.decoded!r}"
        if not self.whole:
            text += f", the caption is {self.caption!r}"
        if self.elsewhere:
            text += f"; {len(self.elsewhere)} stand elsewhere: {first_of(self.elsewhere)}"
        return text


def spelling(tokenizer: Any, ids: Sequence[int], spans: Sequence[Sequence[int]], caption: str) -> Spelling:
    """Decode tokens and compare them with a caption and with their own places in it.

    Letters and digits count, without case and accents, which tokenizers may drop.

    Args:
        tokenizer: The tokenizer.
        ids: Ids of the caption's tokens, T of them.
        spans: (first, last) of each, half-open code points in the caption.
        caption: The caption.
    """
    unknown = [token == getattr(tokenizer, "unk_token_id", None) for token in ids]
    # A token that is unknown to the tokenizer spells nothing; the pieces between such tokens must.
    pieces: list[list[int]] = [[]]
    for token, is_unknown in zip(ids, unknown, strict=True):
        if is_unknown:
            pieces.append([])
        else:
            pieces[-1].append(token)
    pattern = ".*".join(re.escape(_letters(str(tokenizer.decode(piece)))) for piece in pieces)
    # Signs are no letters: rows that are one token off may show in each token's own place alone.
    elsewhere = tuple(
        f"{piece!r} at {caption[first:last]!r}"
        for token, is_unknown, (first, last) in zip(ids, unknown, spans, strict=True)
        if not is_unknown and not _stands_at(piece := str(tokenizer.decode([token])), caption[first:last])
    )
    whole = re.fullmatch(pattern, _letters(caption)) is not None
    return Spelling(str(tokenizer.decode(list(ids))), caption, len(ids), sum(unknown), elsewhere, whole)


def _stands_at(piece: str, span: str) -> bool:
    """Compare a decoded token with its place."""
    # Byte-level tokens may be half of a letter.
    if "\ufffd" in piece:
        return True
    there, here = _letters(span), _letters(piece)
    # A token may begin in front of the caption.
    return bool(there) == bool(here) and here.endswith(there)


def _letters(text: str) -> str:
    """Keep letters and digits, without case and accents."""
    return "".join(char for char in unicodedata.normalize("NFKD", text).casefold() if char.isalnum())
