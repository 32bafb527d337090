"""The relevance of regions to phrases: the one place where boxes become relevance.

`overlaps` is the definition, in double precision; `shared_area` finds the pairs for which it need not be computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import offsets_of, ranges
from attneval.geometry.box_groups import BoxGroup, equal_tables
from attneval.geometry.boxes import areas, disjoint, enclosing
from attneval.geometry.shared_area import likely_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def relevant_regions(
    box: NDArray[np.float64],
    box_offset: NDArray[np.int64],
    region: NDArray[np.float64],
    region_offset: NDArray[np.int64],
    image: NDArray[np.int64],
    *,
    overlap: str = "iou",
    boxes: str = "any",
    threshold: float = 0.5,
    extent: str = "edge",
    border: str = "inside",
) -> IndexSets:
    """The regions whose overlap with an entity reaches a threshold.

    Args:
        box: f8[B, 4], pixels, the entities' boxes, x1, y1, x2, y2 with continuous edges.
        box_offset: i8[E+1], first box of each entity.
        region: f8[R, 4], pixels, the images' regions, none without an area.
        region_offset: i8[I+1], first region of each image.
        image: i8[E], each entity's image.
        overlap: `iou`: intersection over union; `iof`: intersection over the region's area; `center`: 1 if the
            region's centre lies in the box, edges included, else 0.
        boxes: `any`: the best of the entity's boxes; `merged`: their enclosing box; `union`: the union of their areas.
        threshold: The overlap that is enough.
        extent: `edge`: lengths from edge to edge; `pixel`: pixels are counted, those of both ends included, so that
            each length is one more.
        border: `inside`: a centre on the edge of a box lies in it; `outside`: it does not.

    Returns:
        For each entity, its relevant regions, counted within their image.
    """
    if extent == "pixel" and overlap != "center":
        # One more for every length is as if all boxes ended a pixel further.
        further = np.array([0, 0, 1, 1])
        box, region = box + further, region + further
    if boxes == "merged":
        box, box_offset = enclosing(box, box_offset), np.arange(len(box_offset))
    elif boxes == "union" and overlap != "center":
        box, box_offset = disjoint(box, box_offset)
    pairs = []
    tables = equal_tables(box, box_offset, region, region_offset, image, add_up=boxes == "union")
    for entities, group, table in tables:
        if overlap == "center":
            entity, member = _centre_inside(group, table, border)
        else:
            entity, member = _shared_enough(group, table, overlap, threshold)
        pairs.append((entities[entity], member))
    if not pairs:
        return IndexSets(np.zeros(len(image) + 1, np.int64), np.zeros(0, np.int64))
    entity, member = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if len(pairs) > 1:
        order = np.argsort(entity, kind="stable")
        entity, member = entity[order], member[order]
    return IndexSets(offsets_of(np.bincount(entity, minlength=len(image))), member)


def _centre_inside(
    group: BoxGroup, region: NDArray[np.float64], border: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of an entity and a region of f8[I, n, 4] whose centre lies in one of the entity's boxes; ascending."""
    x, y = ((region[:, :, axis] + region[:, :, axis + 2]) / 2 for axis in (0, 1))
    inside = [_holds(chunk, x, y, border) for chunk in group.chunks(region.shape[1])]
    entity, member = np.nonzero(np.concatenate(inside))
    return entity, member


def _holds(group: BoxGroup, x: NDArray[np.float64], y: NDArray[np.float64], border: str) -> NDArray[np.bool_]:
    """Test whether entities hold the points f8[I, n] of their image: b[e, n]."""
    place = group.place_of_box
    x, y = x.take(place, axis=0), y.take(place, axis=0)
    x1, y1, x2, y2 = group.box.T[:, :, None]
    if border == "outside":
        return group.by_entity(np.logical_or, (x1 < x) & (x < x2) & (y1 < y) & (y < y2))
    return group.by_entity(np.logical_or, (x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2))


def _shared_enough(
    group: BoxGroup, region: NDArray[np.float64], overlap: str, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of an entity and a region of f8[I, n, 4] whose overlap reaches the threshold; ascending."""
    entity, member, close = likely_pairs(group, region, overlap=overlap, threshold=threshold)
    undecided = np.flatnonzero(close)
    enough = np.ones(len(entity), np.bool_)
    values = overlaps(group, region, entity[undecided], member[undecided], overlap=overlap)
    enough[undecided] = values >= threshold
    return entity[enough], member[enough]


def overlaps(
    group: BoxGroup,
    region: NDArray[np.float64],
    entity: NDArray[np.int64],
    member: NDArray[np.int64],
    *,
    overlap: str,
) -> NDArray[np.float64]:
    """Compute the overlap of entities with regions of their image.

    Args:
        group: The entities.
        region: f8[I, n, 4], pixels, the regions of each image.
        entity: i8[p], entities of the group.
        member: i8[p], a region of each one's image.
        overlap: `iou` or `iof`, see `relevant_regions`.

    Returns:
        f8[p], the overlap of the best of the entity's boxes, or of all of them where they add up.
    """
    count = np.diff(group.offset)[entity]
    pairs = BoxGroup(entity, group.box[ranges(group.offset[entity], count)], offsets_of(count), group.add_up)
    region = region[group.place[pairs.place_of_box], np.repeat(member, count)]
    low, high = np.maximum(region[:, :2], pairs.box[:, :2]), np.minimum(region[:, 2:], pairs.box[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    whole, area = areas(region), areas(pairs.box)
    if group.add_up:
        shared, area = pairs.by_entity(np.add, shared), pairs.by_entity(np.add, area)
        whole = pairs.by_entity(np.maximum, whole)
    value = shared / (whole + area - shared if overlap == "iou" else whole)
    return value if group.add_up else pairs.by_entity(np.maximum, value)
