"""Regions to remove: orders, counts, the curves that scores make up, and the words whose map says the order."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.errors import ConfigError
from attneval.extraction.removals import ORDERS, Removals, annotated_words, check_steps, described, mean_map, words_of
from attneval.groundtruth import open_ground_truth

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIXTURES = Path(__file__).parents[2] / "fixtures"


def scored(removals: Removals, worth: NDArray[np.float64]) -> dict[str, list[float]]:
    """The curves of a model whose score is the worth of the regions that are left."""
    curves = removals.curves([float(worth[~gone].sum()) for gone in removals.removed])
    return {name: scores.tolist() for name, scores in curves.items()}


def test_curves_by_hand() -> None:
    removals = Removals.from_weights(np.array([0.1, 0.6, 0.3, 0.0]), 2, "1000#0")
    curves = scored(removals, np.array([1.0, 10, 100, 1000]))
    # Half of four regions: the second and the third have most weight.
    assert curves["deletion"] == [1111, 1001, 0]
    assert curves["insertion"] == [0, 110, 1111]
    assert curves["deletion_random"] == curves["insertion_random"][::-1]
    assert [curves["deletion_random"][k] for k in (0, 2)] == [1111, 0]


def test_as_many_regions_as_the_share_says() -> None:
    """Of 5 regions in 4 steps 1.25, 2.5 and 3.75: 1, 3 and 4 are removed."""
    removals = Removals.from_weights(np.array([5.0, 4, 3, 2, 1]), 4, "a#0")
    curves = scored(removals, np.ones(5))
    assert curves["deletion"] == [5, 4, 2, 1, 0]
    assert curves["deletion_random"] == [5, 4, 2, 1, 0]
    # Kept are those that are not removed from the other end.
    assert curves["insertion"] == [0, 1, 2, 4, 5]


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=9), st.integers(2, 6), st.integers(0, 2**31)
)
@settings(max_examples=100, deadline=None)
def test_the_most_attended_go_first(weight: list[float], steps: int, seed: int) -> None:
    regions = len(weight)
    removals = Removals.from_weights(np.array(weight), steps, f"{seed}#0")
    assert len({row.tobytes() for row in removals.removed}) == len(removals.removed)
    each = removals.removed[removals.place]
    assert len(each) == 2 + (2 + ORDERS) * (steps - 1)
    assert not each[0].any()
    assert each[1].all()
    for order, rows in enumerate(each[2:].reshape(-1, steps - 1, regions)):
        count = 0
        for step, gone in enumerate(rows, 1):
            assert abs(gone.sum() - step * regions / steps) <= 0.5
            assert gone.sum() >= count
            count = int(gone.sum())
            left, taken = np.array(weight)[~gone], np.array(weight)[gone]
            if order == 0 and 0 < count < regions:
                assert taken.min() >= left.max()
            if order == 1 and 0 < count < regions:
                assert taken.max() <= left.min()
        for before, after in itertools.pairwise(rows):
            assert not (before & ~after).any()


def test_random_orders_are_those_of_the_caption() -> None:
    weight = np.arange(12.0)
    one, same, other = (Removals.from_weights(weight, 4, name) for name in ("7#0", "7#0", "7#1"))
    worth = np.random.default_rng(0).random(12)
    assert scored(one, worth) == scored(same, worth)
    assert scored(one, worth)["deletion_random"] != scored(other, worth)["deletion_random"]
    assert scored(one, worth)["deletion"] == scored(other, worth)["deletion"]


def test_equal_weights_do_not_follow_the_file() -> None:
    first = [
        int(np.flatnonzero(r.removed[r.place[2]])[0])
        for r in (Removals.from_weights(np.ones(6), 6, f"{name}#0") for name in range(200))
    ]
    assert set(first) == set(range(6))
    assert max(first.count(region) for region in range(6)) < 60


def test_too_few_steps_are_refused() -> None:
    assert check_steps(2) == 2
    with pytest.raises(ConfigError, match="perturb is 1"):
        check_steps(1)


def test_the_header_says_how_it_was_done() -> None:
    said = described(10, annotated=True, removed="this", score="that")
    assert said["steps"] == 10
    assert said["random_orders"] == 8
    assert "annotated words" in str(said["order"])
    assert "annotated" not in str(described(10, annotated=False, removed="this", score="that")["order"])


# ---------------------------------------------------------------- words and their mean map


def test_the_mean_map_by_hand() -> None:
    text = "a dog-house runs"
    span = np.array([(-1, -1), (0, 1), (2, 5), (6, 11), (12, 16)])
    rows = np.array([[[9, 0], [2, 2], [1, 3], [2, 0], [0, 4]]], np.float32)
    words = words_of(text)
    assert words == [(0, 1), (2, 11), (12, 16)]
    # Tokens of a word first: (.25, .75) and (1, 0) are (.625, .375).
    assert mean_map(rows, span, words[1:2]).tolist() == [0.625, 0.375]
    assert mean_map(rows, span, words).tolist() == pytest.approx([1.125 / 3, 1.875 / 3])
    assert mean_map(rows, span, []).tolist() == [0, 0]


def test_rows_without_weight_are_no_part_of_it() -> None:
    span = np.array([(0, 1), (2, 3)])
    rows = np.array([[[1, 1], [0, 0]], [[0, 0], [0, 0]]], np.float64)
    assert mean_map(rows, span, [(0, 1), (2, 3)]).tolist() == [0.5, 0.5]


def test_words_within_spans() -> None:
    assert words_of("two dogs/cats , run", [(4, 8)]) == [(4, 8)]
    assert words_of("two dogs , run", [(0, 10)]) == [(0, 3), (4, 8)]
    assert words_of("") == []
    assert words_of(" , . ") == []


def test_annotated_words_are_those_of_phrases_with_a_box() -> None:
    source = open_ground_truth([FIXTURES / "entities"])
    truth = source.read(list(source.image_ids())[:20])
    boxed = bare = 0
    for caption in range(len(truth.text)):
        found = annotated_words(truth, caption)
        first, last = truth.phrase_offset[caption : caption + 2].tolist()
        spans = [
            truth.span[truth.span_offset[phrase]].tolist()
            for phrase in range(first, last)
            if truth.phrase_entity[phrase] >= 0
        ]
        assert found
        if spans:
            boxed += 1
            assert all(any(a <= start and stop <= b for a, b in spans) for start, stop in found)
        else:
            bare += 1
            assert found == words_of(truth.text[caption])
    assert boxed
