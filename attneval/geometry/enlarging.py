"""Enlarging maps from cells to pixels: along each side of an image, how much each cell adds to each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CUBIC = -0.75
"""The parameter of Keys' cubic kernel, as image libraries and torch have it."""


def shares_of_cells(cells: int, scale: float, shift: float, pixels: int, method: str) -> NDArray[np.float64]:
    """Compute how much each cell adds to each pixel along one side of an image.

    A pixel's value is that at its middle, and the weight of a cell that at its own. Beyond the outermost middles the
    map goes on as it is there (`bilinear`), or as if the outermost cells went on (`bicubic`).

    Args:
        cells: How many cells there are.
        scale: The length of a cell, in pixels.
        shift: Where the first one starts, in pixels.
        pixels: How many pixels there are.
        method: `nearest`: the cell that the middle of the pixel lies in; `bilinear`: between the middles of two cells;
            `bicubic`: Keys' kernel over four cells.

    Returns:
        f8[pixels, cells]; each row adds up to 1.
    """
    at = np.arange(pixels)
    place = (at + 0.5 - shift) / scale
    share = np.zeros((pixels, cells))
    if method == "nearest":
        share[at, np.clip(np.floor(place), 0, cells - 1).astype(np.int64)] = 1
        return share
    place -= 0.5
    if method == "bilinear":
        place = np.clip(place, 0, cells - 1)
        low = np.floor(place).astype(np.int64)
        share[at, low] = 1 - (place - low)
        share[at, np.minimum(low + 1, cells - 1)] += place - low
        return share
    low = np.floor(place)
    for step in range(-1, 3):
        cell = np.clip(low + step, 0, cells - 1).astype(np.int64)
        share[at, cell] += _cubic(np.abs(place - low - step))
    return share


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel at distances f8[n] of less than 2, in cells."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = ((distance - 5) * distance + 8) * CUBIC * distance - 4 * CUBIC
    return np.where(distance <= 1, near, far)
