"""Token texts of any tokeniser, turned into spans of one text per caption.

Word pieces (`##ing`), sentence pieces (`▁the`) and continuation marks (`@@`) need nothing special: their marks are
neither letters nor digits and vanish when texts are compared. Three things do: special tokens stand for no text,
`</w>` ends a word, and byte-level tokenisers write bytes as other characters, so that one character may be two tokens.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.strings import Strings, code_points
from attneval.export.read.byte_level import BYTE_OF, is_byte_level

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SPECIAL = re.compile(r"<[^<>]+>|\[[^\[\]]+\]")
_UNKNOWN = re.compile(r"[<\[]\W*unk(nown)?\W*[>\]]", re.IGNORECASE)
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_IS_TEXT, _IS_BYTE, _IS_SPECIAL, _IS_UNKNOWN = range(4)
_END_OF_WORD = code_points("</w>")


def spans_of_tokens(
    tokens: Strings, offset: NDArray[np.int64], *, byte_level: bool | None = None
) -> tuple[Strings, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Join the tokens of each caption into a text and say where in it each token lies.

    Args:
        tokens: All tokens' texts.
        offset: i8[k+1], first token of each caption.
        byte_level: Whether the vocabulary writes bytes as characters; None decides it by these tokens alone.

    Returns:
        The texts; `offset` again; i8[sum T, 2] half-open spans of code points, (-1, -1) for special tokens; and
        b[sum T], true for tokens that stand for an unknown word.
    """
    first = _first_codes(tokens)
    special = np.zeros(len(tokens), np.bool_)
    unknown = np.zeros(len(tokens), np.bool_)
    marked = np.flatnonzero((first == ord("<")) | (first == ord("[")))
    kinds = np.fromiter(map(_kind_of, tokens.take(marked)), np.int64, len(marked))
    in_bytes = bool((kinds == _IS_BYTE).any())
    special[marked] = (kinds == _IS_SPECIAL) | (kinds == _IS_UNKNOWN)
    unknown[marked] = kinds == _IS_UNKNOWN
    special |= first == 0
    if byte_level is None:
        byte_level = is_byte_level(tokens, offset)
    in_bytes |= byte_level and bool(tokens.code.max(initial=0) > ord("~"))
    code, start, stop = (
        _decoded(tokens, offset, special, byte_level=byte_level) if in_bytes else _plain(tokens, special)
    )
    token_bound = np.append(start, len(code))
    text = Strings(code, token_bound[offset])
    span = np.stack((start, stop), axis=1) - np.repeat(text.offset[:-1], np.diff(offset))[:, None]
    span[special] = -1
    return text, offset, span, unknown


@functools.lru_cache(maxsize=4096)
def _kind_of(token: str) -> int:
    """The kind of a token in brackets; a vocabulary has few of them and captions repeat them."""
    if _BYTE.fullmatch(token):
        return _IS_BYTE
    if not _SPECIAL.fullmatch(token):
        return _IS_TEXT
    return _IS_UNKNOWN if _UNKNOWN.fullmatch(token) else _IS_SPECIAL


def _first_codes(tokens: Strings) -> NDArray[np.uint32]:
    first = np.zeros(len(tokens), np.uint32)
    filled = np.flatnonzero(np.diff(tokens.offset))
    first[filled] = tokens.code[tokens.offset[filled]]
    return first


def _plain(
    tokens: Strings, special: NDArray[np.bool_]
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """The joined text without special tokens and end-of-word marks, and each token's place in it."""
    length = np.diff(tokens.offset)
    keep = np.repeat(~special, length)
    end = tokens.offset[1:][length >= len(_END_OF_WORD)]
    marked = np.ones(len(end), np.bool_)
    for back, code in enumerate(_END_OF_WORD[::-1].tolist(), start=1):
        marked &= tokens.code[end - back] == code
    for back in range(1, 1 + len(_END_OF_WORD)):
        keep[end[marked] - back] = False
    kept_before = offsets_of(keep)[tokens.offset]
    return tokens.code[keep], kept_before[:-1], kept_before[1:]


def _decoded(
    tokens: Strings, offset: NDArray[np.int64], special: NDArray[np.bool_], *, byte_level: bool
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """As `_plain`, through bytes; a token that holds part of a character gets the span of the whole."""
    rows = zip(tokens, special.tolist(), strict=True)
    pieces = [b"" if skip else _bytes_of(token, byte_level=byte_level) for token, skip in rows]
    # A space after each caption keeps characters that are cut at its end from growing together with the next one.
    caption = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    byte = offsets_of([len(piece) for piece in pieces])
    space = byte[offset[1:]] + np.arange(len(offset) - 1)
    data = b"".join(b"".join(pieces[a:b]) + b" " for a, b in itertools.pairwise(offset.tolist()))
    # A caption may be cut inside a character: such bytes become one code point each.
    code = code_points(data.decode("utf-8", "surrogateescape"))
    escaped = (code >= 0xDC80) & (code <= 0xDCFF)
    width = 1 + (code > 0x7F).astype(np.int64) + (code > 0x7FF) + (code > 0xFFFF)
    character = np.repeat(np.arange(len(code)), np.where(escaped, 1, width))
    start = character[byte[:-1] + caption] - caption
    last = character[byte[1:] - 1 + caption] - caption
    return np.delete(code, character[space]), start, np.where(byte[1:] > byte[:-1], last + 1, start)


def _bytes_of(token: str, *, byte_level: bool) -> bytes:
    if match := _BYTE.fullmatch(token):
        return bytes([int(match[1], 16)])
    token = token.removesuffix("</w>")
    if byte_level and all(character in BYTE_OF for character in token):
        return bytes(map(BYTE_OF.__getitem__, token))
    return token.encode("utf-8", "surrogatepass")
