from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.toy import THINGS

from attneval.extraction.annotated import relevant_regions
from attneval.training.data.captions import EncodedCaptions
from attneval.training.data.precomputed import open_split
from attneval.training.data.relevant import relevant_tokens, token_spans
from attneval.training.data.vocabulary import Vocabulary, tokenize, wrap

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["A dog chases the man's cat.", 'The "big" dog', "dog"]
VOCABULARY = Vocabulary.build(TEXTS, 1)


def encoded(limit: int = 0) -> EncodedCaptions:
    return EncodedCaptions.from_texts(TEXTS, VOCABULARY, limit)


@pytest.mark.parametrize(
    "text",
    ["A dog chases the man's cat.", '"Two" dogs , we cannot see\u00a0it ...', "İstanbul's dog", "  Don't  stop", ""],
)
def test_tokens_lie_where_their_text_does(text: str) -> None:
    tokens = wrap(tokenize(text))
    spans = token_spans(text, tokens)
    assert spans[0] == spans[-1] == (0, 0)
    for token, (start, stop) in zip(tokens[1:-1], spans[1:-1], strict=True):
        if (start, stop) != (0, 0):
            assert text[start:stop].lower() == token.replace("``", '"').replace("''", '"')
    covered = "".join(text[start:stop] for start, stop in spans)
    if "İ" not in text:  # what changes its length in lower case cannot be placed
        assert covered == "".join(text.split())


def test_where_text_and_tokens_part_nothing_is_placed() -> None:
    assert token_spans("a dog runs", ["<start>", "a", "cat", "runs", "<end>"]) == [(0, 0), (0, 1), *[(0, 0)] * 3]


def test_words_give_their_regions_to_tokens() -> None:
    words = [
        (0, TEXTS[0], (2, 5), np.array([1, 3])),  # dog
        (0, TEXTS[0], (17, 22), np.array([0])),  # man's, which is two tokens
        (1, TEXTS[1], (4, 9), np.array([2])),  # "big" with its quotes, three tokens
        (2, TEXTS[2], (0, 3), np.array([], np.int64)),  # nothing is relevant
    ]
    relevant = relevant_tokens(encoded(), words, 4)
    assert len(relevant) == 6
    mask = relevant.batch(np.array([1, 0]), 12, 5).numpy()
    assert mask.shape == (2, 12, 5)
    expected = np.zeros((2, 12, 5), np.bool_)
    # <start> the `` big '' dog; <start> a dog chases the man 's cat .
    expected[0, 2:5, 2] = True
    expected[1, 2, [1, 3]] = True
    expected[1, 5:7, 0] = True
    np.testing.assert_array_equal(mask, expected)
    assert not relevant.batch(np.array([2, 2]), 3, 4).any()


def test_tokens_that_were_cut_off_get_nothing() -> None:
    relevant = relevant_tokens(encoded(limit=4), [(0, TEXTS[0], (17, 22), np.array([0]))], 4)
    assert len(relevant) == 0
    assert not relevant.batch(np.array([0, 1]), 4, 4).any()


def test_annotations_of_the_generated_data(toy: Path) -> None:
    """A thing that a caption names is annotated with the box of one of the first three regions, which shows it."""
    split = open_split(toy, "train")
    vocabulary = Vocabulary.build(split.captions, 1)
    captions = EncodedCaptions.from_texts(split.captions, vocabulary)
    relevant = relevant_regions(toy / "entities", split, captions)
    mask = relevant.batch(np.arange(len(captions)), max(map(len, captions.tokens)), 6).numpy()
    for caption, tokens in enumerate(captions.tokens):
        named = [index for index, token in enumerate(tokens) if token in THINGS]
        assert all(mask[caption, index, :3].any() for index in named)
        # Each thing has a region of its own, which is relevant for nothing else of the caption unless boxes overlap.
        rows = {tokens[index]: mask[caption, index] for index in named}
        firsts = [int(np.flatnonzero(row)[0]) for row in rows.values()]
        assert len(firsts) >= 2
        others = [index for index, token in enumerate(tokens) if token in {"near", "and", ".", "<start>", "<end>"}]
        assert not mask[caption, others].any()


def test_captions_that_are_cut_keep_what_is_left(toy: Path) -> None:
    """Annotated words without a token are no reason to refuse captions, and change nothing for the others."""
    split = open_split(toy, "train")
    vocabulary = Vocabulary.build(split.captions, 1)
    whole, cut = (
        relevant_regions(toy / "entities", split, EncodedCaptions.from_texts(split.captions, vocabulary, limit))
        for limit in (0, 6)
    )
    everything = np.arange(len(split.captions))
    kept = cut.batch(everything, 6, 6).numpy()
    assert 0 < len(cut) < len(whole)
    np.testing.assert_array_equal(kept[:, :5], whole.batch(everything, 30, 6).numpy()[:, :5])
    assert not kept[:, 5].any()  # <end>
