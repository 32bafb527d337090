"""The largest pixels of many enlarged maps, of which a few around the largest cells are made.

Definition: `top_boxes` are the pixels of the parts that `tied_parts` marks, map by map.

A pixel is no larger than the largest of the four cells around it. The pixels next to the middle of a map's largest cell
are therefore made first, and then those around the cells that are as large as the best of them: mostly this one cell,
and on even maps all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, offsets_of
from attneval.arrays.records import record
from attneval.geometry.pixel_boxes import PixelBoxes
from attneval.geometry.top_pixels import ROUNDING, with_stretches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.geometry.top_pixels import GridOnImage

WIDEST = 4
"""Cells along each side of the part of a map that may be looked at; other maps are left to the definition."""


@record
class Sides:
    """One side of each of k images, in pixels, and the cells of their maps along it.

    Attributes:
        cells: i8[k], how many cells there are.
        scale: f8[k], the length of a cell.
        shift: f8[k], where the first one starts.
        pixels: i8[k], how many pixels there are.
    """

    cells: NDArray[np.int64]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    pixels: NDArray[np.int64]

    def of(self, chosen: NDArray[np.int64]) -> Sides:
        """Choose some images, i8[c]."""
        return Sides(self.cells[chosen], self.scale[chosen], self.shift[chosen], self.pixels[chosen])

    def beside(self, cell: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pixels before and after the middles of cells i8[k, c], within the image: i8[k, c] each."""
        middle = (cell + 0.5) * self.scale[:, None] + self.shift[:, None] - 0.5
        last = self.pixels[:, None] - 1
        before, after = (np.clip(edge(middle).astype(np.int64), 0, last) for edge in (np.floor, np.ceil))
        return before, after

    def around(self, first: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """The steps of `PixelAxis` around some cells, ascending, some of them twice: i8[k, 2 * count + 2].

        Args:
            first: i8[k], the first cell.
            count: How many cells, beyond the last of which there are no more.
        """
        cell = first[:, None] + np.arange(-1, count + 1)
        before, after = self.beside(np.minimum(cell, self.cells[:, None] - 1))
        # Beyond the outermost cells there is the border.
        start = np.where(first == 0, 0, after[:, 0])
        stop = np.where(first + count >= self.cells, self.pixels - 1, before[:, -1])
        steps = np.concatenate((start[:, None], before[:, 1:-1], after[:, 1:-1], stop[:, None]), axis=1)
        return np.sort(steps, axis=1)

    def taps(self, pixel: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The two cells that pixels i8[k, s] lie between, i8[k, s] each, and the share f8[k, s] of the second."""
        last = self.cells[:, None] - 1
        place = np.clip((pixel + 0.5 - self.shift[:, None]) / self.scale[:, None] - 0.5, 0, last)
        low = np.floor(place).astype(np.int64)
        return low, np.minimum(low + 1, last), place - low


@record
class Maps:
    """The maps of k images.

    Attributes:
        weight: f8[m, n], rows of keys.
        row: i8[k], the row of each map.
        down: Their rows of cells.
        across: Their columns of cells.
    """

    weight: NDArray[np.float64]
    row: NDArray[np.int64]
    down: Sides
    across: Sides

    def of(self, chosen: NDArray[np.int64]) -> Maps:
        """Choose some images, i8[c]."""
        return Maps(self.weight, self.row[chosen], self.down.of(chosen), self.across.of(chosen))

    def pixels(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Enlarge to pixels f8[k, s, t] at rows i8[k, s] and columns i8[k, t]."""
        above, below, down = self.down.taps(rows)
        left, right, across = self.across.taps(columns)
        first, width, share = self.row[:, None] * self.weight.shape[1], self.across.cells[:, None], across[:, None]
        lines = []
        for row in (above, below):
            start = (first + row * width)[:, :, None]
            one, other = (self.weight.take(start + column[:, None]) for column in (left, right))
            lines.append(one * (1 - share) + other * share)
        return np.asarray(lines[0] * (1 - down[:, :, None]) + lines[1] * down[:, :, None], np.float64)

    def places(self, cell: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row and column i8[k, 2] of a cell i8[k] of each map."""
        return np.stack(np.divmod(cell, self.across.cells), axis=1)


def top_boxes(
    weight: NDArray[np.float64], row: NDArray[np.int64], grids: GridOnImage
) -> tuple[PixelBoxes, NDArray[np.bool_]]:
    """Find the largest pixels of maps that few cells can hold, and of even maps.

    Args:
        weight: f8[m, n], maps as rows of keys.
        row: i8[k], the row of each map.
        grids: The grid of each of the k maps.

    Returns:
        The pixels of each map, and b[k], for which of them they are known; others have no boxes.
    """
    (width, height), (sx, sy, tx, ty) = grids.size.T, grids.affine.T
    every = Maps(weight, row, Sides(grids.shape[:, 0], sy, ty, height), Sides(grids.shape[:, 1], sx, tx, width))
    even = (weight.max(axis=1) == weight.min(axis=1))[row]
    size = grids.size[even]
    known, owners, boxes = even.copy(), [np.flatnonzero(even)], [np.concatenate((np.zeros_like(size), size), axis=1)]
    # Steps ascend where there are no more cells than pixels.
    uneven = np.flatnonzero(~even & (sx >= 1) & (sy >= 1))
    corner, extent = _candidates(every.of(uneven))
    for count in distinct_values(extent[extent <= WIDEST]).tolist():
        chosen = extent == count
        some = uneven[chosen]
        owner, box = _largest_around(every.of(some), corner[chosen], count)
        known[some] = True
        owners.append(some[owner])
        boxes.append(box)
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return PixelBoxes(np.concatenate(boxes)[order], offsets_of(np.bincount(owner, minlength=len(row)))), known


def _candidates(maps: Maps) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the cells around which the largest pixels of maps are.

    Returns:
        i8[k, 2], the first row and column of such cells, and i8[k], how many rows or columns they extend over.
    """
    if not len(maps.row):
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    largest = maps.places(maps.weight.argmax(axis=1)[maps.row])
    sides = zip((maps.down, maps.across), largest.T, strict=True)
    best = maps.pixels(*(np.concatenate(side.beside(cell[:, None]), axis=1) for side, cell in sides)).max(axis=(1, 2))
    candidate = maps.weight[maps.row] >= _nearly(best)[:, None]
    count = np.count_nonzero(candidate, axis=1)
    owner, cell = np.divmod(np.flatnonzero(candidate), maps.weight.shape[1])
    place = maps.of(owner).places(cell)
    several = np.flatnonzero(((count > 1) & (count <= WIDEST**2))[owner])
    kept = np.ones(len(owner), np.bool_)
    kept[several] = _reaching(maps, owner[several], place[several])
    owner, place = owner[kept], place[kept]
    first = np.searchsorted(owner, np.arange(len(maps.row)))
    corner = np.minimum.reduceat(place, first)
    return corner, (np.maximum.reduceat(place, first) - corner).max(axis=1) + 1


def _reaching(maps: Maps, owner: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark cells around which pixels are as large as around any: b[c] for cells i8[c, 2] of the maps i8[c]."""
    one = maps.of(owner)
    peak = one.pixels(one.down.around(place[:, 0], 1), one.across.around(place[:, 1], 1)).max(axis=(1, 2))
    new = np.diff(owner, prepend=-1) > 0
    best = np.maximum.reduceat(peak, np.flatnonzero(new)) if len(peak) else peak
    return np.asarray(peak >= _nearly(best)[np.cumsum(new) - 1])


def _nearly(pixel: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is as large as pixels, and more than a rounding error to spare."""
    return np.asarray(pixel - 2 * ROUNDING * np.abs(pixel))


def _largest_around(maps: Maps, corner: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The largest pixels around `count` x `count` cells: i8[b], the map of each box of them, and i8[b, 4]."""
    rows, columns = maps.down.around(corner[:, 0], count), maps.across.around(corner[:, 1], count)
    value = maps.pixels(rows, columns)
    peak = value.max(axis=(1, 2), keepdims=True)
    part = with_stretches(value >= peak - ROUNDING * np.abs(peak))
    y, x = _bounds(rows), _bounds(columns)
    part &= (np.diff(y) > 0)[:, :, None] & (np.diff(x) > 0)[:, None]
    owner, i, j = np.nonzero(part)
    return owner, np.stack((x[owner, j], y[owner, i], x[owner, j + 1], y[owner, i + 1]), axis=1)


def _bounds(step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where steps i8[k, s] and the stretches between them begin and end, i8[k, 2s]; repeated ones have no pixels."""
    return np.maximum.accumulate(np.stack((step, step + 1), axis=2).reshape(len(step), -1), axis=1)
