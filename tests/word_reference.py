"""Words and tokens of captions, as the reference aligns them."""

from __future__ import annotations

import re
import unicodedata


def letters(text: str) -> str:
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in text if c.isalnum())


def is_special(token: str) -> bool:
    return not token or re.fullmatch(r"<[^<>]+>|\[[^\[\]]+\]", token) is not None


def tokens_of_words(tokens: list[str], words: list[str]) -> list[list[int]]:
    """Tokens of each word, for texts that agree letter by letter, up to where the tokens end."""
    owner = [w for w, word in enumerate(words) for _ in letters(word)]
    found: list[list[int]] = [[] for _ in words]
    position = 0
    for t, token in enumerate(tokens):
        if is_special(token):
            continue
        text = letters(token)
        for w in sorted(set(owner[position : position + len(text)])):
            found[w].append(t)
        if not text and 0 < position < len(owner) and owner[position - 1] == owner[position]:
            found[owner[position]].append(t)  # punctuation within a word
        position += len(text)
    return found
