"""Penn Treebank word tokenisation, as `nltk.word_tokenize` does it, without nltk and without downloads.

Written from the description of the rules: quotes become `` and '', punctuation is split off, a period only at the
end of a sentence, clitics ('s, n't, 'll...) and a few contractions (cannot, gonna...) are parted. nltk finds the
ends of sentences with a learned model; here a period followed by white space ends one unless it follows a single
letter, a number, letters with periods (u.s.), or a common abbreviation.
"""

from __future__ import annotations

import re

_QUOTES = r"«»“”\u2018\u2019„"
_MARKS = r";@#$%&?!*()\[\]{}<>\u2012-\u2015"
_CLOSERS = r"[\])}>\"'»”\u2019]"

_PIECE = re.compile(
    rf"\.{{2,}}|--|`+|''|[{_QUOTES}{_MARKS}]|[:,](?!\d)"
    rf"|(?:(?!\.{{2,}}|--|''|[:,](?!\d))[^{_QUOTES}{_MARKS}`])+"
)
_OPENING_QUOTE = re.compile(r"^\"|(?<=[\s(\[{<«“\u2018„`])(?:\"|'')")
_CLOSING_QUOTE = re.compile(r"\"|''")
_FINAL_PERIOD = re.compile(rf"(?<=[^.])\.(?=(?:{_CLOSERS}|\s)*$)")
_SENTENCE_END = re.compile(rf"(?<![.\s])\.{_CLOSERS}*\s+")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'-])(?:\w|\d[\d.,]*|(?:\w\.)+\w"
    r"|mr|mrs|ms|dr|st|jr|sr|vs|etc|prof|gen|col|capt|lt|sgt|rev|hon|gov|sen|rep|pres"
    r"|inc|co|corp|ltd|bros|dept|univ|assn|ave|blvd|rd|ft|mt|vol|pp|ed|fig|al|cf"
    r"|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)$",
    re.IGNORECASE,
)
# Behind an apostrophe that begins a word, unless the word is a clitic.
_OPENING = re.compile(r"(?<=(?<!\w)')(?!(?:re|ve|ll|[mtsdn])\b)(?=\w)", re.IGNORECASE)
_CLITICS = (
    re.compile(r"(?<=[^'])(?='[smd]$)", re.IGNORECASE),
    re.compile(r"(?<=[^'])(?='ll$|'LL$|'re$|'RE$|'ve$|'VE$|n't$|N'T$)"),
)
_CONTRACTIONS = re.compile(
    r"\b(?:can(?=not\b)|d(?='ye\b)|gim(?=me\b)|gon(?=na\b)|got(?=ta\b)|lem(?=me\b)|more(?='n\b)|wan(?=na$))",
    re.IGNORECASE,
)


def word_tokenize(text: str) -> list[str]:
    """Split a text into words.

    Example:
        >>> word_tokenize("The man's dog can't see it, at 10:30 a.m. or so.")
        ['The', 'man', "'s", 'dog', 'ca', "n't", 'see', 'it', ',', 'at', '10:30', 'a.m.', 'or', 'so', '.']
    """
    return [token for sentence in _sentences(text) for token in _sentence_tokens(sentence)]


def _sentences(text: str) -> list[str]:
    """The text cut after each period that ends a sentence; other ends of sentences change no token."""
    cuts = [
        match.end()
        for match in _SENTENCE_END.finditer(text)
        if match.end() < len(text) and not _ABBREVIATION.search(text, 0, match.start())
    ]
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def _sentence_tokens(sentence: str) -> list[str]:
    quoted = _CLOSING_QUOTE.sub(" '' ", _OPENING_QUOTE.sub(" `` ", sentence))
    pieces = [piece for chunk in _FINAL_PERIOD.sub(" . ", quoted).split() for piece in _PIECE.findall(chunk)]
    tokens: list[str] = []
    for piece in pieces:
        split = "'" in piece and piece != "''"
        tokens.extend(_apostrophes(piece) if split else _cut(piece, _CONTRACTIONS))
    return tokens


def _apostrophes(piece: str) -> list[str]:
    """Split off clitics, and apostrophes that open or end a word."""
    tokens: list[str] = []
    for part in _OPENING.split(piece):
        word, ends = (part[:-1], ["'"]) if len(part) > 1 and part.endswith("'") else (part, [])
        clitics: list[str] = []
        for clitic in _CLITICS:
            word, *tail = clitic.split(word, maxsplit=1)
            clitics = [*tail, *clitics]
        tokens += [*_cut(word, _CONTRACTIONS), *clitics, *ends]
    return tokens


def _cut(word: str, pattern: re.Pattern[str]) -> list[str]:
    """The word cut behind each match of the pattern."""
    cuts = [match.end() for match in pattern.finditer(word)]
    return [word[start:end] for start, end in zip([0, *cuts], [*cuts, len(word)], strict=True)]
