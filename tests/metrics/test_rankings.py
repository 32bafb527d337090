"""Rows of weights: normalised, ranked, and cut by a threshold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import row_reference
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.index_sets import IndexSets
from attneval.config.thresholds import Threshold
from attneval.metrics.hits import Hits
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.sweep import sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Few different weights, so that many are tied; sums of eighths are exact in any order.
EIGHTHS = st.integers(0, 8).map(lambda n: n / 8)
ROWS = st.integers(1, 9).flatmap(lambda n: st.lists(st.lists(EIGHTHS, min_size=n, max_size=n), min_size=1, max_size=4))
THRESHOLDS = st.one_of(
    st.sampled_from(
        ["uniform", "uniform:0.5", "uniform:2", "abs:0", "abs:0.125", "abs:0.3", "max:0", "max:0.5", "max:1"]
    ),
    st.sampled_from(["mass:0.25", "mass:0.5", "mass:0.8", "mass:1"]),
    st.integers(1, 10).map("top:{}".format),
)


def ranked(row: list[float], threshold: str) -> Rows:
    return Rows.rank(np.array([row], np.float64), Threshold.parse(threshold))


def through(rows: Rows) -> NDArray[np.integer]:
    """How many keys weigh at least as much as each key, itself included."""
    return rows.ahead + (1 if rows.tied is None else rows.tied)


def attended(row: list[float], threshold: str) -> int:
    """How many keys of a row are attended."""
    return int(ranked(row, threshold).attended[0])


# ---------------------------------------------------------------- normalisation


@pytest.mark.parametrize(
    ("row", "method", "expected"),
    [
        ([1, 3, 0, 4], "sum", [1 / 8, 3 / 8, 0, 4 / 8]),
        ([0, 0], "sum", [0, 0]),
        ([0.25], "sum", [1]),
        ([1e-300, 3e-300], "sum", [0.25, 0.75]),
        ([0, math.log(3)], "softmax", [0.25, 0.75]),
        ([-5, -5, -5], "softmax", [1 / 3] * 3),
        ([1000, 1000 + math.log(3)], "softmax", [0.25, 0.75]),  # no overflow
        ([-1000, 0], "softmax", [0, 1]),
        ([2, 4, 3], "minmax", [0, 1, 0.5]),
        ([-1, 1, 0], "minmax", [0, 1, 0.5]),
        ([3, 3, 3], "minmax", [0, 0, 0]),
        ([-2, 7], "none", [-2, 7]),
    ],
)
def test_normalisation_by_hand(row: list[float], method: str, expected: list[float]) -> None:
    other = [5.0, *[1.0] * (len(row) - 1)]
    found = normalised(np.array([row, other], np.float64), method)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-15, rel=1e-12)


@given(ROWS, st.sampled_from(["sum", "softmax", "minmax", "none"]))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_normalisation_is_the_references(rows: list[list[float]], method: str) -> None:
    found = normalised(np.array(rows), method)
    for row, own in zip(rows, found.tolist(), strict=True):
        assert own == pytest.approx(row_reference.normalise(row, method), abs=1e-15)
        # What was tied is tied, and nothing changes places.
        assert all((row[i] < row[j]) == (own[i] < own[j]) for i in range(len(row)) for j in range(len(row)))


# ---------------------------------------------------------------- ranks


def test_ranks_by_hand() -> None:
    rows = ranked([0.2, 0.5, 0.2, 0.0, 0.1, 0.0], "uniform")
    assert rows.ahead.tolist() == [[1, 0, 1, 4, 3, 4]]
    assert through(rows).tolist() == [[3, 1, 3, 6, 4, 6]]
    assert rows.total.tolist() == pytest.approx([1.0])


@given(ROWS, THRESHOLDS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_ranks_and_thresholds_by_counting(table: list[list[float]], threshold: str) -> None:
    rows = Rows.rank(np.array(table), Threshold.parse(threshold))
    for k, row in enumerate(table):
        assert rows.ahead[k].tolist() == [sum(w > own for w in row) for own in row]
        assert through(rows)[k].tolist() == [sum(w >= own for w in row) for own in row]
        members = row_reference.attended(row, threshold)
        assert float(rows.attended[k]) == pytest.approx(sum(members), abs=1e-12)
        # Its share of the places up to `attended` is how much a key belongs to the attended set.
        shares = (rows.attended[k] - rows.ahead[k]) / (through(rows)[k] - rows.ahead[k])
        assert np.clip(shares, 0, 1).tolist() == pytest.approx(members, abs=1e-12)


# ---------------------------------------------------------------- thresholds by hand

ROW = [0.4, 0.3, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0]  # 1/n is 0.125


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        ("uniform", 2),
        ("uniform:2", 2),  # > 0.25
        ("uniform:0.5", 5),  # > 0.0625
        ("uniform:0.8", 2),  # > 0.1
        ("uniform:3.2", 0),  # > 0.4
        ("uniform:0", 5),
        ("abs:0.3", 1),
        ("abs:0.29", 2),
        ("abs:0", 5),
        ("abs:0.4", 0),
        ("abs:1", 0),
        ("max:1", 1),
        ("max:0.75", 2),  # >= 0.3
        ("max:0.76", 1),
        ("max:0.25", 5),
        ("max:0.26", 2),
        ("max:0", 8),
        ("top:1", 1),
        ("top:3", 3),
        ("top:8", 8),
        ("top:100", 8),
        ("mass:0.4", 1),
        ("mass:0.41", 2),
        ("mass:0.7", 2),
        ("mass:0.71", 5),  # the three tenths together
        ("mass:1", 5),
        ("mass:0.0001", 1),
    ],
)
def test_thresholds_by_hand(threshold: str, expected: int) -> None:
    assert attended(ROW, threshold) == expected
    # Which place a key has does not matter.
    assert attended(ROW[::-1], threshold) == expected
    assert attended(ROW[3:] + ROW[:3], threshold) == expected


@pytest.mark.parametrize(
    ("row", "threshold", "expected"),
    [
        # Rows that prefer no key are even attention, which attends to all, whatever their weights.
        ([0, 0, 0], "uniform", 3),
        ([0, 0, 0], "abs:0", 3),
        ([0, 0, 0], "mass:0.5", 3),
        ([0, 0, 0], "mass:1", 3),
        ([0, 0, 0], "max:0.5", 3),
        ([0, 0, 0], "top:2", 3),
        ([1], "uniform", 1),
        ([1], "uniform:100", 1),
        ([1], "mass:1", 1),
        ([1], "top:1", 1),
        # Even to a relative 1e-12 is even; a little more is not, and then each rule says what it says.
        ([1 / 3, 1 / 3, (1 - 0.9e-12) / 3], "abs:0.5", 3),
        ([1 / 3, 1 / 3, (1 - 1.5e-12) / 3], "abs:0.5", 0),
        ([1 / 3, 1 / 3, (1 - 1.5e-12) / 3], "top:1", 1),
        ([2e-300, 2e-300], "abs:0.5", 2),
        ([2e-300, 1e-300], "abs:0.5", 0),
        # Only normalize=none lets rows be anything but shares.
        ([3, 1, 0], "mass:0.75", 1),
        ([3, 1, 0], "mass:0.76", 2),
        ([3, 1, 0], "max:0.3", 2),
        ([3, 1, 0], "abs:1", 1),
    ],
)
def test_thresholds_at_the_edge(row: list[float], threshold: str, expected: int) -> None:
    assert attended(row, threshold) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 7, 10, 11, 23, 36, 49, 64, 100, 196, 577])
@pytest.mark.parametrize("weight", [1.0, 0.1, 1 / 3, 0.7, 1e-3, 123.456])
def test_even_attention_attends_to_every_key(n: int, weight: float) -> None:
    """Under every rule, however the weights were normalised and their division was rounded."""
    given = np.full((1, n), weight)
    for row in (given, given.astype(np.float32).astype(np.float64)):
        for method in ("sum", "softmax", "minmax", "none"):
            for rule in ("uniform", "uniform:5", "abs:0.99", "abs:1000", "max:1", "top:1", "mass:0.01", "mass:1"):
                rows = Rows.rank(normalised(row, method), Threshold.parse(rule))
                assert rows.attended.tolist() == [n], (method, rule)


@pytest.mark.parametrize("rule", ["uniform", "abs:0.5", "max:0.5", "top:2", "mass:0.5"])
def test_even_rows_are_in_every_set_of_a_sweep(rule: str) -> None:
    """Two keys of four are relevant: the set of all has a precision of a half and a recall of 1 at each threshold."""
    threshold = Threshold.parse(rule)
    rows = Rows.rank(np.array([[0.25] * 4, [0.0] * 4]), threshold)
    sets = IndexSets(np.array([0, 2]), np.array([1, 3]))
    both = Hits(rows, np.arange(2), sets, np.zeros(2, np.int64))
    curves = sweep(both, threshold, np.zeros(2, np.int64), 1)[:, 0]
    for curve, value in zip(curves.tolist(), (0.5, 1.0, 2 / 3), strict=True):
        assert curve == pytest.approx([2 * value] * len(curve), abs=1e-12)


def test_a_row_that_is_not_even_is_left_to_its_rule() -> None:
    # The softmax of weights that differ by little differs by as little.
    rows = Rows.rank(normalised(np.array([[0.5, 0.5 + 1e-9]]), "softmax"), Threshold.parse("uniform"))
    assert rows.attended.tolist() == [1]


@pytest.mark.parametrize("n", [3, 7, 10, 36, 49])
def test_thresholds_that_are_met_up_to_rounding(n: int) -> None:
    """k of n even keys hold a mass of k/n, and are 1/k each of what they hold."""
    for k in range(1, n):
        row = normalised(np.array([[0.1] * k + [0.0] * (n - k)]), "sum")
        assert Rows.rank(row, Threshold.parse(f"abs:{1 / k}")).attended.tolist() == [0]
        assert Rows.rank(row, Threshold.parse(f"uniform:{n / k}")).attended.tolist() == [0]
        # Distinct weights that sum to one: the first k hold exactly their sum.
        weights = np.arange(n, 0, -1) / (n * (n + 1) / 2)
        held = sum(range(n, n - k, -1)) / (n * (n + 1) / 2)
        assert Rows.rank(weights[None], Threshold.parse(f"mass:{held}")).attended.tolist() == [k]
        assert Rows.rank(weights[None], Threshold.parse(f"max:{(n - k + 1) / n}")).attended.tolist() == [k]


def test_a_threshold_through_a_tie_keeps_its_size() -> None:
    # Which of the tied keys are in is settled by share: two places for three keys.
    rows = ranked([0.4, 0.2, 0.2, 0.2], "top:3")
    assert rows.attended.tolist() == [3]
    shares = (rows.attended - rows.ahead[0]) / (through(rows)[0] - rows.ahead[0])
    assert np.clip(shares, 0, 1).tolist() == pytest.approx([1, 2 / 3, 2 / 3, 2 / 3])


def test_masses_take_ties_together() -> None:
    assert attended([0.4, 0.2, 0.2, 0.2], "mass:0.5") == 4
    assert attended([0.4, 0.2, 0.2, 0.2], "mass:0.4") == 1


# ---------------------------------------------------------------- entropy


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1, 0, 0, 0], 0),
        ([0.25] * 4, 1),
        ([0.5, 0.5, 0, 0], 0.5),  # log 2 over log 4
        ([0.75, 0.25], -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)),
        ([3, 1], -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)),  # as a distribution
        ([1], None),
        ([0, 0, 0], None),
    ],
)
def test_entropy_by_hand(row: list[float], expected: float | None) -> None:
    found = float(ranked(row, "uniform").entropy[0])
    assert math.isnan(found) if expected is None else found == pytest.approx(expected, abs=1e-15)


def test_even_attention_has_an_entropy_of_one() -> None:
    for n in range(2, 300):
        assert 1 - 1e-12 <= float(ranked([1 / n] * n, "uniform").entropy[0]) <= 1
