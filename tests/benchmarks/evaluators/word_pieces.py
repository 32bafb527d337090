"""Word pieces of uncased BERT, character by character, as evaluators find them that tokenise each caption anew.

Devlin et al., BERT, NAACL 2019; Wu et al., Google's Neural Machine Translation System, 2016: a word is cut into the
longest pieces that the vocabulary has, from its beginning on.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CONTINUES = "##"
"""What a piece begins with that does not begin a word."""
UNKNOWN = "[UNK]"
IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))


def pieces_of(text: str, vocabulary: Collection[str]) -> list[str]:
    """The pieces of a text."""
    return [piece for word in plain_words(text) for piece in _longest(word, vocabulary)]


def plain_words(text: str) -> Iterator[str]:
    """The words of a text in lower case and without accents, every punctuation mark a word of its own."""
    for word in "".join(_spaced(char) for char in text).split():
        current = ""
        for char in unicodedata.normalize("NFD", word.lower()):
            if unicodedata.category(char) == "Mn":
                continue
            if _is_punctuation(char):
                if current:
                    yield current
                yield char
                current = ""
            else:
                current += char
        if current:
            yield current


def joined(pieces: list[str], words: list[str]) -> list[set[int]]:
    """The places of each word's pieces: as many as spell it."""
    places, place = [], 0
    for word in words:
        spelled, own = "", set()
        while spelled != word.lower():
            spelled += pieces[place].removeprefix(CONTINUES)
            own.add(place)
            place += 1
        places.append(own)
    return places


def _longest(word: str, vocabulary: Collection[str]) -> list[str]:
    pieces, start = [], 0
    while start < len(word):
        stop = len(word)
        while (piece := (CONTINUES if start else "") + word[start:stop]) not in vocabulary:
            stop -= 1
            if stop == start:
                return [UNKNOWN]
        pieces.append(piece)
        start = stop
    return pieces


def _spaced(char: str) -> str:
    if char.isspace():
        return " "
    if unicodedata.category(char).startswith("C"):
        return ""
    return f" {char} " if any(first <= ord(char) <= last for first, last in IDEOGRAPHS) else char


def _is_punctuation(char: str) -> bool:
    # All marks of ASCII count, those that Unicode has as symbols, too.
    return ("!" <= char <= "~" and not char.isalnum()) or unicodedata.category(char).startswith("P")
