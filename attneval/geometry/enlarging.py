"""Enlarging maps from cells to pixels: along each side of an image, how much each cell adds to each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

CUBIC = -0.75
"""The parameter of Keys' cubic kernel, as image libraries and torch have it."""


@record
class Taps:
    """The cells that each pixel along one side of an image takes something from.

    Attributes:
        cell: i8[k, pixels], the k cells that each pixel takes something from.
        share: f8[k, pixels], how much; each pixel's add up to 1.
    """

    cell: NDArray[np.int64]
    share: NDArray[np.float64]

    @classmethod
    def along(cls, cells: int, scale: float, shift: float, pixels: int, method: str) -> Taps:
        """Find the cells of each pixel.

        A pixel's value is that at its middle, and the weight of a cell that at its own. Beyond the outermost middles
        the map goes on as it is there (`bilinear`), or as if the outermost cells went on (`bicubic`).

        Args:
            cells: How many cells there are.
            scale: The length of a cell, in pixels.
            shift: Where the first one starts, in pixels.
            pixels: How many pixels there are.
            method: `nearest`: the cell that the middle of the pixel lies in; `bilinear`: between the middles of two
                cells; `bicubic`: Keys' kernel over four cells.
        """
        place = (np.arange(pixels) + 0.5 - shift) / scale
        if method == "nearest":
            return cls(np.clip(np.floor(place), 0, cells - 1).astype(np.int64)[None], np.ones((1, pixels)))
        place -= 0.5
        low = np.floor(place)
        steps = np.array([0, 1]) if method == "bilinear" else np.arange(-1, 3)
        kernel = _linear if method == "bilinear" else _cubic
        share = np.array([kernel(np.abs(place - low - step)) for step in steps])
        return cls(np.clip(low + steps[:, None], 0, cells - 1).astype(np.int64), share)

    def enlarge(self, values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        """Enlarge values f8[..., cells, ...] along an axis, to as many as there are pixels."""
        shape = [1] * values.ndim
        shape[axis] = -1
        enlarged: NDArray[np.float64] = values.take(self.cell[0], axis=axis) * self.share[0].reshape(shape)
        for cell, share in zip(self.cell[1:], self.share[1:], strict=True):
            enlarged += values.take(cell, axis=axis) * share.reshape(shape)
        return enlarged

    def between(self, start: NDArray[np.int64], stop: NDArray[np.int64], cells: int) -> NDArray[np.float64]:
        """Sum shares over the pixels from `start` to before `stop`, i8[b] each: f8[b, cells]."""
        pixels = self.cell.shape[1]
        total = np.zeros((pixels + 1, cells))
        for cell, share in zip(self.cell, self.share, strict=True):
            total[np.arange(pixels) + 1, cell] += share
        total = np.cumsum(total, axis=0)
        start = np.clip(start, 0, pixels)
        return np.asarray(total[np.maximum(np.clip(stop, 0, pixels), start)] - total[start])


def _linear(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The linear kernel at distances f8[n] of at most 1, in cells."""
    return 1 - distance


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel at distances f8[n] of less than 2, in cells."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * CUBIC * distance - 4 * CUBIC
    return np.where(distance <= 1, near, far)
