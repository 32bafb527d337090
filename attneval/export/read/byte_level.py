"""Byte-level vocabularies, which write the bytes of text as characters of their own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.errors import ExportError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.strings import Strings
    from attneval.export.read.text_source import TextSource

SPACE = ord("Ġ")
"""The mark of a space; words of GPT-2's family begin with it, those of CLIP's and of Chinese do not."""
TOKENS_AT_ONCE = 2**16
ENOUGH = 100
"""Captions by which one side has to be ahead before the others are not looked at."""
_LAST_ASCII = 0x7E


def _byte_alphabet() -> dict[str, int]:
    """The character that GPT-2's byte-level vocabulary writes for each byte."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(0x100) if byte not in printable)
    return {chr(byte): byte for byte in printable} | {chr(0x100 + k): byte for k, byte in enumerate(others)}


BYTE_OF = _byte_alphabet()


def is_byte_level(source: TextSource, offset: NDArray[np.int64]) -> bool:
    """Decide by all tokens of a file whether their vocabulary writes bytes as characters.

    It does if a token begins with a space as such vocabularies write it. Else captions speak for it whose characters
    are UTF-8 if read as bytes, and those speak against it whose characters are not: letters such as é are none. Text
    that is ASCII throughout says nothing, and is the same either way.

    Args:
        source: The tokens' texts.
        offset: i8[N+1], first token of each caption.
    """
    balance = 0
    bound = np.append(np.searchsorted(offset, np.arange(0, int(offset[-1]), TOKENS_AT_ONCE)), len(offset) - 1)
    for first, last in itertools.pairwise(distinct_values(bound).tolist()):
        try:
            tokens = source.take(np.arange(offset[first], offset[last]))
        except ExportError:
            # Who reads the tokens that are no text is told so; the others are not to suffer from them.
            continue
        if not len(tokens.code) or tokens.code.max() <= _LAST_ASCII:
            continue
        filled = tokens.offset[:-1][np.diff(tokens.offset) > 0]
        if (tokens.code[filled] == SPACE).any():
            return True
        balance += _balance(tokens, offset[first : last + 1] - offset[first], ENOUGH - abs(balance))
        if abs(balance) >= ENOUGH:
            break
    return balance > 0


def _balance(tokens: Strings, offset: NDArray[np.int64], enough: int) -> int:
    """Count the captions that speak for bytes, less those that speak against them."""
    beyond = np.concatenate(([0], np.cumsum(tokens.code > _LAST_ASCII)))[tokens.offset]
    balance = 0
    for caption in np.flatnonzero(np.diff(beyond[offset]) > 0).tolist():
        texts = tokens.take(np.arange(offset[caption], offset[caption + 1]))
        balance += _vote("".join(text.removesuffix("</w>") for text in texts))
        if abs(balance) >= enough:
            break
    return balance


def _vote(text: str) -> int:
    """1 if a caption's characters are UTF-8 if read as bytes, -1 if not, 0 if they say nothing."""
    if any(character not in BYTE_OF for character in text):
        # Added tokens may be written as they are, so such a caption says nothing.
        text = "".join(character for character in text if character in BYTE_OF)
    data = bytes(BYTE_OF[character] for character in text)
    try:
        decoded = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return -1
        decoded = data[: error.start].decode("utf-8")
    if any(character < " " and character not in "\t\n\r" for character in decoded) or "\x7f" in decoded:
        return -1
    return int(not decoded.isascii())
