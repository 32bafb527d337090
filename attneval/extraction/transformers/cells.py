"""Grids of cells in the views of an image.

The rule of integer cells: the image tokens of a view are rows x columns of cells f x f pixels, f an integer. LLaVA-NeXT
and LLaVA-OneVision put their tiles together to one mosaic first, cut off its padding and end every row with a newline
token, which is no cell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import AttnevalError
from attneval.extraction.transformers.regions import Boxes, Grid, Regions
from attneval.extraction.transformers.views import View, views_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


def cell_side(views: Sequence[View], tokens: int) -> int:
    """Find the side of the cells: an integer, and the same in all views.

    Args:
        views: The views, all of one size.
        tokens: Number of image tokens of all views together.

    Returns:
        The side of a cell in pixels of a view; where no side divides both edges of the view, the pixels that are left
        over lie at the right and at the bottom and are not seen by the model.
    """
    sizes = {(view.height, view.width) for view in views}
    a_view, rest = divmod(tokens, len(views))
    if len(sizes) == 1 and not rest and tokens:
        height, width = sizes.pop()
        sides = [side for side in range(1, min(height, width) + 1) if (height // side) * (width // side) == a_view]
        whole = [side for side in sides if not height % side and not width % side]
        if len(whole or sides) == 1:
            return (whole or sides)[0]
    raise AttnevalError(
        f"no grid of square cells gives {tokens} image tokens in {views_text(views)}",
        hint="tokens that are no cells (newlines, resampled ones) need columns() and regions() in an adapter",
    )


def _lay(view: View, side: int) -> Grid:
    """Lay cells of `side` pixels over a view."""
    sx, sy, tx, ty = view.affine
    return Grid(view.height // side, view.width // side, (sx * side, sy * side, tx, ty))


def grids(views: Sequence[View], side: int) -> Regions:
    """Lay cells of `side` pixels over every view."""
    laid = [_lay(view, side) for view in views]
    return laid[0] if len(laid) == 1 else laid


def mosaic(
    views: Sequence[View], tokens: int, width: int, height: int, most_tiles: int | None
) -> tuple[Regions, npt.NDArray[np.bool_]]:
    """Lay the cells of a whole image and of the mosaic of its tiles.

    Args:
        views: The whole image, then the tiles of a padded canvas row by row; all square and of one size.
        tokens: Number of image tokens, newlines among them; it decides the side of the cells.
        width: Width of the image in pixels.
        height: Its height.
        most_tiles: A mosaic of clearly more cells than this many views is shrunk to them; None if never.

    Returns:
        The cells, and bool[tokens], False at the newlines.

    Raises:
        AttnevalError: no side of the cells gives this number of tokens.
    """
    whole, *tiles = views
    fitting = []
    for side in range(1, min(whole.height, whole.width) + 1):
        layout = _Mosaic(side, whole, tuple(tiles), width / height, most_tiles)
        if len(layout) == tokens:
            fitting.append(layout)
    # Two sides can give the same number of cells; the one that leaves no pixel over is the patch.
    exact = [layout for layout in fitting if not whole.height % layout.side] or fitting
    if len(exact) != 1:
        raise AttnevalError(
            f"{len(exact)} sizes of cells give {tokens} image tokens for a mosaic of {len(tiles)} tiles, "
            f"{views_text(views)}",
            hint="give columns() and regions() in an adapter",
        )
    return exact[0].regions(), exact[0].cells()


class _Mosaic:
    """Cells of side `side` in the whole view and in the mosaic of tiles, with the padding cut off."""

    def __init__(self, side: int, whole: View, tiles: tuple[View, ...], aspect: float, most_tiles: int | None) -> None:
        self.side, self.whole, self.tile = side, whole, tiles[0]
        self.per_view = whole.height // side
        across = len({round(tile.affine[2], 3) for tile in tiles})
        self.rows, self.cols = self.per_view * (len(tiles) // across), self.per_view * across
        # The model cuts in cells what the processor padded in pixels; the rest is within a cell of it.
        self.top = self.left = 0
        if aspect > self.cols / self.rows:
            self.top = (self.rows - int(round(self.cols / aspect, 7))) // 2
        else:
            self.left = (self.cols - int(round(self.rows * aspect, 7))) // 2
        self.full_rows, self.full_cols = self.rows - 2 * self.top, self.cols - 2 * self.left
        self.out_rows, self.out_cols = self.full_rows, self.full_cols
        shrink = math.sqrt(self.full_rows * self.full_cols / (most_tiles * self.per_view**2)) if most_tiles else 0.0
        if shrink > 1.1:
            self.out_rows, self.out_cols = int(self.full_rows // shrink), int(self.full_cols // shrink)

    def __len__(self) -> int:
        return self.per_view**2 + self.out_rows * (self.out_cols + 1)

    def cells(self) -> npt.NDArray[np.bool_]:
        newline = np.ones((self.out_rows, self.out_cols + 1), dtype=bool)
        newline[:, -1] = False
        return np.concatenate([np.ones(self.per_view**2, dtype=bool), newline.reshape(-1)])

    def regions(self) -> Regions:
        first = _lay(self.whole, self.side)
        sx, sy, tx, ty = self.tile.affine
        x1, x2 = self._edges(self.out_cols, self.full_cols, self.left, self.tile.width)
        y1, y2 = self._edges(self.out_rows, self.full_rows, self.top, self.tile.height)
        if self.per_view * self.side == self.tile.width:
            left, top = float(x1[0]), float(y1[0])
            step_x, step_y = (float(x2[-1]) - left) / self.out_cols, (float(y2[-1]) - top) / self.out_rows
            affine = (sx * step_x, sy * step_y, sx * left + tx, sy * top + ty)
            return [first, Grid(self.out_rows, self.out_cols, affine)]
        # Where the side does not divide a tile there are gaps between the tiles' cells, which no grid can say.
        boxes = np.empty((self.out_rows, self.out_cols, 4))
        boxes[..., 0], boxes[..., 2] = sx * x1 + tx, sx * x2 + tx
        boxes[..., 1], boxes[..., 3] = (sy * y1 + ty)[:, None], (sy * y2 + ty)[:, None]
        return Boxes(np.concatenate([first.edges(), boxes.reshape(-1, 4)]).astype(np.float32))

    def _edges(self, out: int, full: int, cut: int, tile: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Compute both edges of the cells along one axis, in pixels of the canvas."""
        place = cut + np.arange(out + 1) * (full / out)
        before = np.floor(place[:-1] / self.per_view)
        after = np.ceil(place[1:] / self.per_view) - 1
        return (
            before * tile + (place[:-1] - before * self.per_view) * self.side,
            after * tile + (place[1:] - after * self.per_view) * self.side,
        )
