from __future__ import annotations

import itertools

import numpy as np
import pytest

from attneval.errors import DataError
from attneval.training.run.retrieval import Recall, mean_recall, recall


def slow_recall(similarity: np.ndarray, caption_image: np.ndarray) -> tuple[list[float], list[float]]:
    """By sorting, one query at a time; without ties."""
    images, captions = similarity.shape
    i2t, t2i = [], []
    for image in range(images):
        order = sorted(range(captions), key=lambda caption: -similarity[image, caption])
        i2t.append(min(place for place, caption in enumerate(order) if caption_image[caption] == image))
    for caption in range(captions):
        order = sorted(range(images), key=lambda image: -similarity[image, caption])
        t2i.append(order.index(caption_image[caption]))
    return ([float(np.mean([place < k for place in places])) for k in (1, 5, 10)] for places in (i2t, t2i))  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_slow_implementation(seed: int) -> None:
    random = np.random.default_rng(seed)
    caption_image = np.repeat(np.arange(20), 3)
    similarity = random.normal(size=(20, 60)) + 1.5 * (caption_image == np.arange(20)[:, None])
    i2t, t2i = slow_recall(similarity, caption_image)
    found = recall(similarity, caption_image)
    np.testing.assert_allclose(found.i2t, i2t)
    np.testing.assert_allclose(found.t2i, t2i)
    assert found.rsum == pytest.approx(sum(i2t) + sum(t2i))
    assert found.named()["t2i_r@5"] == pytest.approx(t2i[1])


def test_ties_count_by_their_expected_value() -> None:
    """Against all orders of the tied items."""
    similarity = np.array([[0.5, 0.5, 0.9, 0.5], [0.1, 0.2, 0.3, 0.4]])
    caption_image = np.array([0, 0, 1, 1])
    # Image 0: caption 2 is better, then captions 0 and 1 (its own) and 3 in any order: never first.
    # Image 1: caption 3 is first.
    assert recall(similarity, caption_image).i2t == (0.5, 1.0, 1.0)
    constant = recall(np.zeros((2, 4)), caption_image)
    orders = list(itertools.permutations(range(4)))
    first = np.mean([caption_image[order[0]] == 0 for order in orders])
    assert constant.i2t[0] == pytest.approx(first)
    assert constant.t2i[0] == 0.5


def test_a_constant_matrix_scores_chance() -> None:
    found = recall(np.ones((20, 100)), np.repeat(np.arange(20), 5))
    assert found.t2i == pytest.approx((0.05, 0.25, 0.5))
    assert found.i2t[0] == pytest.approx(0.05)
    # Five of the hundred are right: chance that none of ten is.
    none = np.prod([(95 - place) / (100 - place) for place in range(10)])
    assert found.i2t[2] == pytest.approx(1 - none)


def test_refuses() -> None:
    with pytest.raises(DataError, match="the score of image 0 with caption 1 is nan"):
        recall(np.array([[1, np.nan], [1, 1]]), np.array([0, 1]))
    with pytest.raises(DataError, match="only 1 of 2 images have captions"):
        recall(np.ones((2, 2)), np.array([0, 0]))


def test_mean_over_folds() -> None:
    mean = mean_recall([Recall((0.0, 0.5, 1.0), (0.2, 0.4, 0.6)), Recall((1.0, 1.0, 1.0), (0.4, 0.6, 0.8))])
    assert mean.i2t == (0.5, 0.75, 1.0)
    assert mean.t2i == pytest.approx((0.3, 0.5, 0.7))
