"""The share of the regions of its image that an entity's masks cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.geometry.masks import union
from attneval.geometry.strips import Regions, Strips

if TYPE_CHECKING:
    from numpy.typing import NDArray


@record
class MaskOverlap:
    """The share of each region of its image that an entity's masks cover.

    Attributes:
        offset: i8[E+1], first region of each entity's image in the columns below; empty for entities without a mask.
        share: f8[p], the part of the region's area that lies inside the union of the masks, a pixel counted once.
        value: f8[p], the overlap by the rule that was asked for; 0 or 1 for `center`.
    """

    offset: NDArray[np.int64]
    share: NDArray[np.float64]
    value: NDArray[np.float64]

    def reaching(self, threshold: float) -> IndexSets:
        """The regions of each entity whose overlap reaches a threshold, counted within their image."""
        return self._where(self.value >= threshold)

    def inside(self) -> IndexSets:
        """The regions that share an area with each entity's masks, with the share of it."""
        sets = self._where(self.share > 0)
        return IndexSets(sets.offset, sets.member, self.share[self.share > 0])

    def _where(self, chosen: NDArray[np.bool_]) -> IndexSets:
        place = np.flatnonzero(chosen)
        owner = np.searchsorted(self.offset, place, side="right") - 1
        return IndexSets(np.searchsorted(place, self.offset), place - self.offset[owner])


def overlap_with_masks(
    mask: NDArray[np.uint8],
    mask_at: NDArray[np.int64],
    mask_offset: NDArray[np.int64],
    *,
    image: NDArray[np.int64],
    image_size: NDArray[np.int64],
    region: NDArray[np.float64],
    region_offset: NDArray[np.int64],
    overlap: str = "iof",
    boxes: str = "any",
) -> MaskOverlap:
    """Measure the overlap of entities with the regions of their image.

    Args:
        mask: u1[n], compressed run lengths.
        mask_at: i8[M+1], first byte of each mask.
        mask_offset: i8[E+1], first mask of each entity.
        image: i8[E], each entity's image.
        image_size: i8[I, 2], width and height.
        region: f8[R, 4], regions, each with an area; edges in pixels.
        region_offset: i8[I+1], first region of each image.
        overlap: `iof`: inside over the region's area; `iou`: over the union with the mask; `center`: the pixel under
            the region's centre is inside.
        boxes: `any`: the best of the entity's masks; `union`: their union; `merged`: the box that encloses them.
    """
    entities = len(mask_offset) - 1
    several = np.diff(mask_offset) > 1
    joined, joined_at, joined_of = _unions(mask, mask_at, mask_offset, image_size[image])
    height = image_size[image][:, 1]
    whole = Strips.from_masks(joined, joined_at, height[joined_of])
    single = None
    if boxes == "any" and several.any():
        single = Strips.from_masks(mask, mask_at, np.repeat(height, np.diff(mask_offset)))
    count = np.where(np.diff(mask_offset) > 0, np.diff(region_offset)[image], 0)
    offset = offsets_of(count)
    share, value = np.zeros(offset[-1]), np.zeros(offset[-1])
    row_of = np.full(entities, -1, np.int64)
    row_of[joined_of] = np.arange(len(joined_of))
    regions_of: dict[int, Regions] = {}
    for entity in joined_of.tolist():
        here = slice(*offset[entity : entity + 2].tolist())
        place = int(image[entity])
        if place not in regions_of:
            regions_of[place] = Regions.from_boxes(region[slice(*region_offset[place : place + 2].tolist())])
        regions, strips = regions_of[place], whole.one(int(row_of[entity]))
        inside = strips.area_inside(regions)
        share[here] = _shares(inside, regions.area)
        if single is not None and several[entity]:
            parts = [single.one(row) for row in range(*mask_offset[entity : entity + 2].tolist())]
            value[here] = np.max([_value(part, part.area_inside(regions), regions, overlap) for part in parts], axis=0)
        elif boxes == "merged":
            value[here] = _box_value(strips.bounds, regions, overlap)
        else:
            value[here] = _value(strips, inside, regions, overlap)
    return MaskOverlap(offset, share, value)


def _unions(
    mask: NDArray[np.uint8], mask_at: NDArray[np.int64], mask_offset: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The union of each entity's masks: run lengths, first byte of each, and i8[k], the entities that have any."""
    count = np.diff(mask_offset)
    having = np.flatnonzero(count)
    if (count <= 1).all():
        return mask, mask_at, having
    data, at = mask.tobytes(), mask_at.tolist()
    joined = [
        union(
            [data[at[row] : at[row + 1]] for row in range(*mask_offset[entity : entity + 2].tolist())],
            tuple(size[entity].tolist()),
        )
        for entity in having.tolist()
    ]
    return np.frombuffer(b"".join(joined), np.uint8), offsets_of(map(len, joined)), having


ROUNDING = 1e-12
"""By how much the share of a region that lies inside may be off."""


def _shares(inside: NDArray[np.float64], area: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of regions that lie inside; 1 where all of a region does, whatever was rounded."""
    share = inside / area
    return np.where(share > 1 - ROUNDING, 1.0, share)


def _value(strips: Strips, inside: NDArray[np.float64], regions: Regions, overlap: str) -> NDArray[np.float64]:
    """The overlap of one mask with regions, of which `inside` is the shared area."""
    if overlap == "center":
        return np.asarray(strips.holds(*regions.centre), np.float64)
    if overlap == "iof":
        return _shares(inside, regions.area)
    return np.asarray(inside / (regions.area + strips.area - inside))


def _box_value(box: tuple[float, float, float, float] | None, regions: Regions, overlap: str) -> NDArray[np.float64]:
    """The overlap of a box with regions, as it is for boxes of annotations."""
    if box is None:
        return np.zeros(len(regions.box))
    x1, y1, x2, y2 = box
    if overlap == "center":
        x, y = regions.centre
        return np.asarray((x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2), np.float64)
    wide = np.minimum(regions.box[:, 2], x2) - np.maximum(regions.box[:, 0], x1)
    tall = np.minimum(regions.box[:, 3], y2) - np.maximum(regions.box[:, 1], y1)
    inside = np.maximum(wide, 0) * np.maximum(tall, 0)
    whole = regions.area if overlap == "iof" else regions.area + (x2 - x1) * (y2 - y1) - inside
    return np.asarray(inside / whole)
