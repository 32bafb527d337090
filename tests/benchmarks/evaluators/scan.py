"""Recall as evaluators of the SCAN family find it, over everything and over five folds of a thousand images.

Lee et al., Stacked Cross Attention, ECCV 2018; VSE++, SGRAF and others use the same. Similarities are of double
precision there, which is kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch  # noqa: F401 - the evaluators import it, and a process of theirs has to

from ..peers import ranks_by_sorting

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

K = (1, 5, 10)
PER_IMAGE = 5
FOLDS = 5


def evaluate(similarity: Path, folds: int = 1) -> dict[str, float]:
    """Recall@K both ways, medians and means of ranks; means over folds."""
    scores = np.load(similarity).astype(np.float64)
    size = len(scores) // folds
    parts = [
        scores[fold * size : (fold + 1) * size, fold * size * PER_IMAGE : (fold + 1) * size * PER_IMAGE]
        for fold in range(folds)
    ]
    found = [_recalls(part) for part in parts]
    return {name: float(np.mean([own[name] for own in found])) for name in found[0]}


def evaluate_folds(similarity: Path) -> dict[str, float]:
    """The same over five folds."""
    return evaluate(similarity, FOLDS)


def _recalls(scores: NDArray[np.float64]) -> dict[str, float]:
    values = {}
    for name, ranks in zip(("i2t", "t2i"), ranks_by_sorting(scores, PER_IMAGE), strict=True):
        values |= {f"{name}_r@{k}": len(np.where(ranks < k)[0]) / len(ranks) for k in K}
        values[f"{name}_medr"] = float(np.floor(np.median(ranks)) + 1)
        values[f"{name}_meanr"] = float(ranks.mean() + 1)
    return values
