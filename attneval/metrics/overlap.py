"""When a region is relevant to a phrase: the one place where boxes become relevance."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attneval.text import offsets_of, ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRS_AT_ONCE = 2**16
"""Box-region pairs that are worked on together, so that the intermediate arrays stay in the cache."""
ROUNDING = 2.0**-19
"""Single precision rounds by 2**-24 at most; an overlap is computed in fewer than sixteen steps, counted twice here."""
COARSE = 0.1
"""Where single precision may be off by more than this, it settles too few pairs to be worth a try."""


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of keys, one after the other.

    Attributes:
        offset: i8[E+1], first member of each set.
        member: i8[n], the members, ascending within each set.
    """

    offset: NDArray[np.int64]
    member: NDArray[np.int64]

    @property
    def size(self) -> NDArray[np.int64]:
        """i8[E], how many members each set has."""
        return np.diff(self.offset)


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
    boxes_of = np.diff(box_offset)
    found = []
    for width in np.flatnonzero(np.bincount(count[image])).tolist():
        # Images with equally many regions form one table; chunks of entities keep the work in the cache.
        images = np.flatnonzero(count == width)
        table = _Table(region.take(region_offset[images][:, None] + np.arange(width), axis=0))
        entities = np.flatnonzero(count[image] == width)
        row_of_image = np.zeros(len(count), np.int64)
        row_of_image[images] = np.arange(len(images))
        group = _Group(
            place=row_of_image[image[entities]],
            box=box.take(ranges(box_offset[entities], boxes_of[entities]), axis=0),
            offset=offsets_of(boxes_of[entities]),
            kind=overlap,
            boxes=boxes,
        )
        error = group.error(table)
        pairs = group.offset[1:] * width // PAIRS_AT_ONCE
        bound = [0, *(np.flatnonzero(np.diff(pairs)) + 1).tolist(), len(entities)]
        for first, last in itertools.pairwise(bound):
            chunk, off = group.part(first, last), float(error[first:last].max(initial=0))
            # Single precision is twice as fast and settles nearly every pair; close calls are decided in double.
            if off > COARSE:
                enough = np.flatnonzero(chunk.overlap(table.exact) >= threshold)
            else:
                value = chunk.overlap(table.rough)
                enough = np.flatnonzero(value >= threshold - off)
                close = enough[value.ravel()[enough] < threshold + off]
                if len(close):
                    entity = np.unique(close // width)
                    value[entity] = chunk.take(entity).overlap(table.exact) >= threshold
                    enough = enough[value.ravel()[enough] >= threshold]
            entity, member = np.divmod(enough, width)
            found.append((entities[first + entity], member))
    if not found:
        return Sets(np.zeros(len(image) + 1, np.int64), np.zeros(0, np.int64))
    entity, member = (np.concatenate(part) for part in zip(*found, strict=True))
    if len(found) > 1:
        order = np.argsort(entity, kind="stable")
        entity, member = entity[order], member[order]
    return Sets(offsets_of(np.bincount(entity, minlength=len(image))), member)


@dataclass(frozen=True, eq=False)
class _Table:
    """The regions f8[I, n, 4] of images with equally many of them."""

    region: NDArray[np.float64]

    @cached_property
    def exact(self) -> NDArray[np.floating]:
        return _planes(self.region)

    @cached_property
    def rough(self) -> NDArray[np.floating]:
        return _planes(self.region.astype(np.float32))


def _planes(region: NDArray[np.floating]) -> NDArray[np.floating]:
    """x1, y1, x2, y2, area and the centre of f[I, n, 4] regions, as f[7, I, n]."""
    x1, y1, x2, y2 = region.transpose(2, 0, 1)
    return np.stack((x1, y1, x2, y2, (x2 - x1) * (y2 - y1), (x1 + x2) / 2, (y1 + y2) / 2))


@dataclass(frozen=True, eq=False)
class _Group:
    """Some entities whose images have equally many regions."""

    place: NDArray[np.int64]  # i8[e], each entity's image in the table
    box: NDArray[np.float64]  # f8[b, 4], their boxes; for a union they no longer overlap one another
    offset: NDArray[np.int64]  # i8[e+1], first box of each entity
    kind: str
    boxes: str

    def part(self, first: int, last: int) -> _Group:
        start, stop = self.offset[[first, last]].tolist()
        return replace(
            self,
            place=self.place[first:last],
            box=self.box[start:stop],
            offset=self.offset[first : last + 1] - start,
        )

    def take(self, rows: NDArray[np.int64]) -> _Group:
        count = np.diff(self.offset)[rows]
        return replace(
            self,
            place=self.place[rows],
            box=self.box[ranges(self.offset[rows], count)],
            offset=offsets_of(count),
        )

    def error(self, table: _Table) -> NDArray[np.float64]:
        """By how much each entity's single-precision overlaps may be off at most, f8[e].

        A length that is shared by boxes whose edges move by d each is off by 2d, and its share of a side s by 2d / s;
        an overlap is made of a shared area, which has two lengths, and of the areas of both boxes. Whether a centre
        lies on an edge is no matter of more or less, so single precision never tells.
        """
        if self.kind == "center":
            return np.full(len(self.place), np.inf)
        # By nothing where edges are whole numbers, or were stored in single precision.
        edge = max(float(np.abs(box - box.astype(np.float32)).max(initial=0)) for box in (table.region, self.box))
        side = np.minimum.reduceat(_side(self.box), self.offset[:-1])
        side = np.minimum(side, _side(table.region).min(axis=1, initial=np.inf)[self.place])
        share = np.divide(edge, side, out=np.full(len(side), np.inf if edge else 0.0), where=side > 0)
        # A union adds up the pieces that it was cut into.
        return np.asarray((32 * share + ROUNDING) * np.diff(self.offset))

    def overlap(self, planes: NDArray[np.floating]) -> NDArray[np.floating]:
        """The overlap f[e, n] of each entity with each region of its image, in the precision of the planes.

        Where they do not meet it is 0 or less.
        """
        own = np.repeat(self.place, np.diff(self.offset))
        first = self.offset[:-1]
        several = len(first) < len(own)
        x1, y1, x2, y2 = self.box.astype(planes.dtype).T[:, :, None]
        if self.kind == "center":
            x, y = planes[5].take(own, axis=0), planes[6].take(own, axis=0)
            value = ((x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2)).astype(planes.dtype)
            return np.maximum.reduceat(value, first) if several else value
        add_up = several and self.boxes == "union"
        value = _length(planes[0].take(own, axis=0), planes[2].take(own, axis=0), x1, x2)
        nothing = np.zeros_like(value)  # a maximum of arrays takes a third of the time of one with a number
        np.maximum(value, nothing, out=value)
        value *= _length(planes[1].take(own, axis=0), planes[3].take(own, axis=0), y1, y2)
        whole = planes[4].take(own, axis=0)
        area = (x2 - x1) * (y2 - y1)
        if add_up:
            np.maximum(value, nothing, out=value)
            value, area, whole = np.add.reduceat(value, first), np.add.reduceat(area, first), whole[first]
        if self.kind == "iou":
            whole += area
            whole -= value
        value /= whole
        return np.maximum.reduceat(value, first) if several and not add_up else np.asarray(value)


def _length(
    low: NDArray[np.floating], high: NDArray[np.floating], start: NDArray[np.floating], stop: NDArray[np.floating]
) -> NDArray[np.floating]:
    """The length that [low, high] and [start, stop] share, negative if none; the first two arrays are used up."""
    np.minimum(high, stop, out=high)
    np.maximum(low, start, out=low)
    high -= low
    return high


def _side(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shorter side of f8[..., 4] boxes."""
    return np.asarray(np.minimum(box[..., 2] - box[..., 0], box[..., 3] - box[..., 1]))


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
        pieces.append(group)
        counts.append(len(group))
    joined = np.concatenate(pieces) if pieces else np.zeros((0, 4))
    return joined, np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def _split(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut overlapping boxes along all their edges and keep each covered cell once."""
    x, y = np.unique(box[:, [0, 2]]), np.unique(box[:, [1, 3]])
    in_x = (box[:, 0, None] <= x[:-1]) & (x[1:] <= box[:, 2, None])
    in_y = (box[:, 1, None] <= y[:-1]) & (y[1:] <= box[:, 3, None])
    column, row = np.nonzero((in_x[:, :, None] & in_y[:, None, :]).any(axis=0))
    return np.stack((x[column], y[row], x[column + 1], y[row + 1]), axis=1)
