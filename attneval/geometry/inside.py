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
        first = 0
        for chunk in group.chunks(table.shape[1]):
            share = _shares(chunk, table)
            entity, member = np.nonzero(share)
            parts.append((entities[entity + first], member, share[entity, member]))
            first += len(chunk.place)
    if not parts:
        return IndexSets(np.zeros(len(image) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0))
    entity, member, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(entity, kind="stable")
    return IndexSets(offsets_of(np.bincount(entity, minlength=len(image))), member[order], value[order])


def _shares(group: BoxGroup, region: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares f8[e, n] of the regions f8[I, n, 4] of each entity's image, at most 1 whatever is rounded."""
    place = group.place_of_box
    x1, y1, x2, y2 = group.box.T[:, :, None]
    edges = region.take(place, axis=0)
    width = np.minimum(edges[..., 2], x2) - np.maximum(edges[..., 0], x1)
    height = np.minimum(edges[..., 3], y2) - np.maximum(edges[..., 1], y1)
    shared = group.by_entity(np.add, np.maximum(width, 0) * np.maximum(height, 0))
    return np.minimum(shared / areas(region)[group.place], 1.0)
