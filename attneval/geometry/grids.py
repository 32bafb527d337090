"""Grids of cells over images, as boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cell_boxes(
    shape: NDArray[np.int64], affine: NDArray[np.float64] | None, size: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Lay out the cells of some images' grids, row by row, one image after the other.

    Args:
        shape: i8[k, 2], rows and columns of each grid.
        affine: f8[k, 4], (sx, sy, tx, ty): a cell's x edge is `sx * column + tx`, its y edge `sy * row + ty`; None for
            grids that cover their whole images.
        size: i8[k, 2], pixels, widths and heights. Cells are clipped to them, so that a cell of padding has no area.

    Returns:
        f8[sum of rows x columns, 4], pixels, x1, y1, x2, y2.
    """
    if affine is None:
        affine = np.concatenate((size / shape[:, ::-1], np.zeros_like(size, np.float64)), axis=1)
    count = shape.prod(axis=1)
    image = np.repeat(np.arange(len(shape)), count)
    cell = np.arange(len(image)) - np.repeat(offsets_of(count)[:-1], count)
    corner = np.stack((cell % shape[image, 1], cell // shape[image, 1]), axis=1)
    scale, shift = affine[image, :2], affine[image, 2:]
    box = np.concatenate((corner * scale + shift, (corner + 1) * scale + shift), axis=1)
    limit = np.tile(size, 2)[image].astype(np.float64)
    return np.clip(box, 0, limit, out=box)


def cell_offset(shape: NDArray[np.integer]) -> NDArray[np.int64]:
    """First cell of each of i[I, 2] grids among the cells of all, and their number: i8[I+1]."""
    return offsets_of(np.asarray(shape, np.int64).prod(axis=1))


def orientations(rows: int, columns: int) -> dict[str, NDArray[np.int64]]:
    """Orders in which the cells of a grid may be stored by mistake.

    Args:
        rows: Of the grid.
        columns: Of the grid.

    Returns:
        By name i8[rows * columns]: for each cell, row by row, where its weight stands if they were stored so.
    """
    cell = np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)
    return {
        # Stored column by column: the cell in row r and column c stands at c * rows + r.
        "transposed": np.arange(rows * columns, dtype=np.int64).reshape(columns, rows).T.ravel(),
        "flipped left to right": cell[:, ::-1].ravel(),
        "flipped upside down": cell[::-1].ravel(),
    }
