"""Geometries that are wrong in the ways in which exporters go wrong; the files they make are valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.extraction.transformers.regions import Boxes, Grid, Regions, edges

if TYPE_CHECKING:
    import numpy.typing as npt


def wrong_geometries(right: Regions, width: int, height: int) -> dict[str, Boxes]:
    """The mistakes that can be made with a geometry, each as as many boxes as there are cells."""
    cells = edges(right)
    wrong = {"one cell off": np.roll(cells, 1, axis=0)}
    if isinstance(right, Boxes):
        return {name: boxes(array) for name, array in wrong.items()}
    grids = [right] if isinstance(right, Grid) else list(right)
    wrong["row off by one"] = np.concatenate([np.roll(grid.edges(), grid.cols, axis=0) for grid in grids])
    wrong["transposed grid"] = np.concatenate([transposed(grid) for grid in grids])
    whole = Grid.covering(width, height, grids[0].rows, grids[0].cols)
    if len(grids) == 1:
        if np.abs(np.array(whole.affine) - np.array(grids[0].affine)).max() > 1:
            wrong["forgotten crop"] = whole.edges()
        # Of four columns half of the cells stay where they are.
        if not grids[0].rows % 2 and not grids[0].cols % 2 and grids[0].cols >= 8:
            wrong["2 x 2 block order"] = blocks(grids[0])
    elif len(grids) == 2:
        wrong["mosaic first"] = np.concatenate([grid.edges() for grid in reversed(grids)])
    else:
        *tiles, thumbnail = [grid.edges() for grid in grids]
        wrong["thumbnail first"] = np.concatenate([thumbnail, *tiles])
        across = len({round(grid.affine[2], 2) for grid in grids[:-1]})
        down = len(tiles) // across
        order = [row * across + col for col in range(across) for row in range(down)]
        wrong["tile order"] = np.concatenate([*(tiles[tile] for tile in order), thumbnail])
    return {name: boxes(array) for name, array in wrong.items()}


def boxes(array: npt.NDArray[np.float64]) -> Boxes:
    return Boxes(array.astype(np.float32))


def transposed(grid: Grid) -> npt.NDArray[np.float64]:
    """The grid read column by column."""
    turned: npt.NDArray[np.float64] = grid.edges().reshape(grid.rows, grid.cols, 4).transpose(1, 0, 2).reshape(-1, 4)
    return turned


def blocks(grid: Grid) -> npt.NDArray[np.float64]:
    """The grid read in blocks of 2 x 2, as Qwen's patches are before they are merged."""
    parts = grid.edges().reshape(grid.rows // 2, 2, grid.cols // 2, 2, 4)
    ordered: npt.NDArray[np.float64] = parts.transpose(0, 2, 1, 3, 4).reshape(-1, 4)
    return ordered
