"""Spatial entropy, held against a flood fill cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.metrics.spatial import spatial_entropy


def flooded(row: list[float], height: int, width: int) -> float | None:
    """The same, one cell after the other; None where nothing is above the mean."""
    mean = sum(row) / len(row)
    left = {(k // width, k % width): value for k, value in enumerate(row) if value > mean}
    if not left or max(row) - min(row) <= 1e-12 * max(row):
        return None
    masses = []
    while left:
        start, mass = next(iter(left)), 0.0
        waiting = [(start, left.pop(start))]
        while waiting:
            (y, x), value = waiting.pop()
            mass += value
            around = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            waiting.extend((at, left.pop(at)) for at in around if at in left)
        masses.append(mass)
    shares = [mass / sum(masses) for mass in masses]
    return -sum(p * math.log(p) for p in shares)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6), st.sampled_from([2, 3, 8]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_components_are_those_of_a_flood_fill(height: int, width: int, seed: int, levels: int) -> None:
    # Few different weights make components of every form, and even rows.
    rows = np.random.default_rng(seed).integers(0, levels, (5, height * width)) / 4
    found = spatial_entropy(rows, (height, width)).tolist()
    for value, row in zip(found, rows.tolist(), strict=True):
        expected = flooded(row, height, width)
        assert math.isnan(value) if expected is None else value == pytest.approx(expected, abs=1e-12)


def test_one_blob_has_none_and_two_alike_have_log_two() -> None:
    blob = [[0, 3, 3, 0], [0, 0, 3, 0], [0, 0, 0, 3]]  # corners touch
    two = [[2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    three = [[4, 0, 0, 2], [0, 0, 0, 0], [2, 0, 0, 0]]
    rows = np.array([blob, two, three], np.float64).reshape(3, 12)
    expected = [0.0, math.log(2), 0.5 * math.log(2) + 0.5 * math.log(4)]
    assert spatial_entropy(rows, (3, 4)).tolist() == pytest.approx(expected)
    assert math.copysign(1, spatial_entropy(rows[:1], (3, 4))[0]) == 1


def test_a_long_snake_is_one_component() -> None:
    picture = np.zeros((15, 15))
    for row in range(0, 15, 2):
        picture[row] = 1
        if row + 1 < 15:
            picture[row + 1, 0 if row % 4 else -1] = 1
    assert spatial_entropy(picture.reshape(1, -1), (15, 15))[0] == 0


def test_even_rows_and_rows_without_weight_have_none() -> None:
    rows = np.array([[0.1 * 3, 0.3, 0.3, 0.3], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert np.isnan(spatial_entropy(rows, (2, 2))).tolist() == [True, True, False]
    assert spatial_entropy(np.zeros((0, 4)), (2, 2)).shape == (0,)


# ---------------------------------------------------------------- many rows at once


def agree(weight: np.ndarray, shape: tuple[int, int]) -> bool:
    expected = [flooded(row, *shape) for row in weight.tolist()]
    there = np.array([np.nan if value is None else value for value in expected])
    return bool(np.allclose(spatial_entropy(weight, shape), there, rtol=0, atol=1e-12, equal_nan=True))


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    rows=st.integers(1, 12),
    levels=st.sampled_from([2, 3, 1000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_as_row_by_row(height: int, width: int, rows: int, levels: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weight = random.integers(0, levels, (rows, height * width)).astype(np.float64)
    weight[random.random(rows) < 0.2] = random.integers(0, 3)
    assert agree(weight, (height, width))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8])
def test_large_pictures(share: float) -> None:
    """Long chains and many joins: about half of the cells above is where components are most entangled."""
    random = np.random.default_rng(int(100 * share))
    weight = np.where(random.random((60, 37 * 41)) < share, 1.0, 0.0) * random.random((60, 37 * 41))
    assert agree(weight, (37, 41))


def test_combs_and_spirals() -> None:
    """Teeth that meet in the last row alone, as those of a comb, are joined there, each into the others' tree."""
    comb = np.zeros((3, 9, 9))
    comb[0, :, ::2] = comb[0, -1] = 1
    comb[1, ::2] = comb[1, :, -1] = 1
    comb[2, :, ::2] = 1
    made = spatial_entropy(comb.reshape(3, -1), (9, 9))
    assert made.tolist() == pytest.approx([0, 0, np.log(5)], abs=1e-12)
    spiral = np.zeros((11, 11))
    spiral[0], spiral[:, -1], spiral[-1] = 1, 1, 1
    spiral[2:, 0] = spiral[2, :-2] = spiral[2:-2, -3] = spiral[-3, 2:-2] = spiral[4:-2, 2] = 1
    assert agree(spiral.reshape(1, -1), (11, 11))


def test_neighbouring_pictures_do_not_touch() -> None:
    weight = np.zeros((4, 3, 3))
    weight[:, -1] = weight[:, 0] = 1  # the last row of each picture and the first one of the next
    made = spatial_entropy(weight.reshape(4, 9), (3, 3))
    assert made.tolist() == pytest.approx([np.log(2)] * 4, abs=1e-12)


def test_nothing_above_the_mean() -> None:
    assert np.isnan(spatial_entropy(np.ones((3, 4)), (2, 2))).all()
    assert np.isnan(spatial_entropy(np.zeros((2, 4)), (2, 2))).all()
    assert spatial_entropy(np.zeros((0, 4)), (2, 2)).shape == (0,)
