"""How often comparisons are wrong, on made-up data whose truth is known.

An image has a difficulty, a number of items that depends on it, an effect that both systems share and one for each
system alone; its items are right or wrong independently given these. Items of an image are thus far from independent,
and the mean over items is not the mean over images. All effects are uniform, so that expectations are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from results import of_f1

from attneval.results.compare import compare
from attneval.results.comparison import System

DATA_SETS = 1500
IMAGES = 150
HARD = 0.4  # the share of images with 6 to 14 items; the others have 1 to 5
ITEMS = {"hard": 10, "easy": 3}  # on average


@dataclass(frozen=True)
class Levels:
    """How often a system is right on hard and on easy images, and how much single images deviate from that."""

    hard: float
    easy: float
    own: float = 0.1

    @property
    def truth(self) -> float:
        """Expected right items over expected items."""
        hard, easy = HARD * ITEMS["hard"], (1 - HARD) * ITEMS["easy"]
        return (hard * self.hard + easy * self.easy) / (hard + easy)


BASE = Levels(0.35, 0.6)
CANDIDATES = {
    "the same": BASE,
    # Better on hard images, worse on easy ones, and less steady: not interchangeable with the base, and yet as good.
    "as good otherwise": Levels(0.35 + 0.045, 0.6 - 0.1, own=0.2),
    "better": Levels(0.41, 0.66),
}


@dataclass(frozen=True)
class Rates:
    """Shares of the data sets."""

    rejected: float
    base_covered: float
    candidate_covered: float
    difference_covered: float
    covered_if_items_were_independent: float


def draw(random: np.random.Generator, levels: tuple[Levels, ...]) -> tuple[list[float], list[list[float]]]:
    """How many items each image has, and how many of them each system gets right."""
    hard = random.random(IMAGES) < HARD
    items = np.where(hard, random.integers(6, 15, IMAGES), random.integers(1, 6, IMAGES))
    shared = random.uniform(-0.15, 0.15, IMAGES)
    right = []
    for own in levels:
        chance = np.where(hard, own.hard, own.easy) + shared + random.uniform(-own.own, own.own, IMAGES)
        right.append(random.binomial(items, chance).astype(float).tolist())
    return items.astype(float).tolist(), right


def simulate(candidate: Levels, seed: int) -> Rates:
    random = np.random.default_rng(seed)
    counts = np.zeros(5)
    for number in range(DATA_SETS):
        items, right = draw(random, (BASE, candidate))
        systems = [System(name, (of_f1(name, f1, items),)) for name, f1 in zip("ab", right, strict=True)]
        # One seed for all data sets would use one set of resamples for all.
        line = compare(systems, names=["f1"], trials=1000, resamples=600, seed=number).lines[0]
        difference = line.differences[1]
        assert difference is not None
        value = sum(right[0]) / sum(items)
        half = 1.96 * math.sqrt(value * (1 - value) / sum(items))
        intervals = [
            (line.intervals[0], BASE.truth),
            (line.intervals[1], candidate.truth),
            (difference.ci, candidate.truth - BASE.truth),
            ((value - half, value + half), BASE.truth),
        ]
        covered = [bounds is not None and bounds[0] <= truth <= bounds[1] for bounds, truth in intervals]
        counts += [difference.p < 0.05, *covered]
    return Rates(*(counts / DATA_SETS).tolist())


@pytest.mark.parametrize(("name", "seed"), [("the same", 1), ("as good otherwise", 2), ("better", 3)])
def test_false_positives_and_coverage(name: str, seed: int) -> None:
    candidate = CANDIDATES[name]
    rates = simulate(candidate, seed)
    print(name, rates)  # noqa: T201 - shown by pytest -s
    # A rate of 5 % of 1,500 data sets has a standard error of 0.6 %.
    for covered in (rates.base_covered, rates.candidate_covered, rates.difference_covered):
        assert 0.93 <= covered <= 0.97
    if candidate.truth == pytest.approx(BASE.truth):
        assert rates.rejected <= 0.06
        # Nor is it far too careful.
        assert rates.rejected >= 0.03
    else:
        assert rates.rejected > 0.5
    # The data are such that taking items for independent goes wrong.
    assert rates.covered_if_items_were_independent < 0.92
