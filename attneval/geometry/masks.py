"""Masks: outlines made pixels by pycocotools' rule, and their exact overlap with boxes and cells.

A mask is kept as run lengths down the columns of its image, compressed as COCO compresses them. For overlap it is cut
into strips: a run within one column is a box one pixel wide, so that what a region shares with a mask is a sum over
strips of (shared width) x (shared height). No pixel is ever unpacked, and a region may end within a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Size = tuple[int, int]
    """Width and height of an image, in pixels."""

FARTHEST = 10.0
"""How far a polygon may reach beyond its image, in widths and heights of that; pycocotools would count in 32 bits."""
PAIRS_AT_ONCE = 2**20
"""Strip-region pairs that are worked on together, so that memory stays bounded."""


# ---------------------------------------------------------------- from outlines to run lengths


def from_polygons(polygons: Sequence[Sequence[float]], size: Size) -> bytes:
    """Rasterise the union of some polygons.

    Args:
        polygons: Each x0, y0, x1, y1, ... in pixels, at least three corners.
        size: Of the image.

    Raises:
        ValueError: A polygon has too few corners, half a corner, or lies far outside the image.
    """
    from pycocotools import mask

    width, height = size
    for polygon in polygons:
        corners = np.asarray(polygon, np.float64)
        if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2:
            raise ValueError(f"a polygon of {corners.size} numbers is not x and y of three corners or more")
        limit = np.tile([FARTHEST * width, FARTHEST * height], len(corners) // 2)
        if not np.isfinite(corners).all() or (np.abs(corners) > limit).any():
            raise ValueError("a polygon lies far outside its image")
    if not polygons:
        return from_runs([width * height], size)
    return _counts(mask.merge(mask.frPyObjects([list(map(float, polygon)) for polygon in polygons], height, width)))


def from_runs(runs: Sequence[int], size: Size) -> bytes:
    """Compress run lengths: down the columns, pixels outside first.

    Raises:
        ValueError: They do not add up to the image, or one is negative.
    """
    from pycocotools import mask

    width, height = size
    if min(runs, default=-1) < 0 or sum(runs) != width * height:
        raise ValueError(f"run lengths do not add up to an image of {width} x {height}")
    return _counts(mask.frPyObjects({"size": [height, width], "counts": list(runs)}, height, width))


def from_compressed(counts: bytes, size: Size) -> bytes:
    """Check compressed run lengths.

    Raises:
        ValueError: They are damaged, or do not add up to the image.
    """
    code = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if not len(code) or ((code < 0) | (code > 63)).any() or code[-1] & 32:
        raise ValueError("compressed run lengths are damaged")
    if np.diff(np.flatnonzero(code & 32 == 0), prepend=-1).max() > 7:
        raise ValueError("compressed run lengths hold a number of too many digits")
    runs, _ = run_lengths(np.frombuffer(counts, np.uint8), np.array([0, len(counts)]))
    if (runs < 0).any() or runs.sum() != size[0] * size[1]:
        raise ValueError(f"run lengths do not add up to an image of {size[0]} x {size[1]}")
    return counts


def from_pixels(pixels: NDArray[np.bool_]) -> bytes:
    """Compress a mask bool[height, width]."""
    from pycocotools import mask

    return _counts(mask.encode(np.asfortranarray(pixels, np.uint8)))


def union(masks: Sequence[bytes], size: Size) -> bytes:
    """The union of some masks of one image, each pixel once."""
    from pycocotools import mask

    if len(masks) == 1:
        return masks[0]
    return _counts(mask.merge([{"size": [size[1], size[0]], "counts": counts} for counts in masks]))


def _counts(encoded: dict[str, Any]) -> bytes:
    counts: bytes = encoded["counts"]
    return counts


def bounds(counts: bytes, size: Size) -> tuple[float, float, float, float] | None:
    """The box x1, y1, x2, y2 that encloses the pixels of a mask; None if it has none."""
    data = np.frombuffer(counts, np.uint8)
    return _bounds(Strips.from_masks(data, np.array([0, len(data)]), np.array([size[1]])))


# ---------------------------------------------------------------- from run lengths to numbers


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


@dataclass(frozen=True, eq=False)
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

    def one(self, row: int) -> Strips:
        """The strips of one mask."""
        part = slice(*self.offset[row : row + 2].tolist())
        column = self.column[part]
        return Strips(np.array([0, len(column)]), column, self.top[part], self.bottom[part])

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


@dataclass(frozen=True, eq=False)
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


# ---------------------------------------------------------------- overlap of entities with regions


@dataclass(frozen=True, eq=False)
class MaskOverlap:
    """How much of each region of its image an entity's masks cover.

    Attributes:
        offset: i8[E+1], first region of each entity's image in the columns below; empty for entities without a mask.
        share: f8[p], the part of the region's area that lies inside the union of the masks, a pixel counted once.
        value: f8[p], the overlap by the rule that was asked for; 0 or 1 for `center`.
    """

    offset: NDArray[np.int64]
    share: NDArray[np.float64]
    value: NDArray[np.float64]


def overlap_with_masks(
    mask: NDArray[np.uint8],
    mask_at: NDArray[np.int64],
    mask_offset: NDArray[np.int64],
    *,
    image: NDArray[np.int64],
    image_size: NDArray[np.int64],
    region: NDArray[np.float64],
    region_offset: NDArray[np.int64],
    overlap: str = "iof",
    boxes: str = "any",
) -> MaskOverlap:
    """Measure the overlap of entities with the regions of their image.

    Args:
        mask: u1[n], compressed run lengths.
        mask_at: i8[M+1], first byte of each mask.
        mask_offset: i8[E+1], first mask of each entity.
        image: i8[E], each entity's image.
        image_size: i8[I, 2], width and height.
        region: f8[R, 4], regions, each with an area; edges in pixels.
        region_offset: i8[I+1], first region of each image.
        overlap: `iof`: inside over the region's area; `iou`: over the union with the mask; `center`: the pixel under
            the region's centre is inside.
        boxes: `any`: the best of the entity's masks; `union`: their union; `merged`: the box that encloses them.
    """
    entities = len(mask_offset) - 1
    several = np.diff(mask_offset) > 1
    joined, joined_at, joined_of = _unions(mask, mask_at, mask_offset, image_size[image])
    height = image_size[image][:, 1]
    whole = Strips.from_masks(joined, joined_at, height[joined_of])
    single = None
    if boxes == "any" and several.any():
        single = Strips.from_masks(mask, mask_at, np.repeat(height, np.diff(mask_offset)))
    count = np.where(np.diff(mask_offset) > 0, np.diff(region_offset)[image], 0)
    offset = offsets_of(count)
    share, value = np.zeros(offset[-1]), np.zeros(offset[-1])
    row_of = np.full(entities, -1, np.int64)
    row_of[joined_of] = np.arange(len(joined_of))
    regions_of: dict[int, Regions] = {}
    for entity in joined_of.tolist():
        here = slice(*offset[entity : entity + 2].tolist())
        place = int(image[entity])
        if place not in regions_of:
            regions_of[place] = Regions.from_boxes(region[slice(*region_offset[place : place + 2].tolist())])
        regions, strips = regions_of[place], whole.one(int(row_of[entity]))
        inside = strips.area_inside(regions)
        share[here] = inside / regions.area
        if single is not None and several[entity]:
            parts = [single.one(row) for row in range(*mask_offset[entity : entity + 2].tolist())]
            value[here] = np.max([_value(part, part.area_inside(regions), regions, overlap) for part in parts], axis=0)
        elif boxes == "merged":
            value[here] = _box_value(_bounds(strips), regions, overlap)
        else:
            value[here] = _value(strips, inside, regions, overlap)
    return MaskOverlap(offset, share, value)


def _unions(
    mask: NDArray[np.uint8], mask_at: NDArray[np.int64], mask_offset: NDArray[np.int64], size: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The union of each entity's masks: run lengths, first byte of each, and i8[k], the entities that have any."""
    count = np.diff(mask_offset)
    having = np.flatnonzero(count)
    if (count <= 1).all():
        return mask, mask_at, having
    data, at = mask.tobytes(), mask_at.tolist()
    joined = [
        union(
            [data[at[row] : at[row + 1]] for row in range(*mask_offset[entity : entity + 2].tolist())],
            tuple(size[entity].tolist()),
        )
        for entity in having.tolist()
    ]
    return np.frombuffer(b"".join(joined), np.uint8), offsets_of(map(len, joined)), having


def _value(strips: Strips, inside: NDArray[np.float64], regions: Regions, overlap: str) -> NDArray[np.float64]:
    """The overlap of one mask with regions, of which `inside` is the shared area."""
    if overlap == "center":
        return np.asarray(strips.holds(*regions.centre), np.float64)
    if overlap == "iof":
        return np.asarray(inside / regions.area)
    return np.asarray(inside / (regions.area + (strips.bottom - strips.top).sum() - inside))


def _bounds(strips: Strips) -> tuple[float, float, float, float] | None:
    """The box that encloses strips; None if there are none."""
    if not len(strips.column):
        return None
    column = strips.column
    return float(column.min()), float(strips.top.min()), float(column.max() + 1), float(strips.bottom.max())


def _box_value(box: tuple[float, float, float, float] | None, regions: Regions, overlap: str) -> NDArray[np.float64]:
    """The overlap of a box with regions, as it is for boxes of annotations."""
    if box is None:
        return np.zeros(len(regions.box))
    x1, y1, x2, y2 = box
    if overlap == "center":
        x, y = regions.centre
        return np.asarray((x1 <= x) & (x <= x2) & (y1 <= y) & (y <= y2), np.float64)
    wide = np.minimum(regions.box[:, 2], x2) - np.maximum(regions.box[:, 0], x1)
    tall = np.minimum(regions.box[:, 3], y2) - np.maximum(regions.box[:, 1], y1)
    inside = np.maximum(wide, 0) * np.maximum(tall, 0)
    whole = regions.area if overlap == "iof" else regions.area + (x2 - x1) * (y2 - y1) - inside
    return np.asarray(inside / whole)
