"""The head of a referring expression, by a rule on closed classes of words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attneval.groundtruth.entry import Span

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_BEFORE_A_NOUN = "a an the this that these those his her its their my your our one some any all both each no"
_AFTER_A_NOUN = """
in on at of to by with without near behind under over above below beside besides between from for into inside outside
onto off next across against along around like through toward towards underneath beneath up down out and or but nor not
who whom whose which that where when while as than is are was were be been being has have had does do did can could will
would may might closest nearest farthest furthest facing
"""
_DETERMINERS, _ENDS = frozenset(_BEFORE_A_NOUN.split()), frozenset(_AFTER_A_NOUN.split())


def head_span(text: str) -> list[Span]:
    """Find the head noun of an expression.

    The first run of words that are no determiners, prepositions, conjunctions, relative pronouns, auxiliaries or
    participles in -ing after another word is taken for its noun phrase, and the last word of that for its head.

    Args:
        text: The expression.

    Returns:
        The span of one word; none if the text has no word.
    """
    words = list(_WORD.finditer(text))
    run: list[re.Match[str]] = []
    for match in words:
        word = match[0].lower()
        ends = word in _ENDS or (bool(run) and word.endswith("ing") and len(word) > 5)
        if ends and run:
            break
        if not ends and word not in _DETERMINERS:
            run.append(match)
    chosen = run or words[-1:]
    return [chosen[-1].span()] if chosen else []
