"""The share of each region that lies inside the shapes of a phrase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import offsets_of
from attneval.geometry.box_groups import BoxGroup, equal_tables
from attneval.geometry.boxes import areas, disjoint

if TYPE_CHECKING:
    from numpy.typing import NDArray


def shares_inside(
    box: NDArray[np.float64],
    box_offset: NDArray[np.int64],
    region: NDArray[np.float64],
    region_offset: NDArray[np.int64],
    image: NDArray[np.int64],
) -> IndexSets:
    """Compute the share of each region's area that lies inside the union of an entity's boxes.

    Args:
        box: f8[B, 4], pixels, the entities' boxes, x1, y1, x2, y2 with continuous edges.
        box_offset: i8[E+1], first box of each entity.
        region: f8[R, 4], pixels, the images' regions, none without an area.
        region_offset: i8[I+1], first region of each image.
        image: i8[E], each entity's image.

    Returns:
        For each entity, the regions that it shares an area with, counted within their image, and their shares.
    """
    box, box_offset = disjoint(box, box_offset)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    for entities, group, table in equal_tables(box, box_offset, region, region_offset, image, add_up=True):
        first, area, (across, down) = 0, areas(table), table_sides(table)
        for chunk in group.chunks(table.shape[1]):
            share = _shares(chunk, area, across, down)
            entity, member = np.nonzero(share > 0)
            parts.append((entities[entity + first], member, share[entity, member]))
            first += len(chunk.place)
    if not parts:
        return IndexSets(np.zeros(len(image) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    entity, member, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(entity, kind="stable")
    return IndexSets(offsets_of(np.bincount(entity, minlength=len(image))), member[order], value[order])


def _shares(
    group: BoxGroup, area: NDArray[np.float64], across: NDArray[np.float64], down: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The shares f8[e, n] of regions that lie in entities, at most 1 whatever is rounded.

    Args:
        group: The entities.
        area: f8[I, n], of the regions of each image.
        across: f8[I, k, 2], their sides from left to right, see `table_sides`.
        down: f8[I, l, 2], their sides from top to bottom.
    """
    place = group.place_of_box
    x1, y1, x2, y2 = group.box.T[:, :, None]
    width, height = _shared_length(across.take(place, axis=0), x1, x2), _shared_length(down.take(place, axis=0), y1, y2)
    cells = width.shape[1] * height.shape[1] == area.shape[1]
    shared = (height[:, :, None] * width[:, None]).reshape(len(width), -1) if cells else width * height
    return np.minimum(group.by_entity(np.add, shared) / area[group.place], 1.0)


def _shared_length(
    side: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The length f8[b, k] that sides f8[b, k, 2] share with those from `low` to `high`, f8[b, 1] each."""
    return np.asarray(np.maximum(np.minimum(side[..., 1], high) - np.maximum(side[..., 0], low), 0), np.float64)


def table_sides(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sides of regions f8[I, n, 4], each once where those of every image are cells in rows and columns.

    Returns:
        f8[I, k, 2], from left to right, and f8[I, l, 2], from top to bottom: of k * l = n cells, or else n of both.
    """
    across, down = table[..., [0, 2]], table[..., [1, 3]]
    images, n = table.shape[:2]
    columns = int(np.argmax(np.append((down[0] != down[0, :1]).any(axis=1), True))) if images else n
    if columns in {0, 1, n} or n % columns:
        return across, down
    cells = table.reshape(images, -1, columns, 4)
    first, top = cells[:, 0][..., [0, 2]], cells[:, :, 0][..., [1, 3]]
    same = (cells[..., [0, 2]] == first[:, None]).all() and (cells[..., [1, 3]] == top[:, :, None]).all()
    return (first, top) if same else (across, down)
