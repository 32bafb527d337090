"""Recall and pointing accuracy as info-ground's evaluator for Flickr30k phrases finds them.

Gupta et al., Contrastive Learning for Weakly Supervised Phrase Grounding, ECCV 2020. Corners count from 1, sides have
one pixel more than their difference, a point on an edge is outside; a phrase has the largest weight of its word pieces;
the ten best boxes are compared with the annotated ones pair by pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .inputs import boxed_phrases, images_of, read_annotations, read_maps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Box = Sequence[float] | NDArray[np.floating]

K = (1, 5, 10)
ENOUGH = 0.5


def evaluate(maps: Path, annotations: Path) -> dict[str, float]:
    """Recall of the first 1, 5 and 10 boxes, and the share of phrases whose first box has its centre in a box."""
    given = read_maps(maps)
    truth = read_annotations(annotations, images_of(given))
    right, pointed, phrases = dict.fromkeys(K, 0), 0, 0
    for image, _, rows, phrase in boxed_phrases(given, truth):
        weights = torch.from_numpy(rows.copy())
        best = weights[phrase.places[0]]
        for token in phrase.places[1:]:
            best = torch.max(best, weights[token])
        own = given.boxes[image]
        ranked = [own[place] for place in torch.topk(best, K[-1])[1].tolist()]
        wanted = [[corner - 1 for corner in box] for box in truth.boxes[image][phrase.entity]]
        hit = [any(iou(box, other) >= ENOUGH for other in wanted) for box in ranked]
        for k in K:
            right[k] += any(hit[:k])
        pointed += any(holds(other, ranked[0]) for other in wanted)
        phrases += 1
    return {**{f"r@{k}": right[k] / phrases for k in K}, "pointing": pointed / phrases}


def iou(first: Box, second: Box) -> float:
    """The IoU of two boxes in pixels, both edges included."""
    x1, y1, x2, y2 = first
    u1, v1, u2, v2 = second
    shared = pixels((max(x1, u1), max(y1, v1), min(x2, u2), min(y2, v2)))
    return float(shared / (pixels(first) + pixels(second) - shared + 1e-6))


def pixels(box: Box) -> float:
    """The pixels of a box; an inverted one has none."""
    x1, y1, x2, y2 = box
    return 0.0 if x2 <= x1 or y2 <= y1 else (x2 - x1 + 1) * (y2 - y1 + 1)


def holds(box: Box, other: Box) -> bool:
    """Whether a box holds the centre of another."""
    x1, y1, x2, y2 = box
    x, y = 0.5 * (other[0] + other[2]), 0.5 * (other[1] + other[3])
    return bool(x1 < x < x2 and y1 < y < y2)
