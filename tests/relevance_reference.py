"""Retrieval with relevance sets as slowly and plainly as it can be written: a list of answers for each query, sorted.

Nothing is shared with the package. Where scores are tied, every place of the tie is gone through, with the chances of
hypergeometric draws.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from fractions import Fraction

KS = (1, 5, 10)
Answers = Mapping[Hashable, float]


def query(scores: Answers, relevant: set[Hashable], ties: str) -> dict[str, Fraction]:
    """What a query scores: `r@1`, ..., `r_precision`, `map@r`.

    Args:
        scores: Of each answer in the gallery.
        relevant: Answers, some of which may not be in the gallery.
        ties: `expected`, `worst` or `best`.
    """
    listed = len(relevant)
    miss = dict.fromkeys(KS, Fraction(1))
    hits = precision = Fraction(0)
    ahead = seen = 0
    for score in sorted(set(scores.values()), reverse=True):
        group = [answer for answer, value in scores.items() if value == score]
        good = sum(answer in relevant for answer in group)
        for place in range(1, len(group) + 1):
            rank = ahead + place
            chance, before = _at(place, len(group), good, ties)
            if rank <= listed:
                hits += chance
                precision += chance * (seen + 1 + before) / rank
        for k in KS:
            drawn = min(max(k - ahead, 0), len(group))
            miss[k] *= _none(drawn, len(group), good, ties)
        ahead, seen = ahead + len(group), seen + good
    return {
        **{f"r@{k}": 1 - miss[k] for k in KS},
        "r_precision": hits / listed,
        "map@r": precision / listed,
    }


def _at(place: int, size: int, good: int, ties: str) -> tuple[Fraction, Fraction]:
    """How likely a place of a tie is relevant, and how many relevant ones of the tie are then before it."""
    if ties != "expected":
        first = 1 if ties == "best" else size - good + 1
        inside = first <= place < first + good
        return Fraction(int(inside)), Fraction(place - first if inside else 0)
    if not good:
        return Fraction(0), Fraction(0)
    before = Fraction(0)
    for count in range(good):
        ways = math.comb(good - 1, count) * math.comb(size - good, place - 1 - count) if place - 1 >= count else 0
        before += count * Fraction(ways, math.comb(size - 1, place - 1))
    return Fraction(good, size), before


def _none(drawn: int, size: int, good: int, ties: str) -> Fraction:
    """How likely none of the first of a tie is relevant."""
    if ties == "best":
        return Fraction(int(not (drawn and good)))
    if ties == "worst":
        return Fraction(int(not (good and drawn > size - good)))
    return Fraction(math.comb(size - good, drawn), math.comb(size, drawn))


def relevance(
    scores: Sequence[Sequence[float]],
    caption_image: Sequence[int],
    relevant: Mapping[str, Mapping[int, Sequence[Hashable]]],
    ties: str = "expected",
    folds: int = 1,
) -> dict[str, float]:
    """The metrics of a set by name, as `i2t_map@r`, and of chance as `chance_i2t_map@r`.

    Args:
        scores: Of images and captions.
        caption_image: The image of each caption.
        relevant: By direction and query the relevant answers: rows of captions or images, or anything else for answers
            that are nowhere.
        ties: How equal scores are ranked.
        folds: Into how many consecutive folds the images are cut.
    """
    images, captions = range(len(scores)), range(len(caption_image))
    fold = [row // (len(scores) // folds) for row in images]
    values: dict[str, float] = {}
    for direction, queries in relevant.items():
        parts: dict[str, list[list[Fraction]]] = {}
        for number in range(folds):
            scored: list[dict[str, Fraction]] = []
            for asked, answers in queries.items():
                if fold[asked if direction == "i2t" else caption_image[asked]] != number:
                    continue
                if direction == "i2t":
                    found: dict[Hashable, float] = {
                        c: scores[asked][c] for c in captions if fold[caption_image[c]] == number
                    }
                else:
                    found = {i: scores[i][asked] for i in images if fold[i] == number}
                own = query(found, set(answers), ties)
                even = query(dict.fromkeys(found, 0.0), set(answers), "expected")
                scored.append(own | {f"chance {name}": value for name, value in even.items()})
            for name in scored[0] if scored else ():
                parts.setdefault(name, []).append([one[name] for one in scored])
        for name, lists in parts.items():
            chance, _, metric = name.rpartition(" ")
            key = f"{chance}_{direction}_{metric}" if chance else f"{direction}_{metric}"
            values[key] = float(sum(sum(part) / len(part) for part in lists) / len(lists))
    return values
