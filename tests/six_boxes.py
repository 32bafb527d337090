"""Attention that knows nothing over few large boxes: what beats a real model where regions are not looked at."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


def largest_boxes(export: Path, path: Path, *, keep: int = 6, seed: int = 7) -> Path:
    """Write an export with random weights over the largest boxes of each image of another one.

    Args:
        export: A packed export of regions.
        path: The file to write.
        keep: How many boxes each image keeps.
        seed: Of the weights.
    """
    with np.load(export) as data:
        members = dict(data)
    box, offset = members["region_box"], members["region_offset"]
    area = (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
    rows = [
        first + np.sort(np.argsort(-area[first:last])[:keep]) for first, last in itertools.pairwise(offset.tolist())
    ]
    members["region_box"] = box[np.concatenate(rows)]
    members["region_offset"] = np.arange(len(rows) + 1) * keep
    tokens = np.diff(members["token_offset"])
    members["attention_offset"] = np.concatenate(([0], np.cumsum(tokens * keep)))
    weight = np.random.default_rng(seed).random((int(tokens.sum()), keep))
    members["attention"] = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32).ravel()
    members.pop("similarity", None)
    np.savez(path, **members)
    return path
