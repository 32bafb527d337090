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
