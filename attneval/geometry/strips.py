"""Masks cut into strips: what regions share with them, exactly, without unpacking a pixel.

A run of pixels within one column is a box one pixel wide, so that what a region shares with a mask is a sum over strips
of (shared width) x (shared height). A region may end within a pixel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRS_AT_ONCE = 2**20
"""Strip-region pairs that are worked on together, so that memory stays bounded."""


def run_lengths(mask: NDArray[np.uint8], mask_at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Decompress run lengths.

    Five bits a character from chr(48), low bits first; 32 says that more follow, 16 in the last one is the sign; from
    the fourth run on, a number is the difference to the run two before.

    Args:
        mask: u1[n], the masks' compressed run lengths, one after the other.
        mask_at: i8[M+1], first byte of each mask.

    Returns:
        The runs i8[r], pixels outside first in each mask, and i8[M+1], the first run of each mask.
    """
    code = mask.astype(np.int64) - 48
    last = code & 32 == 0
    start = np.flatnonzero(np.append(True, last[:-1]))[: int(last.sum())]
    place = np.arange(len(code)) - np.repeat(start, np.diff(np.append(start, len(code))))
    value = np.add.reduceat((code & 31) << (5 * place), start) if len(start) else np.zeros(0, np.int64)
    digits = np.diff(np.append(start, len(code)))
    value -= np.where(code[start + digits - 1] & 16, 1 << (5 * digits), 0)
    run_at = np.searchsorted(start, mask_at)
    # Runs that lie two apart form a chain; the first one of a mask stands alone.
    number = np.arange(len(value)) - np.repeat(run_at[:-1], np.diff(run_at))
    owner = np.repeat(np.arange(len(run_at) - 1), np.diff(run_at))
    chain = 3 * owner + np.where(number == 0, 0, 1 + number % 2)
    order = np.argsort(chain, kind="stable")
    total = np.cumsum(value[order])
    first = np.flatnonzero(np.diff(chain[order], prepend=-1))
    before = np.append(0, total)[first]
    runs = np.empty_like(value)
    runs[order] = total - np.repeat(before, np.diff(np.append(first, len(total))))
    return runs, run_at


def mask_areas(mask: NDArray[np.uint8], mask_at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The pixels i8[M] of each mask; arguments as in `run_lengths`."""
    runs, run_at = run_lengths(mask, mask_at)
    inside = (np.arange(len(runs)) - np.repeat(run_at[:-1], np.diff(run_at))) % 2 == 1
    return np.asarray(np.diff(np.append(0, np.cumsum(runs * inside))[run_at]), np.int64)


@record
class Strips:
    """Masks as boxes one pixel wide that do not overlap within a mask.

    Attributes:
        offset: i8[M+1], first strip of each mask.
        column: i8[s], the pixel column of each strip.
        top: i8[s], its first row.
        bottom: i8[s], the row after its last.
    """

    offset: NDArray[np.int64]
    column: NDArray[np.int64]
    top: NDArray[np.int64]
    bottom: NDArray[np.int64]

    @classmethod
    def from_masks(cls, mask: NDArray[np.uint8], mask_at: NDArray[np.int64], height: NDArray[np.int64]) -> Strips:
        """Cut masks into strips.

        Args:
            mask: u1[n], see `run_lengths`.
            mask_at: i8[M+1].
            height: i8[M], of each mask's image.
        """
        runs, run_at = run_lengths(mask, mask_at)
        count = np.diff(run_at)
        owner = np.repeat(np.arange(len(count)), count)
        number = np.arange(len(runs)) - np.repeat(run_at[:-1], count)
        total = np.append(0, np.cumsum(runs))
        first = total[:-1] - np.repeat(total[run_at[:-1]], count)
        kept = (number % 2 == 1) & (runs > 0)
        owner, first, stop = owner[kept], first[kept], (first + runs)[kept]
        tall = height[owner]
        columns = (stop - 1) // tall - first // tall + 1
        column = ranges(first // tall, columns)
        owner, first, stop, tall = (np.repeat(values, columns) for values in (owner, first, stop, tall))
        top = np.maximum(first - column * tall, 0)
        bottom = np.minimum(stop - column * tall, tall)
        return cls(offsets_of(np.bincount(owner, minlength=len(count))), column, top, bottom)

    @classmethod
    def from_mask(cls, counts: bytes, height: int) -> Strips:
        """Cut one mask of an image of so many pixels' height."""
        data = np.frombuffer(counts, np.uint8)
        return cls.from_masks(data, np.array([0, len(data)]), np.array([height]))

    def one(self, row: int) -> Strips:
        """The strips of one mask."""
        part = slice(*self.offset[row : row + 2].tolist())
        column = self.column[part]
        return Strips(np.array([0, len(column)]), column, self.top[part], self.bottom[part])

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """The box x1, y1, x2, y2 that encloses all strips; None if there are none."""
        if not len(self.column):
            return None
        right, bottom = float(self.column.max() + 1), float(self.bottom.max())
        return float(self.column.min()), float(self.top.min()), right, bottom

    @property
    def area(self) -> int:
        """The pixels of all strips."""
        return int((self.bottom - self.top).sum())

    def area_inside(self, region: NDArray[np.float64] | Regions) -> NDArray[np.float64]:
        """The area f8[n] that regions f8[n, 4] share with all strips together, in square pixels."""
        regions = region if isinstance(region, Regions) else Regions.from_boxes(region)
        if regions.is_grid:
            # What cells share is one product of the shares of their rows and of their columns.
            tall = _shared(self.top, self.bottom, regions.rows)
            table = tall @ _shared(self.column, self.column + 1, regions.columns).T
            return np.asarray(table[regions.row, regions.column])
        area = np.zeros(len(regions.box))
        for part in np.array_split(np.arange(len(area)), len(area) * len(self.column) // PAIRS_AT_ONCE + 1):
            wide = _shared(self.column, self.column + 1, regions.box[part][:, [0, 2]])
            area[part] = np.einsum("ns,ns->n", wide, _shared(self.top, self.bottom, regions.box[part][:, [1, 3]]))
        return area

    def holds(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which points f8[n] lie on a pixel of a strip."""
        column, row = np.floor(x)[:, None], np.floor(y)[:, None]
        return np.asarray(((self.column == column) & (self.top <= row) & (row < self.bottom)).any(axis=1))


@record
class Regions:
    """The regions of an image, and the rows and columns that they form.

    Attributes:
        box: f8[n, 4], x1, y1, x2, y2.
        rows: f8[k, 2], the differing intervals y1, y2.
        columns: f8[l, 2], the differing intervals x1, x2.
        row: i8[n], the row of each region.
        column: i8[n], the column of each region.
    """

    box: NDArray[np.float64]
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]

    @classmethod
    def from_boxes(cls, box: NDArray[np.float64]) -> Regions:
        """Find the rows and columns of boxes f8[n, 4]."""
        columns, column = np.unique(box[:, [0, 2]], axis=0, return_inverse=True)
        rows, row = np.unique(box[:, [1, 3]], axis=0, return_inverse=True)
        return cls(np.asarray(box, np.float64), rows, columns, row.ravel(), column.ravel())

    @property
    def is_grid(self) -> bool:
        """Tell whether the rows times the columns are about as many as the regions."""
        return len(self.rows) * len(self.columns) <= 2 * len(self.box)

    @property
    def area(self) -> NDArray[np.float64]:
        """f8[n], in square pixels."""
        return np.asarray((self.box[:, 2] - self.box[:, 0]) * (self.box[:, 3] - self.box[:, 1]))

    @property
    def centre(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The centres' x and y, f8[n] each."""
        return (self.box[:, 0] + self.box[:, 2]) / 2, (self.box[:, 1] + self.box[:, 3]) / 2


def _shared(start: NDArray[np.int64], stop: NDArray[np.int64], edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lengths f8[n, s] that n intervals f8[n, 2] share with s pieces [start, stop)."""
    shared = np.minimum(stop, edge[:, 1, None]) - np.maximum(start, edge[:, 0, None])
    return np.asarray(np.maximum(shared, 0, out=shared))
