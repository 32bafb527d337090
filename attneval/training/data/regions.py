"""Sources of the regions of images: arrays in the folder layout, a bottom-up TSV, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attneval.errors import DataError, first_of
from attneval.storage.npy import map_npy
from attneval.training.models.pfan import BLOCKS, position_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.training.data.bottomup import BottomUpFiles


class Regions(Protocol):
    """Regions of images, by the row of each image in its files.

    Attributes:
        features_file: Where the features are, named in errors.
        boxes_file: Where the boxes are, or would be.
    """

    features_file: str
    boxes_file: str

    def features(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """[R, F] features of each image."""

    def boxes(self, row: int) -> NDArray[np.float32] | None:
        """[R, 4] pixel boxes of an image, or None where only features are known."""

    def size(self, row: int) -> tuple[int, int] | None:
        """Width and height of an image, or None."""

    def blocks(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]] | None:
        """[R, 30] PFAN blocks of each image, or None without positions."""


class ArrayRegions:
    """Regions in `{split}_*.npy` files, memory-mapped.

    Args:
        folder: Where they are.
        split: Their prefix.

    Raises:
        DataError: A file cannot be read, or their shapes disagree.
    """

    def __init__(self, folder: Path, split: str) -> None:
        path, boxes_path, sizes_path = (folder / f"{split}_{name}.npy" for name in ("ims", "boxes", "sizes"))
        self.features_file, self.boxes_file = str(path), str(boxes_path)
        self._features = _mapped(path, 3)
        self._sizes = _optional(sizes_path, 2)
        layout = _optional(boxes_path, 3)
        self._boxes: NDArray[np.float32] | None = None
        self._blocks: NDArray[np.float32] | None = None
        self._computed: dict[int, NDArray[np.float32]] = {}  # blocks of boxes, which every epoch needs again
        if layout is not None and layout.shape[-1] == 4:
            self._boxes = layout
        elif layout is not None and layout.shape[-1] == 2 * BLOCKS:
            self._blocks = layout
        elif layout is not None:
            raise DataError(
                f"{boxes_path}: has shape {list(layout.shape)}; boxes are (N, R, 4) in pixels or "
                f"(N, R, {2 * BLOCKS}) blocks"
            )
        for other, array, axes in ((boxes_path, layout, 2), (sizes_path, self._sizes, 1)):
            if array is not None and array.shape[:axes] != self._features.shape[:axes]:
                raise DataError(
                    f"{other}: has shape {list(array.shape)}, but {path.name} has {list(self._features.shape)}"
                )
        if self._boxes is not None:
            upright = np.asarray((self._boxes[..., 2:] >= self._boxes[..., :2]).all(axis=(1, 2)))
            _check_rows(upright, boxes_path, "boxes that are not x1 <= x2 and y1 <= y2")
        if self._sizes is not None:
            if self._sizes.shape[1] != 2:
                raise DataError(
                    f"{sizes_path}: has shape {list(self._sizes.shape)}; sizes are (N, 2), width and height"
                )
            real = (np.isfinite(self._sizes) & (self._sizes >= 1)).all(axis=1)
            _check_rows(real, sizes_path, "a width or height below one pixel")

    def __len__(self) -> int:
        return len(self._features)

    def features(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """[R, F] features of each image."""
        return list(np.asarray(self._features[rows], np.float32))

    def boxes(self, row: int) -> NDArray[np.float32] | None:
        """[R, 4] pixel boxes of an image, or None."""
        return None if self._boxes is None else np.asarray(self._boxes[row], np.float32)

    def size(self, row: int) -> tuple[int, int] | None:
        """Width and height of an image, or None."""
        if self._sizes is None:
            return None
        width, height = self._sizes[row].tolist()
        return int(width), int(height)

    def blocks(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]] | None:
        """[R, 30] PFAN blocks of each image, or None without positions."""
        if self._blocks is not None:
            return list(np.asarray(self._blocks[rows], np.float32))
        if self._boxes is None or self._sizes is None:
            return None
        if new := [row for row in rows.tolist() if row not in self._computed]:
            blocks = position_blocks(np.asarray(self._boxes[new]), np.asarray(self._sizes[new]))
            self._computed.update(zip(new, blocks, strict=True))
        return [self._computed[row] for row in rows.tolist()]


class BottomUpRegions:
    """Regions in a bottom-up TSV.

    Args:
        files: The TSV files.
        image_ids: The image of each row.

    Raises:
        DataError: Images are missing in the TSV.
    """

    def __init__(self, files: BottomUpFiles, image_ids: Sequence[str]) -> None:
        self.features_file = self.boxes_file = str(files)
        self._files = files
        self._ids = image_ids
        if missing := [image_id for image_id in image_ids if image_id not in files]:
            raise DataError(f"{files}: {len(missing)} of {len(image_ids)} images are missing: {first_of(missing)}")

    def __len__(self) -> int:
        return len(self._ids)

    def features(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """[R, F] features of each image."""
        return [self._files[self._ids[row]].features for row in rows]

    def boxes(self, row: int) -> NDArray[np.float32]:
        """[R, 4] pixel boxes of an image."""
        return self._files[self._ids[row]].boxes

    def size(self, row: int) -> tuple[int, int]:
        """Width and height of an image."""
        image = self._files[self._ids[row]]
        return image.width, image.height

    def blocks(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """[R, 30] PFAN blocks of each image."""
        images = [self._files[self._ids[row]] for row in rows]
        return [position_blocks(image.boxes, np.array([image.width, image.height], np.int32)) for image in images]


class BoxedRegions:
    """Features from arrays, boxes and sizes from a bottom-up TSV of the same regions.

    Args:
        arrays: The features.
        boxes: The boxes.

    Raises:
        DataError: The TSV has other features for the first image: other regions, so boxes that do not belong here.
    """

    def __init__(self, arrays: ArrayRegions, boxes: BottomUpRegions) -> None:
        self.features_file, self.boxes_file = arrays.features_file, boxes.boxes_file
        self._arrays = arrays
        self._boxes = boxes
        first = np.zeros(1, np.int64)
        array, described = arrays.features(first)[0], boxes.features(first)[0]
        if array.shape != described.shape or not np.allclose(array, described, rtol=1e-3, atol=1e-3):
            raise DataError(
                "the TSV describes other regions than the features: its first image has "
                f"{list(described.shape)} numbers, the features {list(array.shape)}, and they differ",
                hint="boxes of another feature extraction do not fit these features",
            )

    def features(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """[R, F] features of each image."""
        return self._arrays.features(rows)

    def boxes(self, row: int) -> NDArray[np.float32]:
        """[R, 4] pixel boxes of an image."""
        return self._boxes.boxes(row)

    def size(self, row: int) -> tuple[int, int]:
        """Width and height of an image."""
        return self._boxes.size(row)

    def blocks(self, rows: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """[R, 30] PFAN blocks of each image."""
        return self._boxes.blocks(rows)


def _mapped(path: Path, axes: int) -> NDArray[Any]:
    array = map_npy(path)
    if array.ndim != axes or array.dtype.kind not in "fiu":
        shape = list(array.shape)
        raise DataError(f"{path}: must hold numbers in {axes} axes, not {array.dtype} of shape {shape}")
    if not array.size:
        raise DataError(f"{path}: is empty: its shape is {list(array.shape)}")
    return array


def _optional(path: Path, axes: int) -> NDArray[Any] | None:
    return _mapped(path, axes) if path.exists() else None


def _check_rows(good: NDArray[np.bool_], path: Path, problem: str) -> None:
    """Refuse images with a problem: boxes of x, y, width, height, for instance."""
    if not good.all():
        rows = np.flatnonzero(~good)
        raise DataError(
            f"{path}: {len(rows)} of {len(good)} images have {problem} "
            f"(first rows: {first_of(rows[:5].tolist(), len(rows))})"
        )
