"""Images on their way into an export: what the reader would refuse about them is refused here."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.errors import ExportError
from attneval.export.write.numbers import id_texts, numbers
from attneval.export.write.texts import Text
from attneval.geometry.grids import cell_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# What is kept of each image: its type and its shape, R standing for any length.
_COLUMNS: dict[str, tuple[Any, tuple[int | str, ...]]] = {
    "size": (np.int32, (2,)),
    "boxes": (np.float32, ("R", 4)),
    "grid": (np.int32, (2,)),
    "affine": (np.float32, (4,)),
}
_MEMBERS = {"size": "image_size", "boxes": "region_box", "grid": "grid_shape", "affine": "grid_affine"}


class Images:
    """The images of an export that is being written.

    Args:
        path: The file, for messages.

    Attributes:
        row_of: The row of each image, by id.
    """

    def __init__(self, path: Path) -> None:
        self.row_of: dict[str, int] = {}
        self._path = path
        self._blocks: dict[str, list[NDArray[Any]]] = {}
        self._regions, self._first, self._grid = array("q"), array("q"), array("q")
        # One byte for each region: whether it has an area.
        self._real = bytearray()

    def add(self, image_ids: Sequence[str | int], **given: Any) -> None:
        """Add B images, of which some of `size`, `boxes`, `grid` and `affine` are given; see `ExportWriter`.

        Raises:
            ExportError: An image is there already, is described otherwise than those before it, or is no image; then
                none of them is added.
        """
        image_ids = id_texts(image_ids)
        count = len(image_ids)
        if not count:
            return

        def called(row: int) -> str:
            return f"{self._path}: image {image_ids[row]}"

        Text.from_texts(image_ids, called)
        rows = dict(zip(image_ids, range(len(self.row_of), len(self.row_of) + count), strict=True))
        if len(rows) < count or not self.row_of.keys().isdisjoint(rows):
            row = next(row for row, value in enumerate(image_ids) if value in self.row_of or value in image_ids[:row])
            raise ExportError(f"{called(row)} is added twice")
        if (given["boxes"] is None) == (given["grid"] is None):
            raise ExportError(f"{called(0)} needs boxes or a grid, and not both")
        if given["grid"] is None:
            given["affine"] = None
        names = [name for name in _COLUMNS if given[name] is not None]
        if self.row_of and names != list(self._blocks):
            raise ExportError(f"{called(0)} is not described like the images before it")
        each = {name: _numbers_of(name, given[name], count, called) for name in names}
        # These are copies: a caller may use the same arrays for the next images.
        columns = {name: np.concatenate(value) if name == "boxes" else np.array(value) for name, value in each.items()}
        if "grid" in columns:
            _refuse("grid", columns["grid"], np.any(columns["grid"] < 1, axis=1), "has no cells", called)
        if "affine" in columns:
            affine = columns["affine"]
            sound = np.isfinite(affine).all(axis=1) & (affine[:, :2] > 0).all(axis=1)
            _refuse("affine", affine, ~sound, "needs finite numbers and positive scales", called)
        # Nothing is kept of a batch before all of it has been looked at.
        for name, column in columns.items():
            self._blocks.setdefault(name, []).append(column)
        if "grid" in columns:
            self._grid.extend(columns["grid"].ravel().tolist())
            sizes = columns["grid"].astype(np.int64).prod(axis=1).tolist()
        else:
            sizes = list(map(len, each["boxes"]))
        self._first.extend((len(self._real) + offsets_of(sizes)[:-1]).tolist())
        self._regions.extend(sizes)
        self._real += _with_area(columns, sum(sizes)).tobytes()
        self.row_of |= rows

    @property
    def has_boxes(self) -> bool:
        """True if the images have boxes, and no grids."""
        return "boxes" in self._blocks

    def regions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of regions of some images: i8[k]."""
        return np.frombuffer(self._regions, np.int64)[rows]

    def real(self, rows: NDArray[np.int64], first: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Find the regions of windows of some images that have an area.

        Args:
            rows: i8[k], images.
            first: i8[k], the first region of each window within its image.
            count: i8[k], how many regions it has.

        Returns:
            b[sum count].
        """
        start = np.frombuffer(self._first, np.int64)[rows] + first
        return np.frombuffer(self._real, np.bool_)[ranges(start, count)]

    def grid(self, rows: NDArray[np.int64]) -> tuple[int, int] | None:
        """The grid that images i8[k] have, if it is one and the same of them all."""
        if not self._grid:
            return None
        grids = np.frombuffer(self._grid, np.int64).reshape(-1, 2)[rows]
        height, width = grids[0].tolist()
        return (height, width) if (grids == grids[0]).all() else None

    def members(self) -> dict[str, NDArray[Any]]:
        """The members that describe the images."""
        result = Text.from_texts(list(self.row_of), str).members("image_id")
        for name, blocks in self._blocks.items():
            if name == "boxes":
                result["region_offset"] = offsets_of(np.array(self._regions))
            result[_MEMBERS[name]] = np.concatenate(blocks)
        return result


def _with_area(columns: Mapping[str, NDArray[Any]], regions: int) -> NDArray[np.bool_]:
    """b[regions], regions of some images that have an area within them; all cells if the size is not known."""
    if "boxes" in columns:
        box = columns["boxes"].reshape(-1, 4)
    elif "affine" in columns and "size" in columns:
        grid, affine = columns["grid"].astype(np.int64), columns["affine"].astype(np.float64)
        box = cell_boxes(grid, affine, columns["size"].astype(np.int64))
    else:
        return np.ones(regions, np.bool_)
    return np.asarray((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1]))


def _numbers_of(name: str, values: Any, count: int, called: Callable[[int], str]) -> NDArray[Any] | list[NDArray[Any]]:
    """Arguments for each of some images, of the right type and shape; together in one array where it can be."""
    dtype, shape = _COLUMNS[name]
    try:
        result = numbers(values, dtype, name)
    except ExportError:
        result = np.zeros(0)
    if result.shape == shape:
        return np.broadcast_to(result, (count, *result.shape))
    if len(values) != count:
        raise ExportError(f"{called(0)}, ...: {len(values)} {name} for {count} images")
    if result.ndim == len(shape) + 1 and result.shape[-1] == shape[-1]:
        return result
    # They differ in length, or something is wrong with one of them.
    each = [numbers(value, dtype, f"{called(row)}: {name}") for row, value in enumerate(values)]
    for row, value in enumerate(each):
        if value.ndim != len(shape) or value.shape[-1] != shape[-1]:
            expected = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
            raise ExportError(f"{called(row)}: {name} has shape {value.shape}, expected ({expected})")
    return each


def _refuse(name: str, values: NDArray[Any], bad: NDArray[np.bool_], why: str, called: Callable[[int], str]) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise ExportError(f"{called(row)}: {name} {values[row].tolist()} {why}")
