"""Localisation metrics as Quantus computes them: each metric walks over all pictures, one at a time.

Hedström et al., Quantus, JMLR 2023. A phrase's map is the attribution, its cells whose centre lies in a box the mask.
Each metric first brings every attribution to the range from -1 to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import auc, roc_curve

from .inputs import boxed_phrases, images_of, read_annotations, read_maps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Attribution = NDArray[np.float64]
    Mask = NDArray[np.bool_]

K = 10


def evaluate(maps: Path, annotations: Path) -> dict[str, float]:
    """The mean of five metrics and the area under the ROC curve, over phrases with a cell in their mask."""
    attributions, masks = pictures(maps, annotations)
    return {name: mean(metric, attributions, masks) for name, metric in METRICS.items()}


def mean(metric: Callable[[Attribution, Mask], float], attributions: list[Attribution], masks: list[Mask]) -> float:
    """The mean of a metric over pictures, whose attributions it divides by their largest number."""
    scaled = [np.divide(own, np.abs(own).max()) for own in attributions]
    return float(np.nanmean([metric(own.ravel(), mask.ravel()) for own, mask in zip(scaled, masks, strict=True)]))


def pictures(maps: Path, annotations: Path) -> tuple[list[Attribution], list[Mask]]:
    """The map and the mask of each phrase, as pictures of a cell a pixel."""
    given = read_maps(maps)
    truth = read_annotations(annotations, images_of(given))
    rows, columns = given.grid or (1, 1)
    attributions, masks = [], []
    for image, _, weights, phrase in boxed_phrases(given, truth):
        width, height = truth.size[image]
        x, y = (np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows
        mask = np.zeros((rows, columns), np.bool_)
        for x1, y1, x2, y2 in truth.boxes[image][phrase.entity]:
            mask |= ((y >= y1 - 1) & (y <= y2))[:, None] & ((x >= x1 - 1) & (x <= x2))
        if mask.any():
            own = weights[phrase.places].astype(np.float64)
            attributions.append(own.mean(axis=0).reshape(rows, columns))
            masks.append(mask)
    return attributions, masks


def pointing_game(own: Attribution, mask: Mask) -> float:
    """Whether a largest place lies in the mask."""
    return float(np.any(mask[np.where(own == own.max())[0]]))


def attribution_localisation(own: Attribution, mask: Mask) -> float:
    """The share of positive attribution inside the mask."""
    positive = np.where(own > 0, own, 0)
    return float(positive[mask].sum() / positive.sum())


def relevance_mass_accuracy(own: Attribution, mask: Mask) -> float:
    """The share of attribution inside the mask."""
    return float(own[mask].sum() / own.sum())


def relevance_rank_accuracy(own: Attribution, mask: Mask) -> float:
    """The share of the mask among as many of the largest places as it has."""
    inside = np.where(mask)[0]
    return len(np.intersect1d(inside, np.argsort(own)[-len(inside) :])) / len(inside)


def top_k_intersection(own: Attribution, mask: Mask) -> float:
    """The share of the K largest places that lie in the mask."""
    return float(mask[np.argsort(own)[-K:]].sum() / K)


def area_under_roc(own: Attribution, mask: Mask) -> float:
    """The area under the ROC curve, as scikit-learn finds it."""
    if mask.all():
        return float("nan")
    wrong, right, _ = roc_curve(mask, own)
    return float(auc(wrong, right))


METRICS: dict[str, Callable[[Attribution, Mask], float]] = {
    "pointing": pointing_game,
    "localisation": attribution_localisation,
    "mass": relevance_mass_accuracy,
    "rank_accuracy": relevance_rank_accuracy,
    "top_k": top_k_intersection,
    "auc": area_under_roc,
}
