"""Maps enlarged to images: attended pixels, those of shapes among them, and one box of each map."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.arrays.ragged import distinct_values, ranges
from attneval.arrays.records import record
from attneval.config.map_boxes import COMPONENT
from attneval.config.protocol import BYTES
from attneval.geometry.enlarging import Taps
from attneval.geometry.enlarging_bytes import BRIGHTEST, ByteTaps, as_bytes, enlarge_bytes
from attneval.metrics.declaration import BOX, PIXELS
from attneval.metrics.map_boxes import Boxes, around_components, of_detections, reaching
from attneval.metrics.rankings import EVEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.geometry.pixel_sets import PixelSets

    Enlarger = Callable[[NDArray[np.float64]], NDArray[np.float64]]
    """Makes pixels f8[k, height, width] of cells f8[k, rows, columns]."""

AT_ONCE = 2**22
"""Pixels that are worked on together, so that memory stays bounded."""


class PixelCounts(NamedTuple):
    """Pixels of p pairs of a map and an entity.

    Attributes:
        attended: f8[p], how many are attended.
        both: f8[p], how many of these lie in the entity's shapes.
    """

    attended: NDArray[np.float64]
    both: NDArray[np.float64]


@record
class EnlargedMaps:
    """The maps of G groups of keys, to be enlarged, and the shapes of E entities that they are held against.

    Attributes:
        shapes: The pixels of each entity's shapes.
        protocol: How maps are enlarged, what of them is attended, and which box is taken from them.
        annotated: The annotated boxes of each entity.
        detected: The boxes of each group that `box_from=detections` chooses from.
    """

    shapes: PixelSets
    protocol: Protocol
    annotated: Boxes = field(default_factory=Boxes)
    detected: Boxes = field(default_factory=Boxes)

    @property
    def at_hand(self) -> frozenset[str]:
        """The things that columns may need and these maps give."""
        return frozenset({PIXELS} if self.protocol.map_box is None else {PIXELS, BOX})

    @cached_property
    def shape_pixels(self) -> NDArray[np.int64]:
        """The number of pixels of each entity's shapes within its image, i8[E]."""
        size = self.shapes.grids.size[np.repeat(self.shapes.group, np.diff(self.shapes.offset))]
        low = np.clip(self.shapes.box[:, :2], 0, size)
        area = np.maximum(np.clip(self.shapes.box[:, 2:], 0, size) - low, 0).prod(axis=1)
        return np.asarray(np.diff(np.append(0, np.cumsum(area))[self.shapes.offset]), np.int64)

    @cached_property
    def _first_of_group(self) -> NDArray[np.int64]:
        """i8[G+1], the first entity of each group, whose entities stand together."""
        return np.searchsorted(self.shapes.group, np.arange(len(self.shapes.grids.size) + 1))

    def counts(self, weight: NDArray[np.float64], row: NDArray[np.int64], entity: NDArray[np.int64]) -> PixelCounts:
        """Count attended pixels, and those of entities among them.

        Args:
            weight: f8[m, n], maps as rows of keys.
            row: i8[p], the map of each pair.
            entity: i8[p], the entity of each pair, of a group with n keys.
        """
        attended, both = np.zeros(len(row)), np.zeros(len(row))
        for group, pairs in self._groups(entity):
            rows, place = np.unique(row[pairs], return_inverse=True)
            total, shared = self._counted(group, weight, rows)
            first = int(self._first_of_group[group])
            attended[pairs], both[pairs] = total[place], shared[place, entity[pairs] - first]
        return PixelCounts(attended, both)

    def _counted(
        self, group: int, weight: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The attended pixels f8[r] of maps of a group, and those in each of the group's entities, f8[r, e]."""
        entities = np.arange(*self._first_of_group[group : group + 2].tolist())
        pixels = int(self.shapes.grids.size[group].prod())
        total = np.full(len(rows), float(pixels))
        shared = np.tile(self.shape_pixels[entities].astype(np.float64), (len(rows), 1))
        chosen = weight[rows]
        uneven = np.flatnonzero(_uneven(chosen))
        covered = self._covered(group, entities if len(uneven) else entities[:0])
        for part, cells, pixel in self.enlarged(group, weight, rows[uneven]):
            above = pixel > self.protocol.rule.pixels_above(pixel, cells)[:, None]
            total[uneven[part]] = np.count_nonzero(above, axis=1)
            # Whole numbers up to 2^24 are exact in single precision, whatever order they are added in.
            shared[uneven[part]] = above.astype(np.float32) @ covered.T
        return total, shared

    def cutoffs(self, weight: NDArray[np.float64], group: NDArray[np.int64]) -> NDArray[np.float64]:
        """Find what the pixels of maps have to be above to be attended.

        Args:
            weight: f8[m, n], maps as rows of keys.
            group: i8[m], the group of each.

        Returns:
            f8[m]; minus infinity for even rows, of which every pixel is attended.
        """
        cutoff = np.full(len(weight), -np.inf)
        uneven = _uneven(weight)
        for one in distinct_values(group[uneven]).tolist():
            rows = np.flatnonzero(uneven & (group == one))
            for part, cells, pixel in self.enlarged(one, weight, rows):
                cutoff[rows[part]] = self._as_weight(self.protocol.rule.pixels_above(pixel, cells), weight[rows[part]])
        return cutoff

    def _as_weight(self, cutoff: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cutoffs f8[m] of pixels as weights of the rows f8[m, n] that these were made from."""
        if self.protocol.enlarge != BYTES:
            return cutoff
        low, high = weight.min(axis=1), weight.max(axis=1)
        return np.asarray(low + cutoff / BRIGHTEST * (high - low))

    def enlarged(
        self, group: int, weight: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[np.float64], NDArray[np.float64]]]:
        """Enlarge maps of a group, a few at a time.

        Args:
            group: The group.
            weight: f8[m, n].
            rows: i8[r], rows of `weight`.

        Yields:
            The part of `rows`, the cells f8[k, n] that are enlarged, and their pixels f8[k, height * width].
        """
        shape, in_bytes = self.shapes.grids.shape[group].tolist(), self.protocol.enlarge == BYTES
        enlarge = self._byte_enlarger(group) if in_bytes else self._enlarger(group)
        step = max(AT_ONCE // int(self.shapes.grids.size[group].prod()), 1)
        for low in range(0, len(rows), step):
            part = slice(low, min(low + step, len(rows)))
            cells = as_bytes(weight[rows[part]]) if in_bytes else weight[rows[part]]
            yield part, cells, enlarge(cells.reshape(-1, *shape)).reshape(len(cells), -1)

    def box_hits(
        self, weight: NDArray[np.float64], row: NDArray[np.int64], entity: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Compute the share of a map's boxes, one unless several are as good, that reach an entity's.

        Args:
            weight: f8[m, n], see `counts`; so are the others.
            row: i8[p].
            entity: i8[p].

        Returns:
            f8[p]; 0 for maps without a box.
        """
        hits = np.zeros(len(row))
        for group, pairs in self._groups(entity):
            rows, place = np.unique(row[pairs], return_inverse=True)
            boxes = self._located(group, weight, rows)
            count = np.diff(boxes.offset)[place]
            pair = np.repeat(np.arange(len(pairs)), count)
            box = boxes.box[ranges(boxes.offset[place], count)]
            reached = reaching(box, self.annotated, entity[pairs][pair], self.protocol)
            hits[pairs] = quotient(np.bincount(pair, reached, len(pairs)).astype(np.float64), count.astype(np.float64))
        return hits

    def _located(self, group: int, weight: NDArray[np.float64], rows: NDArray[np.int64]) -> Boxes:
        """The boxes of maps of a group, several where they are equally good."""
        rule = self.protocol.map_box
        if rule is None:
            raise ValueError("no box is taken from maps")
        if rule.rule == COMPONENT:
            size, parts = self.shapes.grids.size[group], [Boxes()]
            for _, _, pixel in self.enlarged(group, weight, rows):
                parts.append(around_components(pixel.reshape(len(pixel), size[1], size[0]), rule.value))
            boxes = Boxes.joined(parts)
            if self.protocol.extent == "pixel":
                # Edges are then the numbers of the last pixels.
                boxes = Boxes(boxes.box - np.array([0, 0, 1, 1]), boxes.offset)
        else:
            cells = weight[rows].reshape(-1, *self.shapes.grids.shape[group].tolist())
            boxes = of_detections(cells, self.detected.of(group), rule.value, *self._axes(group))
        return boxes

    def _covered(self, group: int, entities: NDArray[np.int64]) -> NDArray[np.float32]:
        """The pixels of entities of a group, f4[e, height * width]: 1 inside, 0 outside."""
        width, height = self.shapes.grids.size[group].tolist()
        count = np.diff(self.shapes.offset)[entities]
        box = self.shapes.box[ranges(self.shapes.offset[entities], count)]
        box = np.clip(box, 0, np.array([width, height, width, height]))
        inside = np.zeros((len(entities), height, width), np.float32)
        for entity, (x1, y1, x2, y2) in zip(np.repeat(np.arange(len(entities)), count), box.tolist(), strict=True):
            inside[entity, y1:y2, x1:x2] = 1
        return inside.reshape(len(entities), height * width)

    def _groups(self, entity: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The pairs of each group, by their entities i8[p]."""
        group = self.shapes.group[entity]
        order = np.argsort(group, kind="stable")
        for pairs in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else ():
            yield int(group[pairs[0]]), pairs

    def _enlarger(self, group: int) -> Enlarger:
        down, across = self._axes(group)
        # Whole lines are copied last, which is the greater part of it.
        return lambda cells: down.enlarge(across.enlarge(cells, 2), 1)

    def _byte_enlarger(self, group: int) -> Enlarger:
        grids = self.shapes.grids
        (rows, columns), (sx, sy, tx, ty) = grids.shape[group].tolist(), grids.affine[group].tolist()
        width, height = grids.size[group].tolist()
        down = ByteTaps.along(rows, sy, ty, height, across=False)
        across = ByteTaps.along(columns, sx, tx, width, across=True)
        return lambda cells: enlarge_bytes(cells, down, across)

    def _axes(self, group: int) -> tuple[Taps, Taps]:
        """The cells that the rows and the columns of pixels take from."""
        grids, method = self.shapes.grids, self.protocol.enlarge
        (rows, columns), (sx, sy, tx, ty) = grids.shape[group].tolist(), grids.affine[group].tolist()
        width, height = grids.size[group].tolist()
        return Taps.along(rows, sy, ty, height, method), Taps.along(columns, sx, tx, width, method)


def _uneven(weight: NDArray[np.float64]) -> NDArray[np.bool_]:
    """b[m], the rows f8[m, n] whose weights differ."""
    high = weight.max(axis=1)
    return np.asarray(high - weight.min(axis=1) > EVEN * np.abs(high))
