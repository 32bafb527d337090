"""Otsu's threshold by hand, against a slow search."""

from __future__ import annotations

import heat_reference
import numpy as np
import pytest
import row_reference
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.otsu import otsu_shares
from attneval.config.thresholds import Threshold
from attneval.metrics.rankings import Rows


def attended(row: list[float], rule: str = "otsu") -> list[bool]:
    rows = Rows.rank(np.array([row]), Threshold.parse(rule))
    return [bool(place < rows.attended[0]) for place in rows.ahead[0]]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # Two groups: the edge of the bin that ends the lower one.
        ([0.1, 0.9, 0.11, 0.88, 0.1], [0, 1, 0, 1, 0]),
        # One large weight.
        ([0, 0, 0, 1], [0, 0, 0, 1]),
        # 0, 1 and 2 are in bins 0, 128 and 255: 1 is nearer to 2.
        ([0, 1, 2], [0, 1, 1]),
        # (0 0 0) against (1 2) is apart by 3 * 2 * 1.5^2 = 13.5, (0 0 0 1) against (2) by 4 * 1 * 1.75^2 = 12.25.
        ([0, 0, 0, 1, 2], [0, 0, 0, 1, 1]),
        # 0 0 1 5: 2 * 2 * 3^2 = 36 against 3 * 1 * (14/3)^2 = 65.3.
        ([0, 0, 1, 5], [0, 0, 0, 1]),
        # Even rows attend to everything.
        ([0.2, 0.2, 0.2], [1, 1, 1]),
        ([0, 0], [1, 1]),
        ([7], [1]),
    ],
)
def test_by_hand(row: list[float], expected: list[int]) -> None:
    assert attended(row) == [bool(one) for one in expected]


def test_a_share_of_the_threshold_by_hand() -> None:
    """0 0 1 5 in 256 bins: 1 is in bin 51, so that the threshold is 52/256 of the range, and half of it 26/256."""
    assert otsu_shares(np.array([[0.0, 0, 1, 5]]), np.zeros(1), np.full(1, 5.0)).tolist() == [52 / 256]
    assert attended([0, 0, 1, 5], "otsu:0.5") == [False, False, True, True]
    assert attended([0, 0, 1, 5], "otsu:0.99") == [False, False, False, True]
    assert attended([0, 0, 1, 5], "otsu:0") == [True] * 4
    assert attended([0, 0, 1, 5], "otsu:6") == [False] * 4


@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1), min_size=2, max_size=40))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_against_a_slow_search(row: list[float]) -> None:
    assert [float(one) for one in attended(row)] == row_reference.attended(row, "otsu")
    low, high = min(row), max(row)
    if high > low:
        share = otsu_shares(np.array([row]), np.array([low]), np.array([high]))
        assert share.tolist() == [heat_reference.otsu_share(row, low, high)]


@pytest.mark.parametrize("seed", range(20))
def test_the_two_classes_are_the_best_clusters_of_the_bins(seed: int) -> None:
    """Otsu's classes are the two of least variance within, which a search over all parts of the sorted row finds."""
    random = np.random.default_rng(seed)
    row = np.concatenate((random.normal(0.2, 0.05, 60), random.normal(0.7, 0.1, 30)))
    place = np.sort(np.minimum(np.floor((row - row.min()) / np.ptp(row) * 256), 255))
    within = [place[:k].var() * k + place[k:].var() * (len(place) - k) for k in range(1, len(place))]
    assert np.count_nonzero(attended(row.tolist())) == len(place) - 1 - int(np.argmin(within))
