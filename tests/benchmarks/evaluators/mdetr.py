"""Phrase-grounding recall as MDETR's evaluator for Flickr30k finds it, which GLIP uses, too: any box of a phrase.

Kamath et al., MDETR, ICCV 2021. Boxes are compared as they stand in the files. The prediction for a phrase is the list
of its regions, most attended first; an IoU of at least 0.5 with any annotated box, among the first k, is a hit.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch

from .inputs import images_of, read_annotations, read_maps

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from .inputs import Annotations, Maps

K = (1, 5, 10, -1)
NAMES = {1: "r@1", 5: "r@5", 10: "r@10", -1: "coverage"}
ENOUGH = 0.5


def evaluate(maps: Path, annotations: Path) -> dict[str, float]:
    """Recall of the first 1, 5 and 10 boxes and of all, over phrases; the tracker counts by type of phrase, too."""
    given = read_maps(maps)
    truth = read_annotations(annotations, images_of(given))
    asked = {
        f"{image}_{number}": [phrase for phrase in phrases if phrase.entity in truth.boxes[image]]
        for image, captions in truth.captions.items()
        for number, phrases in enumerate(captions)
    }
    known = [name for name, phrases in asked.items() if phrases]
    total: dict[int, dict[str, int]] = {k: defaultdict(int) for k in K}
    right: dict[int, dict[str, int]] = {k: defaultdict(int) for k in K}
    for name, boxes in predictions(given, truth):
        # Names are looked up in a list there, not in a set.
        if name not in known:
            continue
        image = name.rpartition("_")[0]
        for ranked, phrase in zip(boxes, asked[name], strict=True):
            overlap = iou(np.asarray(ranked), np.asarray(truth.boxes[image][phrase.entity]))
            for k in K:
                hit = (overlap if k == -1 else overlap[:k]).max() >= ENOUGH
                for kind in ("all", *phrase.types):
                    total[k][kind] += 1
                    right[k][kind] += bool(hit)
    return {NAMES[k]: right[k]["all"] / total[k]["all"] for k in K}


def predictions(maps: Maps, truth: Annotations) -> list[tuple[str, list[list[list[float]]]]]:
    """For each caption the boxes of each phrase, best first: the largest weight of its tokens, as torch sorts it."""
    made = []
    for image, number, rows in maps.caption:
        weights, boxes = torch.from_numpy(np.ascontiguousarray(rows)), torch.from_numpy(maps.boxes[image])
        ranked = []
        for phrase in truth.captions[image][number]:
            if phrase.entity in truth.boxes[image]:
                own = weights[phrase.places].max(dim=0).values
                ranked.append(boxes[torch.sort(own, descending=True, stable=True).indices].tolist())
        made.append((f"{image}_{number}", ranked))
    return made


def iou(first: NDArray[np.float64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """The IoU f8[n, m] of n boxes and m others."""
    low, high = np.maximum(first[:, None, :2], second[:, :2]), np.minimum(first[:, None, 2:], second[:, 2:])
    side = (high - low).clip(min=0)
    shared = side[:, :, 0] * side[:, :, 1]
    areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (first, second)]
    return np.asarray(shared / (areas[0][:, None] + areas[1] - shared), np.float64)
