"""Precision, recall and F1 of an attended set: the one definition.

All arguments are numbers of keys, f8 or i8 of any shapes that broadcast. Under ties the number of hits is an expected
value, and no whole number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.number[Any]]

SET_SCORES = PRECISION, RECALL, F1 = "precision", "recall", "f1"
"""The names of the three, in the order in which they stand together everywhere."""


def set_precision(hits: Counts, attended: Counts) -> NDArray[np.float64]:
    """Divide hits by attended keys; 0 where nothing is attended.

    Args:
        hits: f8[...], how many keys are attended and relevant.
        attended: i8[...], how many keys are attended.
    """
    return np.asarray(hits / np.maximum(attended, 1), np.float64)


def set_recall(hits: Counts, relevant: Counts) -> NDArray[np.float64]:
    """Divide hits by relevant keys; 0 where nothing is relevant.

    Args:
        hits: f8[...], how many keys are attended and relevant.
        relevant: i8[...], how many keys are relevant.
    """
    return np.asarray(hits / np.maximum(relevant, 1), np.float64)


def set_f1(hits: Counts, attended: Counts, relevant: Counts) -> NDArray[np.float64]:
    """Take the harmonic mean of precision and recall; 0 where both are.

    It is 2 hits / (attended + relevant), which needs no case of its own where one of the sets is empty. Halving is
    exact, and saves a pass over the hits.

    Args:
        hits: f8[...], how many keys are attended and relevant.
        attended: i8[...], how many keys are attended.
        relevant: i8[...], how many keys are relevant.
    """
    return np.asarray(hits / (np.maximum(attended + relevant, 1) / 2), np.float64)


def set_scores(hits: Counts, attended: Counts, relevant: Counts) -> NDArray[np.float64]:
    """Stack precision, recall and F1: f8[..., 3], in the order of `SET_SCORES`."""
    scores = set_precision(hits, attended), set_recall(hits, relevant), set_f1(hits, attended, relevant)
    return np.stack(scores, axis=-1)
