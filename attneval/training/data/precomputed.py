"""Precomputed image-text data: the folder layout of SCAN and its successors.

`{split}_ims.npy` (N, R, F) float32 region features; `{split}_caps.txt` one caption a line, five in a row for each
image, or one for each row of features; `{split}_ids.txt` image ids, for each image or for each caption;
`{split}_boxes.npy` (N, R, 4) pixel boxes x1, y1, x2, y2, or (N, R, 30) PFAN's blocks; `{split}_sizes.npy` (N, 2)
width, height. Only features and captions are needed. A bottom-up TSV can take the place of features and boxes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.errors import DataError, first_of
from attneval.storage.read_files import read_bytes
from attneval.training.data.batches import ImageBatch
from attneval.training.data.bottomup import BottomUpFiles
from attneval.training.data.regions import ArrayRegions, BottomUpRegions, BoxedRegions, Regions
from attneval.training.models.pfan import BLOCKS, PAD_BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CAPTIONS_PER_IMAGE = 5


@dataclass(frozen=True)
class Split:
    """Images and their captions.

    Args:
        source: File or folder and split, named in errors.
        captions: One text each.
        caption_image: [N] image of each caption.
        image_ids: Id of each image, or None where the data has no ids.
        rows: [I] row of each image in `regions`.
        regions: Features and boxes.
    """

    source: str
    captions: tuple[str, ...]
    caption_image: NDArray[np.int64]
    image_ids: tuple[str, ...] | None
    rows: NDArray[np.int64]
    regions: Regions

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.rows)

    @cached_property
    def feature_shape(self) -> tuple[int, int]:
        """Regions and feature size of the first image."""
        regions, size = self.regions.features(self.rows[:1])[0].shape
        return regions, size

    def part(self, start: int, stop: int) -> Split:
        """Some consecutive images, with their captions."""
        stop = min(stop, self.images)
        inside = np.flatnonzero((self.caption_image >= start) & (self.caption_image < stop))
        return replace(
            self,
            source=f"{self.source}, images {start} to {stop - 1}",
            captions=tuple(self.captions[index] for index in inside),
            caption_image=self.caption_image[inside] - start,
            image_ids=None if self.image_ids is None else self.image_ids[start:stop],
            rows=self.rows[start:stop],
        )

    def folds(self, size: int = 1000) -> list[Split]:
        """Consecutive folds of `size` images, as in the COCO 1K protocol.

        Raises:
            DataError: The number of images is no multiple of `size`.
        """
        if self.images % size:
            raise DataError(f"{self.source}: {self.images} images cannot be cut into folds of {size}")
        return [self.part(start, start + size) for start in range(0, self.images, size)]

    def batch(self, images: NDArray[np.int64], *, positions: bool = False) -> ImageBatch:
        """The regions of some images, padded to the longest.

        Args:
            images: [M] images.
            positions: Add PFAN's blocks where the data has positions.

        Raises:
            DataError: Features are not of one size or no numbers, or a block does not exist.
        """
        rows = self.rows[images]
        features = self.regions.features(rows)
        self._check(images, features, self.feature_shape[1], self.regions.features_file)
        lengths = torch.tensor([len(regions) for regions in features])
        mask = torch.arange(int(lengths.max()))[None] < lengths[:, None]
        blocks = self.regions.blocks(rows) if positions else None
        if blocks is None:
            return ImageBatch(_padded(features), mask)
        self._check(images, blocks, 2 * BLOCKS, self.regions.boxes_file)
        tensor = _padded(blocks)
        ids = tensor[..., :BLOCKS].long()
        if ids.min() < 0 or ids.max() > PAD_BLOCK:
            raise DataError(f"{self.source}: block ids run from {ids.min()} to {ids.max()}, not 0 to {PAD_BLOCK}")
        return ImageBatch(_padded(features), mask, ids, tensor[..., BLOCKS:])

    def _check(self, images: NDArray[np.int64], arrays: list[NDArray[np.float32]], size: int, file: str) -> None:
        """Refuse what a model cannot read, as it is read: looking at all of a file first could take minutes."""
        for image, array in zip(images.tolist(), arrays, strict=True):
            if array.shape[1] != size:
                raise DataError(f"{file}: {self._name(image)} has {array.shape[1]} numbers a region, others {size}")
            if not np.isfinite(array).all():
                region = int(np.argmin(np.isfinite(array).all(axis=1)))
                raise DataError(f"{file}: {self._name(image)} has NaN or infinite numbers in region {region}")

    def _name(self, image: int) -> str:
        """Name of an image in errors: its id or, where there are none, its row."""
        return f"row {self.rows[image]}" if self.image_ids is None else f"image {self.image_ids[image]}"


def open_split(folder: Path, split: str, *, bottom_up: Sequence[Path] = ()) -> Split:
    """Open a split of a precomputed data set.

    Args:
        folder: For instance `data/f30k_precomp`.
        split: `train`, `dev`, `test`, `testall`...
        bottom_up: Bottom-up TSV files with boxes and, where there is no `{split}_ims.npy`, features. They are
            searched by the ids of `{split}_ids.txt`.

    Raises:
        DataError: A file is missing or damaged, or the numbers of images, captions and ids do not fit together.
    """
    captions_path, ids_path = folder / f"{split}_caps.txt", folder / f"{split}_ids.txt"
    captions = _lines(captions_path)
    ids = _lines(ids_path) if ids_path.exists() else None
    if ids is not None and "" in ids:
        raise DataError(f"{ids_path}: line {ids.index('') + 1} is empty, which is no image id")
    if bottom_up and ids is None:
        raise DataError(f"{ids_path}: is needed to find the images in {first_of(bottom_up)}")

    arrays = None
    if ids is not None and bottom_up and not (folder / f"{split}_ims.npy").exists():
        count = len(_runs(ids))
    else:
        arrays = ArrayRegions(folder, split)
        count = len(arrays)
        if ids is None and len(captions) == count:
            _check_no_copies(arrays, ids_path)
    if len(captions) not in (count, CAPTIONS_PER_IMAGE * count):
        raise DataError(
            f"{captions_path}: has {len(captions)} captions for {count} rows of images; there must be one or "
            f"{CAPTIONS_PER_IMAGE} for each"
        )
    per_row = len(captions) // count
    row_ids = None if ids is None else _row_ids(ids, count, per_row, ids_path)

    # Rows that repeat an id are one image, whose features were written once for each of its captions.
    first = np.arange(count) if row_ids is None else np.array(_runs(row_ids))
    image_of_row = np.searchsorted(first, np.arange(count), side="right") - 1
    image_ids = None if row_ids is None else tuple(row_ids[row] for row in first)
    if image_ids is not None and len(set(image_ids)) < len(image_ids):
        twice = [image_id for image_id, number in Counter(image_ids).items() if number > 1]
        raise DataError(f"{ids_path}: {len(twice)} ids stand for several images: {first_of(twice)}")

    regions: Regions
    if not bottom_up or row_ids is None:
        regions = ArrayRegions(folder, split) if arrays is None else arrays
    else:
        boxed = BottomUpRegions(BottomUpFiles(tuple(bottom_up)), row_ids)
        regions = boxed if arrays is None else BoxedRegions(arrays, boxed)
    return Split(
        source=str(folder / split),
        captions=tuple(captions),
        caption_image=image_of_row[np.arange(len(captions)) // per_row],
        image_ids=image_ids,
        rows=first,
        regions=regions,
    )


def _check_no_copies(arrays: ArrayRegions, ids_path: Path) -> None:
    """Refuse rows that were written once for each of five captions: without ids, copies count as images."""
    first, *others = arrays.features(np.arange(min(len(arrays), CAPTIONS_PER_IMAGE + 1)))
    copies = [True] * (CAPTIONS_PER_IMAGE - 1)
    if [np.array_equal(first, other) for other in others] in (copies, [*copies, False]):
        raise DataError(
            f"{arrays.features_file}: rows 0 to {CAPTIONS_PER_IMAGE - 1} are one image, which would count as "
            f"{CAPTIONS_PER_IMAGE}",
            hint=f"say whose rows they are with ids in {ids_path}, one for each row; equal ids are one image",
        )


def _lines(path: Path) -> list[str]:
    """Lines as the layout counts them: an empty line is a line, and only a line feed ends one."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 at byte {error.start}") from error
    if not text:
        raise DataError(f"{path}: is empty")
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def _runs(ids: list[str]) -> list[int]:
    """First index of each run of equal ids."""
    return [row for row, image_id in enumerate(ids) if row == 0 or image_id != ids[row - 1]]


def _row_ids(ids: list[str], count: int, per_row: int, path: Path) -> list[str]:
    """One id for each row of images, from ids for each row or for each caption."""
    if len(ids) == count:
        return ids
    row_ids = ids[::per_row]
    if len(ids) != count * per_row or any(ids[row] != row_ids[row // per_row] for row in range(len(ids))):
        raise DataError(
            f"{path}: has {len(ids)} ids for {count} rows of images and {count * per_row} captions",
            hint="give one id for each image, or the same id for all captions of an image",
        )
    return row_ids


def _padded(arrays: list[NDArray[Any]]) -> torch.Tensor:
    """[M, R, ...] of M arrays [R_m, ...], with zeros at the end of the shorter ones."""
    if len({len(array) for array in arrays}) == 1:
        return torch.from_numpy(np.stack(arrays))
    return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(array) for array in arrays], batch_first=True)
