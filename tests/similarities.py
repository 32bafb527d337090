"""Matrices of similarities with ties and folds, as chance makes them, and orders in which their answers can stand."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TIES = ("expected", "worst", "best")

drawn_matrices = given(
    seed=st.integers(0, 10**6),
    images=st.integers(1, 8),
    levels=st.sampled_from([1, 2, 4, 1000]),
    ties=st.sampled_from(TIES),
    folds=st.sampled_from([1, 2, 3]),
    dtype=st.sampled_from([np.float64, np.float32, np.float16]),
)
"""What `matrix` takes, and how its ties are ranked."""


class Array:
    """A matrix in memory."""

    def __init__(self, scores: Any, dtype: Any = np.float64) -> None:
        self._scores = np.asarray(scores, dtype)
        self.shape = (self._scores.shape[0], self._scores.shape[1])

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        return self._scores[start:stop]


def matrix(random: np.random.Generator, images: int, levels: int, dtype: Any) -> tuple[NDArray[np.floating], list[int]]:
    """Scores f[images, captions] with some distinct values, and the image of each caption.

    Every image has a caption; others have more, in any order.
    """
    owner = [*range(images), *random.integers(0, images, int(random.integers(0, 3 * images + 1))).tolist()]
    random.shuffle(owner)
    scores = (random.integers(0, levels, (images, len(owner))) / levels - 0.5).astype(dtype)
    return scores, owner


def orders_of(scores: Sequence[float]) -> list[tuple[int, ...]]:
    """Every order of answers in which none stands before one with a larger score."""
    return [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
