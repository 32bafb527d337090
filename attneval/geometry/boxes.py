"""Boxes x1, y1, x2, y2 with continuous edges, and what sets of them cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, offsets_of, ranges

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
    count = np.diff(box_offset)
    # Few entities have boxes that overlap or cover nothing; the others stay as they are.
    cut = np.flatnonzero(_to_cut(box, box_offset))
    if not len(cut):
        return box, box_offset
    first = box_offset[cut]
    groups = [box[start : start + size] for start, size in zip(first.tolist(), count[cut].tolist(), strict=True)]
    # Boxes without an area cover nothing, and one of them says so too: every entity has a box.
    pieces = [piece if len(piece := _split(group)) else group[:1] for group in groups]
    kept = np.ones(len(box), np.bool_)
    kept[ranges(first, count[cut])] = False
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    # Pieces stand where the first box of their entity stood.
    place = np.repeat(np.concatenate(([0], np.cumsum(kept)))[first], sizes)
    count[cut] = sizes
    return np.insert(box[kept], place, np.concatenate(pieces), axis=0), offsets_of(count)


def _to_cut(box: NDArray[np.float64], box_offset: NDArray[np.int64]) -> NDArray[np.bool_]:
    """b[E], the entities with several boxes of which two share an area, or one has none."""
    count = np.diff(box_offset)
    chosen = np.zeros(len(count), np.bool_)
    for size in distinct_values(count[count > 1]).tolist():
        entities = np.flatnonzero(count == size)
        table = box[box_offset[entities][:, None] + np.arange(size)]
        low = np.maximum(table[:, :, None, :2], table[:, None, :, :2])
        high = np.minimum(table[:, :, None, 2:], table[:, None, :, 2:])
        shared = np.asarray((high > low).all(axis=-1))
        # On the diagonal a box shares its area with itself, if it has one.
        chosen[entities] = (shared != np.eye(size, dtype=np.bool_)).any(axis=(1, 2))
    return chosen


def _split(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut overlapping boxes along all their edges and keep each covered cell once."""
    x, y = distinct_values(box[:, [0, 2]]), distinct_values(box[:, [1, 3]])
    in_x = (box[:, 0, None] <= x[:-1]) & (x[1:] <= box[:, 2, None])
    in_y = (box[:, 1, None] <= y[:-1]) & (y[1:] <= box[:, 3, None])
    column, row = np.nonzero((in_x[:, :, None] & in_y[:, None, :]).any(axis=0))
    return np.stack((x[column], y[row], x[column + 1], y[row + 1]), axis=1)
