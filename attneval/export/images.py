"""Images on their way into an export: what the reader would refuse about them is refused here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import ExportError
from attneval.export.captions import Text, numbers
from attneval.text import offsets_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

# What is kept of each image: its type and its shape, R standing for any length.
_COLUMNS: dict[str, tuple[Any, tuple[int | str, ...]]] = {
    "size": (np.int32, (2,)),
    "boxes": (np.float32, ("R", 4)),
    "grid": (np.int32, (2,)),
    "affine": (np.float32, (4,)),
}


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
        self._columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
        self._given: list[str] = []
        self._regions: list[int] = []

    def add(self, image_id: str, **given: ArrayLike | None) -> None:
        """Add an image, of which some of `size`, `boxes`, `grid` and `affine` are given; see `ExportWriter`.

        Raises:
            ExportError: The image is there already, is described otherwise than those before it, or is no image.
        """
        where = f"{self._path}: image {image_id}"
        Text.of([image_id], lambda _: where)
        if image_id in self.row_of:
            raise ExportError(f"{where} is added twice")
        if (given["boxes"] is None) == (given["grid"] is None):
            raise ExportError(f"{where} needs boxes or a grid, and not both")
        if given["grid"] is None:
            given["affine"] = None
        values = {name: _checked(name, value, where) for name, value in given.items() if value is not None}
        if self.row_of and list(values) != self._given:
            raise ExportError(f"{where} is not described like the images before it")
        self._given = list(values)
        for name, value in values.items():
            self._columns[name].append(value)
        self._regions.append(len(values["boxes"]) if "boxes" in values else int(np.prod(values["grid"])))
        self.row_of[image_id] = len(self.row_of)

    def regions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many regions some images have."""
        return np.fromiter(map(self._regions.__getitem__, rows.tolist()), np.int64, len(rows))

    def members(self) -> dict[str, NDArray[Any]]:
        """The members that describe the images."""
        found = Text.of(list(self.row_of), str).members("image_id")
        columns = self._columns
        if columns["size"]:
            found["image_size"] = np.array(columns["size"])
        if columns["boxes"]:
            found["region_offset"] = offsets_of(list(map(len, columns["boxes"])))
            found["region_box"] = np.concatenate(columns["boxes"])
        if columns["grid"]:
            found["grid_shape"] = np.array(columns["grid"])
        if columns["affine"]:
            found["grid_affine"] = np.array(columns["affine"])
        return found


def _checked(name: str, value: ArrayLike, where: str) -> NDArray[Any]:
    dtype, shape = _COLUMNS[name]
    # A caller may use the same array for the next image.
    found: NDArray[Any] = np.array(numbers(value, dtype, f"{where}: {name}"))
    if found.ndim != len(shape) or found.shape[-1] != shape[-1]:
        expected = ", ".join(map(str, shape)) + "," * (len(shape) == 1)
        raise ExportError(f"{where}: {name} has shape {found.shape}, expected ({expected})")
    if name == "grid" and found.min() < 1:
        raise ExportError(f"{where}: a grid of {found.tolist()} rows and columns has no cells")
    if name == "affine" and not (np.isfinite(found).all() and found[:2].min() > 0):
        raise ExportError(f"{where}: affine {found.tolist()} needs finite numbers and positive scales")
    return found
