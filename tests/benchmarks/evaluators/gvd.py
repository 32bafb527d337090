"""Localisation accuracy by class as the evaluator of Grounded Video Description finds it for Flickr30k Entities.

Zhou et al., Grounded Video Description, CVPR 2019. The object word is the phrase's last one, and its own class; its top
region is held against the box around the annotated ones, sides of both with one pixel more than their difference.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch

from .inputs import boxed_phrases, images_of, read_annotations, read_maps

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

ENOUGH = 0.5


def evaluate(maps: Path, annotations: Path) -> dict[str, float]:
    """The mean over classes of the share of words whose top region fits, and that share over all words."""
    given = read_maps(maps)
    truth = read_annotations(annotations, images_of(given))
    results: dict[str, list[int]] = defaultdict(list)
    for image, _, rows, phrase in boxed_phrases(given, truth):
        top = torch.Tensor(given.boxes[image][int(np.argmax(rows[phrase.places[-1]]))])
        boxes = np.asarray(truth.boxes[image][phrase.entity])
        merged = torch.Tensor([*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()])
        overlap = overlaps(top[None, None], merged[None, None])
        results[phrase.words[-1].casefold()].append(1 if torch.max(overlap) > ENOUGH else 0)
    every = [hit for hits in results.values() for hit in hits]
    return {
        "class_pointing": float(np.mean([sum(hits) / len(hits) for hits in results.values()])),
        "pointing": sum(every) / len(every),
    }


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """The IoU f4[B, n, m] of batches of boxes, in pixels."""
    sides = [[box[..., axis + 2] - box[..., axis] + 1 for axis in (0, 1)] for box in (first, second)]
    count, other = first.shape[1], second.shape[1]
    one = first.view(-1, count, 1, 4).expand(-1, count, other, 4)
    two = second.view(-1, 1, other, 4).expand(-1, count, other, 4)
    shared = [
        (torch.min(one[..., axis + 2], two[..., axis + 2]) - torch.max(one[..., axis], two[..., axis]) + 1).clamp(min=0)
        for axis in (0, 1)
    ]
    both = shared[0] * shared[1]
    areas = [(side[0] * side[1]) for side in sides]
    found = both / (areas[0][..., None] + areas[1][:, None] - both)
    # Boxes of one pixel are padding there.
    empty = [(side[0] == 1) & (side[1] == 1) for side in sides]
    found.masked_fill_(empty[1][:, None].expand_as(found), 0)
    return found.masked_fill_(empty[0][..., None].expand_as(found), -1)
