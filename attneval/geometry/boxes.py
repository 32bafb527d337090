"""Boxes x1, y1, x2, y2 with continuous edges, and what sets of them cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values

if TYPE_CHECKING:
    from numpy.typing import NDArray


def enclosing(box: NDArray[np.float64], box_offset: NDArray[np.int64]) -> NDArray[np.float64]:
    """The smallest box around each entity's boxes: f8[E, 4]; every entity has at least one."""
    start = box_offset[:-1]
    if not len(start):
        return np.zeros((0, 4))
    low = np.minimum.reduceat(box[:, :2], start)
    high = np.maximum.reduceat(box[:, 2:], start)
    return np.concatenate((low, high), axis=1)


def areas(box: NDArray[np.floating]) -> NDArray[np.float64]:
    """The areas of f[..., 4] boxes, in square pixels."""
    return np.asarray((box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]), np.float64)


def disjoint(box: NDArray[np.float64], box_offset: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Boxes that cover the same area as each entity's boxes and do not overlap: (f8[B', 4], i8[E+1])."""
    pieces, counts = [], []
    for first, last in zip(box_offset[:-1].tolist(), box_offset[1:].tolist(), strict=True):
        group = box[first:last] if last - first == 1 else _split(box[first:last])
        # Boxes without an area cover nothing, and one of them says so too: every entity has a box.
        group = group if len(group) else box[first : first + 1]
        pieces.append(group)
        counts.append(len(group))
    joined = np.concatenate(pieces) if pieces else np.zeros((0, 4))
    return joined, np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def _split(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut overlapping boxes along all their edges and keep each covered cell once."""
    x, y = distinct_values(box[:, [0, 2]]), distinct_values(box[:, [1, 3]])
    in_x = (box[:, 0, None] <= x[:-1]) & (x[1:] <= box[:, 2, None])
    in_y = (box[:, 1, None] <= y[:-1]) & (y[1:] <= box[:, 3, None])
    column, row = np.nonzero((in_x[:, :, None] & in_y[:, None, :]).any(axis=0))
    return np.stack((x[column], y[row], x[column + 1], y[row + 1]), axis=1)
