"""When a region is relevant to a phrase: the one place where boxes become relevance."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.index_sets import Sets
from attneval.arrays.ragged import offsets_of, ranges
from attneval.geometry.boxes import areas, disjoint, enclosing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAIRS_AT_ONCE = 2**16
"""Box-region pairs that are worked on together, so that the intermediate arrays stay in the cache."""
ROUNDING = 2.0**-18
"""By how much single precision may be off in `_SharedArea._surplus`, times the square of the largest coordinate.

It rounds by 2**-24. A length is off by at most four times that; an area, of two lengths of at most twice the largest
coordinate, by twenty; the shared area and half of both areas, by less than sixty-four.
"""


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
) -> Sets:
    """The regions whose overlap with an entity reaches a threshold.

    Args:
        box: f8[B, 4], the entities' boxes, x1, y1, x2, y2 with continuous edges.
        box_offset: i8[E+1], first box of each entity.
        region: f8[R, 4], the images' regions, none without an area.
        region_offset: i8[I+1], first region of each image.
        image: i8[E], each entity's image.
        overlap: `iou`: intersection over union; `iof`: intersection over the region's area; `center`: 1 if the
            region's centre lies in the box, edges included, else 0.
        boxes: `any`: the best of the entity's boxes; `merged`: their enclosing box; `union`: the union of their areas.
        threshold: The overlap that is enough.

    Returns:
        For each entity, its relevant regions, counted within their image.
    """
    if boxes == "merged":
        box, box_offset = enclosing(box, box_offset), np.arange(len(box_offset))
    elif boxes == "union" and overlap != "center":
        box, box_offset = disjoint(box, box_offset)
    count = np.diff(region_offset)
    boxes_of, regions_of = np.diff(box_offset), count[image]
    found = []
    for width in np.flatnonzero(np.bincount(regions_of)).tolist():
        # Images with equally many regions form one table.
        images = np.flatnonzero(count == width)
        table = _of(region, region_offset, images).reshape(len(images), width, 4)
        entities = np.flatnonzero(regions_of == width)
        row_of_image = np.zeros(len(count), np.int64)
        row_of_image[images] = np.arange(len(images))
        group = _Group(
            place=row_of_image[image[entities]],
            box=_of(box, box_offset, entities),
            offset=offsets_of(boxes_of[entities]),
            add_up=boxes == "union",
        )
        relevant = _centre_inside if overlap == "center" else _SharedArea(overlap, threshold)
        entity, member = relevant(group, table)
        found.append((entities[entity], member))
    if not found:
        return Sets(np.zeros(len(image) + 1, np.int64), np.zeros(0, np.int64))
    entity, member = (np.concatenate(part) for part in zip(*found, strict=True))
    if len(found) > 1:
        order = np.argsort(entity, kind="stable")
        entity, member = entity[order], member[order]
    return Sets(offsets_of(np.bincount(entity, minlength=len(image))), member)


def _of(values: NDArray[Any], offset: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The values of some sets that stand one after the other; `rows` ascend and differ."""
    if len(rows) == len(offset) - 1:
        return values
    return values.take(ranges(offset[rows], offset[rows + 1] - offset[rows]), axis=0)


@dataclass(frozen=True, eq=False)
class _Group:
    """Some entities whose images have equally many regions.

    Attributes:
        place: i8[e], each entity's image in the table of regions.
        box: f8[b, 4], their boxes; where they add up they no longer overlap one another.
        offset: i8[e+1], first box of each entity.
        add_up: Whether an entity's boxes count together, or else the best one alone.
    """

    place: NDArray[np.int64]
    box: NDArray[np.float64]
    offset: NDArray[np.int64]
    add_up: bool

    def chunks(self, width: int) -> Iterator[_Group]:
        """The entities in chunks of about `PAIRS_AT_ONCE` pairs of a box and one of `width` regions."""
        pairs = self.offset[1:] * width // PAIRS_AT_ONCE
        bound = [0, *(np.flatnonzero(np.diff(pairs)) + 1).tolist(), len(self.place)]
        return itertools.starmap(self._part, itertools.pairwise(bound))

    def _part(self, first: int, last: int) -> _Group:
        start, stop = self.offset[[first, last]].tolist()
        return replace(
            self,
            place=self.place[first:last],
            box=self.box[start:stop],
            offset=self.offset[first : last + 1] - start,
        )

    @property
    def place_of_box(self) -> NDArray[np.int64]:
        """i8[b], the image of each box; every entity has at least one."""
        alone = len(self.place) == len(self.box)
        return self.place if alone else np.repeat(self.place, np.diff(self.offset))

    def by_entity(self, by: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Put values [b, ...] of boxes together by entity: [e, ...]."""
        first = self.offset[:-1]
        return np.asarray(by.reduceat(values, first)) if len(first) < len(values) else values


Pairs = tuple["NDArray[np.int64]", "NDArray[np.int64]"]
"""Entities, counted within their group, and regions, counted within their image; ascending."""


def _centre_inside(group: _Group, region: NDArray[np.float64]) -> Pairs:
    """Regions f8[I, n, 4] whose centre lies in one of an entity's boxes."""
    x, y = ((region[:, :, axis] + region[:, :, axis + 2]) / 2 for axis in (0, 1))
    inside = [_holds(part, x, y) for part in group.chunks(region.shape[1])]
    entity, member = np.nonzero(np.concatenate(inside))
    return entity, member


def _holds(group: _Group, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether entities hold the points f8[I, n] of their image: b[e, n]."""
    own = group.place_of_box
    x, y = x.take(own, axis=0), y.take(own, axis=0)
    x1, y1, x2, y2 = group.box.T[:, :, None]
    return group.by_entity(np.logical_or, (x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2))


@dataclass(frozen=True, eq=False)
class _SharedArea:
    """Regions f8[I, n, 4] of which an entity's boxes share enough.

    Single precision is twice as fast and settles nearly every pair; close calls are decided in double precision.
    """

    overlap: str
    threshold: float

    def __call__(self, group: _Group, region: NDArray[np.float64]) -> Pairs:
        planes, width, entities = self._planes(region), region.shape[1], 0
        largest = max(region.max(initial=0), -region.min(initial=0), np.abs(group.box).max(initial=0))
        off = float(ROUNDING * largest**2) * (int(np.diff(group.offset).max(initial=1)) if group.add_up else 1)
        near, close = [], []
        parts = list(group.chunks(width))
        # Memory that is asked for anew for each chunk takes longer than what is done with it.
        space = np.empty((len(planes), max((len(part.box) for part in parts), default=0), width), np.float32)
        for part in parts:
            surplus = self._surplus(part, planes, space).ravel()
            pair = np.flatnonzero(surplus >= -off)
            near.append(pair + entities * width)
            close.append(surplus[pair] < off)
            entities += len(part.place)
        entity, member = np.divmod(np.concatenate(near), width)
        undecided = np.flatnonzero(np.concatenate(close))
        enough = np.ones(len(entity), np.bool_)
        enough[undecided] = self._values(group, region, entity[undecided], member[undecided]) >= self.threshold
        return entity[enough], member[enough]

    @property
    def _share(self) -> float:
        """The part of the areas that must be shared: s / (a + b - s) reaches t where s reaches t / (1 + t) of a + b."""
        return self.threshold / (1 + self.threshold) if self.overlap == "iou" else self.threshold

    def _planes(self, region: NDArray[np.float64]) -> NDArray[np.float32]:
        """Edges x1, y1, x2, y2 and the part of the area that must be shared, f4[5, I, n]."""
        x1, y1, x2, y2 = region.astype(np.float32).transpose(2, 0, 1)
        return np.stack((x1, y1, x2, y2, self._share * (x2 - x1) * (y2 - y1)))

    def _surplus(self, group: _Group, planes: NDArray[np.float32], space: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much more than enough entities share with the regions of their image, in square pixels: f4[e, n].

        Args:
            group: The entities.
            planes: What `_planes` makes of all regions.
            space: Room for as many planes of the group's pairs; the result may be a part of it.
        """

        def gathered(plane: int, own: NDArray[np.int64]) -> NDArray[np.float32]:
            return np.take(planes[plane], own, axis=0, out=space[plane, : len(own)], mode="clip")

        own = group.place_of_box
        x1, y1, x2, y2 = group.box.astype(np.float32).T[:, :, None]
        shared = _length(gathered(0, own), gathered(2, own), x1, x2)
        # What is apart in one direction shares nothing or less, which only pieces that add up must not.
        shared *= _length(gathered(1, own), gathered(3, own), y1, y2, negative=not group.add_up)
        needed = self._share * (x2 - x1) * (y2 - y1) if self.overlap == "iou" else np.zeros_like(x1)
        if group.add_up:
            own, shared, needed = group.place, group.by_entity(np.add, shared), group.by_entity(np.add, needed)
        shared -= gathered(4, own)
        shared -= needed
        return shared if group.add_up else group.by_entity(np.maximum, shared)

    def _values(
        self, group: _Group, region: NDArray[np.float64], entity: NDArray[np.int64], member: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The overlap of entities with regions of their image: f8[p]."""
        count = np.diff(group.offset)[entity]
        pairs = _Group(entity, group.box[ranges(group.offset[entity], count)], offsets_of(count), group.add_up)
        region = region[group.place[pairs.place_of_box], np.repeat(member, count)]
        low, high = np.maximum(region[:, :2], pairs.box[:, :2]), np.minimum(region[:, 2:], pairs.box[:, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        whole, area = areas(region), areas(pairs.box)
        if group.add_up:
            shared, area = pairs.by_entity(np.add, shared), pairs.by_entity(np.add, area)
            whole = pairs.by_entity(np.maximum, whole)
        value = shared / (whole + area - shared if self.overlap == "iou" else whole)
        return value if group.add_up else pairs.by_entity(np.maximum, value)


def _length(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    start: NDArray[np.float32],
    stop: NDArray[np.float32],
    *,
    negative: bool = False,
) -> NDArray[np.float32]:
    """The length that [low, high] and [start, stop] share, 0 or `negative` if none; the first two are used up."""
    np.maximum(low, start, out=low)
    np.minimum(high, stop, out=high)
    if not negative:
        np.maximum(high, low, out=high)
    high -= low
    return high
