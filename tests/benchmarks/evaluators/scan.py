"""Recall as evaluators of the SCAN family find it, over everything and over five folds of a thousand images.

Lee et al., Stacked Cross Attention, ECCV 2018; VSE++, SGRAF and others use the same. Similarities are of double
precision there, which is kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
    values: dict[str, float] = {}
    for name, ranks in zip(("i2t", "t2i"), ranks_by_sorting(scores, PER_IMAGE), strict=True):
        values |= {f"{name}_r@{k}": len(np.where(ranks < k)[0]) / len(ranks) for k in K}
        values[f"{name}_medr"] = float(np.floor(np.median(ranks)) + 1)
        values[f"{name}_meanr"] = float(ranks.mean() + 1)
    return values


def ranks_by_sorting(scores: NDArray[np.floating], per_image: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks from 0 as evaluators of the SCAN family find them: sort each row, look up where the right answers are.

    Args:
        scores: f[I, N]; the captions of an image stand together.
        per_image: Captions of each image.
    """
    of_images = np.empty(len(scores), np.int64)
    for image, row in enumerate(scores):
        order = np.argsort(row)[::-1]
        of_images[image] = min(
            np.flatnonzero(order == caption)[0] for caption in range(image * per_image, (image + 1) * per_image)
        )
    of_captions = np.empty(scores.shape[1], np.int64)
    for caption, column in enumerate(scores.T):
        of_captions[caption] = np.flatnonzero(np.argsort(column)[::-1] == caption // per_image)[0]
    return of_images, of_captions
