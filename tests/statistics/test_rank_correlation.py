"""Rank correlations: by hand, against fractions, resampled, and permuted."""

from __future__ import annotations

import itertools
import math

import joint_reference as slow
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.statistics import rank_correlation
from attneval.statistics.bootstrap import bootstrap_repeats
from attneval.statistics.rank_correlation import RankCorrelation

NUMBERS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=14)


def correlation(x: list[float], y: list[float], image: list[int] | None = None) -> RankCorrelation:
    rows = list(range(len(x))) if image is None else image
    return RankCorrelation(np.array(x, float), np.array(y, float), np.array(rows, np.int64))


def test_by_hand() -> None:
    assert correlation([1, 2, 3], [10, 20, 90]).value() == pytest.approx(1)
    assert correlation([1, 2, 3], [9, 2, -1]).value() == pytest.approx(-1)
    # Ranks 1 2 3 4 and 2 1 4 3: differences of 1, so 1 - 6 * 4 / (4 * 15).
    assert correlation([1, 2, 3, 4], [2, 1, 4, 3]).value() == pytest.approx(0.6)
    # Ties share 1.5: with ranks 1.5 1.5 3 and 1 2 3 it is 1.5 / sqrt(1.5 * 2).
    assert correlation([5, 5, 7], [1, 2, 3]).value() == pytest.approx(1.5 / math.sqrt(3))


@pytest.mark.parametrize("x", [[1.0, 1, 1], [4.0], []])
def test_what_does_not_vary_has_none(x: list[float]) -> None:
    one = correlation(x, [float(k) for k in range(len(x))])
    assert math.isnan(one.value())
    assert one.p_value(trials=10) is None


@given(NUMBERS)
@settings(max_examples=200, deadline=None)
def test_it_is_that_of_the_reference(numbers: list[tuple[int, int, int]]) -> None:
    x, y, image = (list(map(float, column)) for column in zip(*numbers, strict=True))
    expected = slow.spearman(x, y)
    found = correlation(x, y, [int(i) for i in image]).value()
    assert math.isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-12)


@given(NUMBERS, st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_resampled_images_are_images_that_are_there_several_times(
    numbers: list[tuple[int, int, int]], seed: int
) -> None:
    x, y, image = zip(*numbers, strict=True)
    repeats = bootstrap_repeats(6, 8, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_correlation, "RESAMPLED_AT_ONCE", 20)
        found = correlation(list(map(float, x)), list(map(float, y)), list(image)).resampled(repeats)
    for value, times in zip(found.tolist(), repeats.tolist(), strict=True):
        several = [(a, b) for a, b, i in numbers for _ in range(int(times[i]))]
        expected = slow.spearman([a for a, _ in several], [b for _, b in several])
        assert math.isnan(value) if expected is None else value == pytest.approx(expected, abs=1e-12)


def test_all_permutations_of_few_images() -> None:
    """Of the 24 orders of four numbers two have a correlation as far from 0 as the one that ascends."""
    x, y = [1.0, 2, 3, 4], [1.0, 2, 3, 4]
    every = [slow.spearman(x, list(order)) or 0.0 for order in itertools.permutations(y)]
    share = sum(abs(value) >= 1 - 1e-9 for value in every) / len(every)
    assert share == 2 / 24
    p = correlation(x, y).p_value(trials=20_000, seed=3)
    assert p == pytest.approx(share, abs=0.006)


@pytest.mark.parametrize("at_once", [2**20, 3])
def test_images_exchange_with_equally_many(at_once: int) -> None:
    """Two images of two and two of one: each pair exchanges or not, so that of four ways two are the same or the turn.

    What belongs to one image stays together and in order.
    """
    image, x, y = [0, 0, 1, 1, 2, 3], [1.0, 2, 3, 4, 5, 6], [1.0, 2, 4, 3, 6, 5]
    ways = [[1, 2, 4, 3], [4, 3, 1, 2]], [[6, 5], [5, 6]]
    values = [slow.spearman(x, [float(v) for v in (*a, *b)]) or 0.0 for a in ways[0] for b in ways[1]]
    limit = slow.spearman(x, y)
    assert limit is not None
    share = sum(abs(value) >= abs(limit) - 1e-9 for value in values) / 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_correlation, "NUMBERS_AT_ONCE", at_once)
        p = correlation(x, y, image).p_value(trials=8000, seed=1)
    assert p == pytest.approx(share, abs=0.02)


def test_a_correlation_is_significant_and_noise_is_not() -> None:
    random = np.random.default_rng(5)
    image = np.repeat(np.arange(60), 3)
    x = random.normal(size=180)
    strong = RankCorrelation(x, x + random.normal(size=180), image)
    assert strong.p_value(trials=999) == 1 / 1000
    ps = [RankCorrelation(random.normal(size=180), x, image).p_value(trials=199) or 0 for _ in range(60)]
    assert 0.3 < float(np.mean(ps)) < 0.7


def test_numbers_that_images_share_are_no_evidence() -> None:
    """Each image has one number ten times: by captions that looks certain, by images it is not."""
    random, small = np.random.default_rng(2), 0
    for _ in range(40):
        x, y = np.repeat(random.normal(size=(2, 12)), 10, axis=1)
        small += (RankCorrelation(x, y, np.repeat(np.arange(12), 10)).p_value(trials=199) or 0) <= 0.05
    assert small <= 6


def test_the_same_seed_gives_the_same() -> None:
    one = correlation([1.0, 3, 2, 5, 4], [2.0, 1, 3, 4, 5])
    assert one.p_value(trials=500, seed=7) == one.p_value(trials=500, seed=7)
