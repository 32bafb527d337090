"""Function words: the closed classes of English, whose words name nothing that could be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth
    from attneval.matching.words import Words

CLASSES = {
    "coordinating conjunctions": "and but or nor yet plus versus vs",
    "determiners": "a an the this that these those each every either neither another any some all both no half such",
    "existential there": "there",
    "modal verbs": "can could may might must shall should will would ought cannot",
    "pronouns": (
        "i you he she it we they me him us them myself yourself himself herself itself ourselves yourselves themselves "
        "oneself one mine yours hers ours theirs"
    ),
    "possessive pronouns": "my your his her its our their",
    "interjections": "oh ah yes hey hi hello wow ok okay please",
    "words of questions and relative clauses": (
        "which what who whom whose whatever whichever whoever whomever how when where why whenever wherever"
    ),
}
"""Words by class: the tags CC, DT, EX, MD, PRP, PRP$, UH, WDT, WP, WP$ and WRB of the Penn Treebank. Prepositions (IN)
and numbers (CD) are none, as in TAM."""
FUNCTION_WORDS = frozenset(word for words in CLASSES.values() for word in words.split())
"""All of them, in lower case."""


def function_words(truth: GroundTruth, words: Words) -> NDArray[np.int64]:
    """Find the words of captions that are function words.

    Args:
        truth: The annotations, with the captions' texts.
        words: Their words.

    Returns:
        i8[k], rows of `words`, ascending.
    """
    caption = np.repeat(np.arange(len(truth.text)), np.diff(words.caption_offset)).tolist()
    texts, known = list(truth.text), []
    for row, (start, stop) in enumerate(words.span[: len(caption)].tolist()):
        word = texts[caption[row]][start:stop].strip("'\".,:;!?()[]-").lower()
        if word in FUNCTION_WORDS:
            known.append(row)
    return np.array(known, np.int64)
