"""The largest pixels of maps that are enlarged bilinearly from grids to images, without enlarging them.

Between the centres of four neighbouring cells an enlarged map is bilinear, and beyond the outermost centres it goes on
as it is there. On the pixels of such a patch it is therefore largest at a corner, and elsewhere only where all corners
around are as large. Looking at the pixels next to centres and at the borders of the image is enough.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, offsets_of
from attneval.arrays.records import record
from attneval.geometry.boxes import disjoint, enclosing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.geometry.strips import Strips

ROUNDING = 1e-12
"""Pixels whose values differ from the largest by this share or less are as large."""


@record
class PixelAxis:
    """The pixels along one side of an image, in k steps that matter and the stretches between them.

    Attributes:
        weight: f8[k, cells], what each cell adds to the value at each step.
        bound: i8[2k], where the 2k - 1 parts begin and end: a step, which is a pixel, then the stretch to the next.
    """

    weight: NDArray[np.float64]
    bound: NDArray[np.int64]

    @classmethod
    def along(cls, cells: int, scale: float, shift: float, pixels: int) -> PixelAxis:
        """Find the steps.

        Args:
            cells: How many cells there are.
            scale: The length of a cell, in pixels.
            shift: Where the first one starts, in pixels.
            pixels: How many pixels there are.
        """
        # A pixel's value is that at its middle.
        centre = (np.arange(cells) + 0.5) * scale + shift - 0.5
        near = np.concatenate((np.floor(centre), np.ceil(centre))).astype(np.int64)
        step = distinct_values(np.clip(np.append(near, [0, pixels - 1]), 0, pixels - 1))
        place = np.clip((step + 0.5 - shift) / scale - 0.5, 0, cells - 1)
        low = np.floor(place).astype(np.int64)
        weight = np.zeros((len(step), cells))
        at = np.arange(len(step))
        weight[at, low] = 1 - (place - low)
        weight[at, np.minimum(low + 1, cells - 1)] += place - low
        return cls(weight, np.stack((step, step + 1), axis=1).ravel())

    @property
    def size(self) -> NDArray[np.int64]:
        """The number of pixels of each part, i8[2k-1]."""
        return np.diff(self.bound)

    def inside(self, start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count the pixels of each part from `start` to before `stop`: i8[b, 2k-1] for i8[b] of either."""
        bound = np.minimum(np.maximum(self.bound, start[:, None]), np.maximum(start, stop)[:, None])
        return np.asarray(bound[:, 1:] - bound[:, :-1], np.int64)


def tied_parts(weight: NDArray[np.float64], rows: PixelAxis, columns: PixelAxis) -> NDArray[np.bool_]:
    """Mark the parts of an image whose pixels are the largest ones of a map.

    Args:
        weight: f8[m, cells of `rows`, cells of `columns`].
        rows: The rows of pixels.
        columns: The columns of pixels.

    Returns:
        b[m, parts of `rows`, parts of `columns`].
    """
    value = rows.weight @ weight @ columns.weight.T
    peak = value.max(axis=(1, 2), keepdims=True)
    return _with_stretches(value >= peak - ROUNDING * np.abs(peak))


def _with_stretches(step: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Put between neighbouring steps of b[m, k, l] a stretch that belongs to them if both do: b[m, 2k-1, 2l-1]."""
    maps, rows, columns = step.shape
    part = np.empty((maps, 2 * rows - 1, 2 * columns - 1), np.bool_)
    part[:, ::2, ::2] = step
    np.logical_and(step[:, 1:], step[:, :-1], out=part[:, 1::2, ::2])
    np.logical_and(part[:, :, 2::2], part[:, :, :-1:2], out=part[:, :, 1::2])
    return part


@record
class GridOnImage:
    """The places of the keys of G maps: those cells of a grid that are more than padding.

    Attributes:
        shape: i8[G, 2], rows and columns.
        affine: f8[G, 4], (sx, sy, tx, ty): a cell's x edge is `sx * column + tx`, its y edge `sy * row + ty`.
        size: i8[G, 2], width and height of the image in pixels.
    """

    shape: NDArray[np.int64]
    affine: NDArray[np.float64]
    size: NDArray[np.int64]

    def axes(self, group: int) -> tuple[PixelAxis, PixelAxis]:
        """The rows and the columns of pixels of a map's image."""
        (height, width), (sx, sy, tx, ty) = self.shape[group].tolist(), self.affine[group].tolist()
        across, down = self.size[group].tolist()
        return _axis(height, sy, ty, down), _axis(width, sx, tx, across)


@functools.lru_cache(maxsize=1024)
def _axis(cells: int, scale: float, shift: float, pixels: int) -> PixelAxis:
    """The steps of a side, which many images share."""
    return PixelAxis.along(cells, scale, shift, pixels)


@record
class PixelSets:
    """The pixels of E entities.

    Attributes:
        grids: The grids of G groups of keys.
        group: i8[E], the group that each entity is held against.
        box: i8[B, 4], pixels from x1 and y1 to before x2 and y2, no pixel twice for one entity.
        offset: i8[E+1], first box of each entity; entities without a mask have none.
    """

    grids: GridOnImage
    group: NDArray[np.int64]
    box: NDArray[np.int64]
    offset: NDArray[np.int64]

    @classmethod
    def from_boxes(
        cls,
        grids: GridOnImage,
        group: NDArray[np.int64],
        box: NDArray[np.float64],
        offset: NDArray[np.int64],
        *,
        boxes: str = "any",
        extent: str = "edge",
        border: str = "inside",
    ) -> PixelSets:
        """Find the pixels whose middles lie in the boxes of each entity.

        Args:
            grids: The grids.
            group: i8[E], each entity's group.
            box: f8[B, 4], pixels, x1, y1, x2, y2 with continuous edges.
            offset: i8[E+1], first box of each entity.
            boxes: `merged` for their enclosing box.
            extent: `pixel`: edges are numbers of pixels, counted from 0, those of both ends included.
            border: `outside`: a middle on an edge is not inside.
        """
        if boxes == "merged":
            box, offset = enclosing(box, offset), np.arange(len(offset))
        if extent == "pixel":
            box = box + np.array([0, 0, 1, 1])
        low, high = box[:, :2] - 0.5, box[:, 2:] - 0.5
        if border == "outside":
            pixels = np.concatenate((np.floor(low) + 1, np.ceil(high)), axis=1)
        else:
            pixels = np.concatenate((np.ceil(low), np.floor(high) + 1), axis=1)
        apart, offset = disjoint(pixels, offset)
        return cls(grids, group, apart.astype(np.int64), offset)

    @classmethod
    def from_strips(
        cls, grids: GridOnImage, group: NDArray[np.int64], strips: Strips, *, boxes: str = "any"
    ) -> PixelSets:
        """Find the pixels of the masks of each entity.

        Args:
            grids: The grids.
            group: i8[E], each entity's group.
            strips: The masks of each entity, cut into strips.
            boxes: `merged` for the box that encloses them.
        """
        box = np.stack((strips.column, strips.top, strips.column + 1, strips.bottom), axis=1)
        offset = strips.offset
        if boxes == "merged":
            having = np.diff(offset) > 0
            around = enclosing(box.astype(np.float64), np.append(offset[:-1][having], offset[-1]))
            box, offset = around.astype(np.int64), offsets_of(having)
        return cls(grids, group, box, offset)

    def top_shares(
        self, weight: NDArray[np.float64], row: NDArray[np.int64], entity: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Compute the share of a map's largest pixels that are an entity's, which is 0 or 1 unless several are largest.

        Args:
            weight: f8[m, n], maps as rows of keys.
            row: i8[p], the map of each pair.
            entity: i8[p], the entity of each pair, of a group with n keys.

        Returns:
            f8[p].
        """
        share = np.zeros(len(row))
        group = self.group[entity]
        order = np.argsort(group, kind="stable")
        for pairs in np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if len(order) else ():
            share[pairs] = self._of_group(int(group[pairs[0]]), weight, row[pairs], entity[pairs])
        return share

    def _of_group(
        self, group: int, weight: NDArray[np.float64], row: NDArray[np.int64], entity: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        rows, columns = self.grids.axes(group)
        # The maps of an image stand together, and so do its entities.
        first_map, first = row.min(), entity.min()
        maps, offset = weight[first_map : row.max() + 1], self.offset[first : entity.max() + 2]
        tied = tied_parts(maps.reshape(-1, *self.grids.shape[group].tolist()), rows, columns)
        tied = tied.reshape(len(maps), -1).astype(np.float64)
        x1, y1, x2, y2 = self.box[offset[0] : offset[-1]].T
        down, across = (part.astype(np.float64) for part in (rows.inside(y1, y2), columns.inside(x1, x2)))
        # A product for each entity, since masks have hundreds of boxes.
        bound = (offset - offset[0]).tolist()
        inside = [down[a:b].T @ across[a:b] for a, b in itertools.pairwise(bound)]
        hit = tied @ np.reshape(inside, (len(inside), -1)).T
        largest = tied @ np.multiply.outer(rows.size, columns.size).ravel().astype(np.float64)
        return np.asarray(hit[row - first_map, entity - first] / largest[row - first_map], np.float64)
