from __future__ import annotations

import numpy as np

from attneval.training.data.captions import EncodedCaptions
from attneval.training.data.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*SPECIALS, "a", "dog", "runs"))


def test_batch_by_hand() -> None:
    captions = EncodedCaptions.from_texts(["A dog runs", "dog", ""], VOCABULARY)
    assert captions.tokens[1] == ("<start>", "dog", "<end>")
    batch = captions.batch(np.array([1, 0, 2]))
    assert batch.ids.tolist() == [[1, 5, 2, 0, 0], [1, 4, 5, 6, 2], [1, 2, 0, 0, 0]]
    assert batch.mask.sum(1).tolist() == [3, 5, 2]
    assert captions.batch(np.array([1])).ids.shape == (1, 3)


def test_cut() -> None:
    captions = EncodedCaptions.from_texts(["A dog runs"], VOCABULARY, limit=4)
    assert captions.tokens == (("<start>", "a", "dog", "<end>"),)
