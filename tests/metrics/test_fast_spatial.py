"""Spatial entropy of many rows at once is that of each row alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.metrics.fast_spatial import spatial_entropies
from attneval.metrics.spatial import spatial_entropy


def agree(weight: np.ndarray, shape: tuple[int, int]) -> bool:
    made, expected = spatial_entropies(weight, shape), spatial_entropy(weight, shape)
    return bool(np.allclose(made, expected, rtol=0, atol=1e-12, equal_nan=True))


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
    made = spatial_entropies(comb.reshape(3, -1), (9, 9))
    assert made.tolist() == pytest.approx([0, 0, np.log(5)], abs=1e-12)
    spiral = np.zeros((11, 11))
    spiral[0], spiral[:, -1], spiral[-1] = 1, 1, 1
    spiral[2:, 0] = spiral[2, :-2] = spiral[2:-2, -3] = spiral[-3, 2:-2] = spiral[4:-2, 2] = 1
    assert agree(spiral.reshape(1, -1), (11, 11))


def test_neighbouring_pictures_do_not_touch() -> None:
    weight = np.zeros((4, 3, 3))
    weight[:, -1] = weight[:, 0] = 1  # the last row of each picture and the first one of the next
    made = spatial_entropies(weight.reshape(4, 9), (3, 3))
    assert made.tolist() == pytest.approx([np.log(2)] * 4, abs=1e-12)


def test_nothing_above_the_mean() -> None:
    assert np.isnan(spatial_entropies(np.ones((3, 4)), (2, 2))).all()
    assert np.isnan(spatial_entropies(np.zeros((2, 4)), (2, 2))).all()
    assert spatial_entropies(np.zeros((0, 4)), (2, 2)).shape == (0,)
