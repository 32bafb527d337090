"""The largest pixels of many enlarged maps, of which a few around the largest cells are made.

Definition: `top_boxes` are the pixels of the parts that `tied_parts` marks, map by map.

A pixel is no larger than the largest of the four cells around it. The pixels next to the middle of a map's largest cell
are therefore made first, and then those around the cells that are as large as the best of them: mostly this one cell,
and on even maps all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.arrays.records import record
from attneval.geometry.top_pixels import ROUNDING, with_stretches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.geometry.top_pixels import GridOnImage

WIDEST = 4
"""Cells along each side of the part of a map that may be looked at; of other maps nothing is told."""
BOXES_AT_ONCE = 2**18
"""Pairs of boxes that are worked on together, so that memory stays bounded."""


@record
class PixelBoxes:
    """Boxes of pixels, no pixel twice in one set.

    Attributes:
        box: i8[b, 4], pixels from x1 and y1 to before x2 and y2.
        offset: i8[s+1], first box of each set.
    """

    box: NDArray[np.int64]
    offset: NDArray[np.int64]

    @property
    def size(self) -> NDArray[np.int64]:
        """The number of boxes of each set, i8[s]."""
        return np.diff(self.offset)

    def shares(
        self, chosen: NDArray[np.int64], other: PixelBoxes, other_chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Compute the share of pixels of sets that are in others, too.

        Args:
            chosen: i8[p], the set of each pair, which has a pixel.
            other: Other boxes.
            other_chosen: i8[p], the other set of each pair.

        Returns:
            f8[p].
        """
        extent = (self.box[:, 2:] - self.box[:, :2]).prod(axis=1)
        pixels = np.diff(np.append(0, np.cumsum(extent))[self.offset])[chosen]
        both, total = np.zeros(len(chosen)), np.cumsum(self.size[chosen] * other.size[other_chosen])
        for pairs in np.split(np.arange(len(chosen)), np.flatnonzero(np.diff(total // BOXES_AT_ONCE)) + 1):
            both[pairs] = self._in_both(chosen[pairs], other, other_chosen[pairs])
        return np.asarray(both / pixels, np.float64)

    def _in_both(
        self, chosen: NDArray[np.int64], other: PixelBoxes, other_chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The number of pixels that are in both sets of each pair, f8[p]."""
        count, other_count = self.size[chosen], other.size[other_chosen]
        mine, pair = ranges(self.offset[chosen], count), np.repeat(np.arange(len(chosen)), count)
        times = other_count[pair]
        a, b = np.repeat(mine, times), ranges(other.offset[other_chosen][pair], times)
        width, height = (
            np.minimum(self.box[:, k + 2].take(a), other.box[:, k + 2].take(b))
            - np.maximum(self.box[:, k].take(a), other.box[:, k].take(b))
            for k in (0, 1)
        )
        pixels = np.maximum(width, 0) * np.maximum(height, 0)
        return np.bincount(np.repeat(pair, times), pixels, len(chosen)).astype(np.float64)


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
        """Choose some images."""
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
    down, across = Sides(grids.shape[:, 0], sy, ty, height), Sides(grids.shape[:, 1], sx, tx, width)
    even = (weight.max(axis=1) == weight.min(axis=1))[row]
    known, maps, boxes = even.copy(), [np.flatnonzero(even)], [_whole(grids.size[even])]
    # Steps ascend where there are no more cells than pixels.
    open_maps = np.flatnonzero(~even & (sx >= 1) & (sy >= 1))
    corner, extent = _candidates(weight, row[open_maps], down.of(open_maps), across.of(open_maps))
    for count in distinct_values(extent[extent <= WIDEST]).tolist():
        chosen = extent == count
        some = open_maps[chosen]
        at, box = _largest_around(weight, row[some], corner[chosen], count, down.of(some), across.of(some))
        known[some] = True
        maps.append(some[at])
        boxes.append(box)
    owner = np.concatenate(maps)
    order = np.argsort(owner, kind="stable")
    return PixelBoxes(np.concatenate(boxes)[order], offsets_of(np.bincount(owner, minlength=len(row)))), known


def _whole(size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Boxes i8[k, 4] of all pixels of images of so many, i8[k, 2]."""
    return np.concatenate((np.zeros_like(size), size), axis=1)


def _candidates(
    weight: NDArray[np.float64], row: NDArray[np.int64], down: Sides, across: Sides
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the cells around which the largest pixels of maps are.

    Returns:
        i8[k, 2], the first row and column of such cells, and i8[k], how many rows or columns they extend over.
    """
    if not len(row):
        return np.zeros((0, 2), np.int64), np.zeros(0, np.int64)
    y, x = np.divmod(weight.argmax(axis=1)[row], across.cells)
    rows, columns = (np.concatenate(side.beside(cell[:, None]), axis=1) for side, cell in ((down, y), (across, x)))
    best = _pixels(weight, row, rows, columns, down, across).max(axis=(1, 2))
    # Rounding makes a pixel larger than its cells at times, and pixels that are nearly as large are as large.
    candidate = weight[row] >= (best - 2 * ROUNDING * np.abs(best))[:, None]
    count = np.count_nonzero(candidate, axis=1)
    owner, cell = np.divmod(np.flatnonzero(candidate), weight.shape[1])
    place = np.stack(np.divmod(cell, across.cells[owner]), axis=1)
    several = np.flatnonzero(((count > 1) & (count <= WIDEST**2))[owner])
    kept = np.ones(len(owner), np.bool_)
    kept[several] = _reaching(weight, row, owner[several], place[several], down, across)
    owner, place = owner[kept], place[kept]
    first = np.searchsorted(owner, np.arange(len(row)))
    corner = np.minimum.reduceat(place, first)
    return corner, (np.maximum.reduceat(place, first) - corner).max(axis=1) + 1


def _reaching(
    weight: NDArray[np.float64],
    row: NDArray[np.int64],
    owner: NDArray[np.int64],
    place: NDArray[np.int64],
    down: Sides,
    across: Sides,
) -> NDArray[np.bool_]:
    """Mark cells around which pixels are as large as around any: b[c] for cells i8[c, 2] of the maps i8[c]."""
    down, across = down.of(owner), across.of(owner)
    rows, columns = down.around(place[:, 0], 1), across.around(place[:, 1], 1)
    peak = _pixels(weight, row[owner], rows, columns, down, across).max(axis=(1, 2))
    new = np.diff(owner, prepend=-1) > 0
    best = np.maximum.reduceat(peak, np.flatnonzero(new)) if len(peak) else peak
    best = best[np.cumsum(new) - 1]
    return np.asarray(peak >= best - 2 * ROUNDING * np.abs(best))


def _largest_around(
    weight: NDArray[np.float64],
    row: NDArray[np.int64],
    corner: NDArray[np.int64],
    count: int,
    down: Sides,
    across: Sides,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The largest pixels around `count` x `count` cells: i8[b], the map of each box of them, and i8[b, 4]."""
    rows, columns = down.around(corner[:, 0], count), across.around(corner[:, 1], count)
    value = _pixels(weight, row, rows, columns, down, across)
    peak = value.max(axis=(1, 2), keepdims=True)
    part = with_stretches(value >= peak - ROUNDING * np.abs(peak))
    y, x = _bounds(rows), _bounds(columns)
    part &= (np.diff(y) > 0)[:, :, None] & (np.diff(x) > 0)[:, None]
    at, i, j = np.nonzero(part)
    return at, np.stack((x[at, j], y[at, i], x[at, j + 1], y[at, i + 1]), axis=1)


def _bounds(step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where steps i8[k, s] and the stretches between them begin and end, i8[k, 2s]; repeated ones have no pixels."""
    return np.maximum.accumulate(np.stack((step, step + 1), axis=2).reshape(len(step), -1), axis=1)


def _pixels(
    weight: NDArray[np.float64],
    row: NDArray[np.int64],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    down: Sides,
    across: Sides,
) -> NDArray[np.float64]:
    """Pixels of enlarged maps, f8[k, s, t], at rows i8[k, s] and columns i8[k, t]."""
    above, below, lower = down.taps(rows)
    left, right, righter = across.taps(columns)
    flat, start, width = weight.ravel(), row[:, None] * weight.shape[1], across.cells[:, None]

    def line(cell: NDArray[np.int64]) -> NDArray[np.float64]:
        at = (start + cell * width)[:, :, None]
        share = righter[:, None]
        return flat.take(at + left[:, None]) * (1 - share) + flat.take(at + right[:, None]) * share

    share = lower[:, :, None]
    return np.asarray(line(above) * (1 - share) + line(below) * share)
