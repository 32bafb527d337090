"""Entities whose images have equally many regions, so that boxes and regions form tables."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAIRS_AT_ONCE = 2**16
"""Box-region pairs that are worked on together, so that the intermediate arrays stay in the cache."""


@record
class BoxGroup:
    """Some entities whose images have equally many regions.

    Attributes:
        place: i8[e], each entity's image in the table of regions.
        box: f8[b, 4], pixels, their boxes; where they add up they no longer overlap one another.
        offset: i8[e+1], first box of each entity; every entity has at least one.
        add_up: Whether an entity's boxes count together, or else the best one alone.
    """

    place: NDArray[np.int64]
    box: NDArray[np.float64]
    offset: NDArray[np.int64]
    add_up: bool

    def chunks(self, width: int) -> Iterator[BoxGroup]:
        """The entities in chunks of about `PAIRS_AT_ONCE` pairs of a box and one of `width` regions."""
        pairs = self.offset[1:] * width // PAIRS_AT_ONCE
        bound = [0, *(np.flatnonzero(np.diff(pairs)) + 1).tolist(), len(self.place)]
        return itertools.starmap(self._chunk, itertools.pairwise(bound))

    def _chunk(self, first: int, last: int) -> BoxGroup:
        start, stop = self.offset[[first, last]].tolist()
        return replace(
            self,
            place=self.place[first:last],
            box=self.box[start:stop],
            offset=self.offset[first : last + 1] - start,
        )

    @property
    def place_of_box(self) -> NDArray[np.int64]:
        """i8[b], the image of each box."""
        alone = len(self.place) == len(self.box)
        return self.place if alone else np.repeat(self.place, np.diff(self.offset))

    def by_entity(self, by: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Put values [b, ...] of boxes together by entity: [e, ...]."""
        first = self.offset[:-1]
        return np.asarray(by.reduceat(values, first)) if len(first) < len(values) else values


def equal_tables(
    box: NDArray[np.float64],
    box_offset: NDArray[np.int64],
    region: NDArray[np.float64],
    region_offset: NDArray[np.int64],
    image: NDArray[np.int64],
    *,
    add_up: bool,
) -> Iterator[tuple[NDArray[np.int64], BoxGroup, NDArray[np.float64]]]:
    """Split entities by how many regions their images have; entities of images without any are left out.

    Args:
        box: f8[B, 4], pixels, the entities' boxes.
        box_offset: i8[E+1], first box of each entity.
        region: f8[R, 4], pixels, the images' regions.
        region_offset: i8[I+1], first region of each image.
        image: i8[E], each entity's image.
        add_up: Whether an entity's boxes count together.

    Yields:
        i8[e], the entities, ascending; their boxes; and f8[i, n, 4], the regions of their images.
    """
    count, boxes_of = np.diff(region_offset), np.diff(box_offset)
    row_of_image = np.zeros(len(count), np.int64)
    for width in np.flatnonzero(np.bincount(count[image])).tolist():
        if not width:
            continue
        images, entities = np.flatnonzero(count == width), np.flatnonzero(count[image] == width)
        row_of_image[images] = np.arange(len(images))
        group = BoxGroup(
            place=row_of_image[image[entities]],
            box=_of(box, box_offset, entities),
            offset=offsets_of(boxes_of[entities]),
            add_up=add_up,
        )
        yield entities, group, _of(region, region_offset, images).reshape(len(images), width, 4)


def _of(values: NDArray[Any], offset: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[Any]:
    """The values of some sets that stand one after the other; `rows` ascend and differ."""
    if len(rows) == len(offset) - 1:
        return values
    return values.take(ranges(offset[rows], offset[rows + 1] - offset[rows]), axis=0)
