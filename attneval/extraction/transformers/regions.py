"""The cells of an image in pixels of the original: a grid, boxes, or several grids one after the other.

The order of the regions is the order of the model's image tokens. Nothing here needs torch or transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attneval.errors import AttnevalError

FloatArray: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Cells of a rectangular grid, row by row.

    Attributes:
        rows: Number of rows.
        cols: Number of columns.
        affine: (sx, sy, tx, ty) in pixels of the original image: a cell's left edge is `sx * col + tx` and its upper
            edge `sy * row + ty`. Cells may lie partly or wholly outside the image (padding).
    """

    rows: int
    cols: int
    affine: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        sx, sy, *_ = self.affine
        if self.rows < 1 or self.cols < 1:
            raise AttnevalError(f"a grid needs at least one row and one column, got {self.rows} x {self.cols}")
        if not all(np.isfinite(self.affine)) or sx <= 0 or sy <= 0:
            raise AttnevalError(f"cells need a finite place and a positive size, got the affine {self.affine}")

    def __len__(self) -> int:
        return self.rows * self.cols

    @classmethod
    def covering(cls, width: int, height: int, rows: int, cols: int) -> Grid:
        """Lay `rows` x `cols` cells over a whole image of `width` x `height` pixels."""
        return cls(rows, cols, (width / cols, height / rows, 0.0, 0.0))

    def edges(self) -> npt.NDArray[np.float64]:
        """Compute the cells' edges, outside the image too.

        Returns:
            float64[rows * cols, 4], x1 y1 x2 y2 in pixels of the original image.
        """
        sx, sy, tx, ty = self.affine
        x = sx * np.arange(self.cols + 1) + tx
        y = sy * np.arange(self.rows + 1) + ty
        boxes = np.empty((self.rows, self.cols, 4))
        boxes[..., 0], boxes[..., 2] = x[:-1], x[1:]
        boxes[..., 1], boxes[..., 3] = y[:-1, None], y[1:, None]
        return boxes.reshape(-1, 4)


@dataclass(frozen=True)
class Boxes:
    """Regions that form no grid.

    Attributes:
        array: float32[R, 4], x1 y1 x2 y2 in pixels of the original image; zero area marks a region that never counts.
    """

    array: FloatArray

    def __post_init__(self) -> None:
        array = np.asarray(self.array, dtype=np.float32)
        if array.ndim != 2 or array.shape[1] != 4:
            raise AttnevalError(f"boxes are an array of shape (regions, 4), got {array.shape}")
        if not np.isfinite(array).all():
            raise AttnevalError("boxes hold a number that is not finite")
        object.__setattr__(self, "array", array)

    def __len__(self) -> int:
        return len(self.array)

    def edges(self) -> npt.NDArray[np.float64]:
        """Return the boxes as float64[R, 4]."""
        return self.array.astype(np.float64)


Regions: TypeAlias = Grid | Boxes | Sequence[Grid]
"""All cells of one image; a sequence of grids is tiles (or crops, thumbnails) in the order of the image tokens."""


def grids_of(regions: Grid | Sequence[Grid]) -> tuple[Grid, ...]:
    """Return one grid or several as a tuple of grids."""
    return (regions,) if isinstance(regions, Grid) else tuple(regions)


def count(regions: Regions) -> int:
    """Count the regions of an image."""
    return len(regions) if isinstance(regions, Grid | Boxes) else sum(len(grid) for grid in regions)


def edges(regions: Regions) -> npt.NDArray[np.float64]:
    """Compute every cell's edges, outside the image too.

    Returns:
        float64[R, 4], x1 y1 x2 y2 in pixels of the original image, in the order of the image tokens.
    """
    if isinstance(regions, Grid | Boxes):
        return regions.edges()
    if not regions:
        raise AttnevalError("an image needs at least one grid of cells, got none")
    return np.concatenate([grid.edges() for grid in regions])


def boxes(regions: Regions, width: int, height: int) -> FloatArray:
    """Compute the boxes of all cells, clipped to the image.

    Args:
        regions: The cells of one image.
        width: Width of the original image in pixels.
        height: Its height.

    Returns:
        float32[R, 4], x1 y1 x2 y2, in the order of the image tokens; cells outside the image have zero area.
    """
    # float32 of the clipped edges: no rounding may put a box beyond the image.
    limit = np.array([width, height, width, height], dtype=np.float64)
    clipped: FloatArray = np.clip(edges(regions), 0.0, limit).astype(np.float32)
    return clipped


def single_grid(regions: Regions) -> Grid | None:
    """Return the one grid that the cells form, or None where they need boxes."""
    if isinstance(regions, Grid):
        return regions
    if isinstance(regions, Boxes) or len(regions) != 1:
        return None
    return regions[0]
