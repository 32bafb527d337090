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
    entity, pieces = _split(box, first, count[cut])
    kept = np.ones(len(box), np.bool_)
    kept[ranges(first, count[cut])] = False
    sizes = np.bincount(entity, minlength=len(cut))
    # Pieces stand where the first box of their entity stood.
    place = np.repeat(np.concatenate(([0], np.cumsum(kept)))[first], sizes)
    count[cut] = sizes
    return np.insert(box[kept], place, pieces, axis=0), offsets_of(count)


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


def _split(
    box: NDArray[np.float64], first: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cut the overlapping boxes of some entities along all their edges and keep each covered cell once.

    Args:
        box: f8[B, 4].
        first: i8[k], the first box of each entity.
        count: i8[k], how many it has.

    Returns:
        i8[p], the entity of each piece, ascending; f8[p, 4], the pieces.
    """
    parts: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for size in distinct_values(count).tolist():
        entities, step = np.flatnonzero(count == size), max(CELLS_AT_ONCE // (4 * size**3), 1)
        for chosen in np.split(entities, range(step, len(entities), step)):
            group, pieces = _covered_cells(box[first[chosen][:, None] + np.arange(size)])
            parts.append((chosen[group], pieces))
            # Boxes without an area cover nothing, and one of them says so too: every entity has a box.
            bare = chosen[np.bincount(group, minlength=len(chosen)) == 0]
            parts.append((bare, box[first[bare]]))
    entity, pieces = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(entity, kind="stable")
    return entity[order], pieces[order]


CELLS_AT_ONCE = 2**22
"""Boxes times cells that are looked at together."""


def _covered_cells(table: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cut what boxes f8[g, k, 4] of g entities cover along all edges: i8[p], the pieces' entities, and f8[p, 4]."""
    edges = [np.sort(table[:, :, [axis, axis + 2]].reshape(len(table), -1), axis=1) for axis in (0, 1)]
    within = [
        (table[:, :, axis, None] <= edge[:, None, :-1])
        & (edge[:, None, 1:] <= table[:, :, axis + 2, None])
        & (edge[:, :-1] < edge[:, 1:])[:, None]
        for axis, edge in enumerate(edges)
    ]
    group, column, row = np.nonzero((within[0][:, :, :, None] & within[1][:, :, None]).any(axis=1))
    x, y = edges
    corners = x[group, column], y[group, row], x[group, column + 1], y[group, row + 1]
    return group, np.stack(corners, axis=1)
