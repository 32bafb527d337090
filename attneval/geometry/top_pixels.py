"""The largest pixels of maps that are enlarged bilinearly from grids to images, without enlarging them.

Between the centres of four neighbouring cells an enlarged map is bilinear, and beyond the outermost centres it goes on
as it is there. On the pixels of such a patch it is therefore largest at a corner, and elsewhere only where all corners
around are as large. Looking at the pixels next to centres and at the borders of the image is enough.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    return with_stretches(value >= peak - ROUNDING * np.abs(peak))


def with_stretches(step: NDArray[np.bool_]) -> NDArray[np.bool_]:
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

    def of(self, group: NDArray[np.int64]) -> GridOnImage:
        """The places of the keys of some groups, i8[k]."""
        return GridOnImage(self.shape[group], self.affine[group], self.size[group])

    def axes(self, group: int) -> tuple[PixelAxis, PixelAxis]:
        """The rows and the columns of pixels of a map's image."""
        (height, width), (sx, sy, tx, ty) = self.shape[group].tolist(), self.affine[group].tolist()
        across, down = self.size[group].tolist()
        return _axis(height, sy, ty, down), _axis(width, sx, tx, across)


@functools.lru_cache(maxsize=1024)
def _axis(cells: int, scale: float, shift: float, pixels: int) -> PixelAxis:
    """The steps of a side, which many images share."""
    return PixelAxis.along(cells, scale, shift, pixels)
