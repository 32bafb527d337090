"""Spatial entropy of very many rows: for each row what `spatial_entropy` gives, in one pass over all of them.

A row of a picture is cut into runs of neighbouring cells above the mean. Runs are few beside cells, and components are
found among them: each run points to the first run that it touches in the row above, which makes trees; where a run
touches several, trees are joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges
from attneval.metrics.rankings import EVEN

if TYPE_CHECKING:
    from numpy.typing import NDArray


def spatial_entropies(weight: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Compute the entropy of the connected components of what is above the mean: equals `spatial_entropy`.

    Args:
        weight: f8[m, n], rows over the cells of a grid, row by row, not negative.
        shape: The rows and columns of the grid, n cells.

    Returns:
        f8[m], in nats; NaN where no cell is above the mean, as in even rows.
    """
    m, n = weight.shape
    largest = weight.max(axis=1)
    above = weight > weight.mean(axis=1, keepdims=True)
    above &= (largest - weight.min(axis=1) > EVEN * largest)[:, None]
    cell = np.flatnonzero(above)
    if not len(cell):
        return np.full(m, np.nan)
    width = shape[1]
    # A cell begins a run if its left neighbour is not above, or is at the end of the row before.
    begins = np.ones(len(cell), np.bool_)
    begins[1:] = (np.diff(cell) > 1) | (cell[1:] % width == 0)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(cell)) - 1
    component = _components(cell[first], cell[last], shape)
    run = np.cumsum(begins) - 1
    mass = np.bincount(component[run], weight.reshape(-1)[cell], len(first))
    row = cell[first] // n
    total = np.bincount(row, mass, m)
    share = mass / total[row]
    part = share * np.log(np.where(share > 0, share, 1.0))
    # No component has a share below 0, and a single one has an entropy of 0, not of -0.
    return np.where(total > 0, np.abs(np.bincount(row, part, m)), np.nan)


def _components(start: NDArray[np.int64], stop: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Find the connected components of runs, 8 neighbours of a cell being next to it.

    Args:
        start: i8[k], the first cell of each run, counted through all pictures, ascending.
        stop: i8[k], the last cell of each.
        shape: Rows and columns of a picture.

    Returns:
        i8[k], the number of a run of the component of each, the same for all runs of a component.
    """
    height, width = shape
    # With a margin beside each row and a row between two pictures nothing touches what it should not.
    step = width + 2
    row = start // width
    shift = (row + row // height) * step + 1 - row * width
    start, stop = start + shift, stop + shift
    low, high = np.searchsorted(stop, start - 1 - step), np.searchsorted(start, stop + 1 - step, side="right")
    touched = np.maximum(high - low, 0)
    root = np.where(touched > 0, low, np.arange(len(start)))
    _shorten(root)
    several = np.flatnonzero(touched > 1)
    one = np.repeat(several, touched[several] - 1)
    other = ranges(low[several] + 1, touched[several] - 1)
    while len(one):
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
        # Roots point to smaller ones alone, so that no circle comes about.
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        _shorten(root)
    return root


def _shorten(root: NDArray[np.int64]) -> None:
    """Let each run point to the end of its chain."""
    while True:
        further = root[root]
        if (further == root).all():
            return
        root[:] = further
