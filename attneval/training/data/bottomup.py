"""Bottom-up-attention TSV files: region boxes and features, one image a line.

Two column orders exist: image_id, image_w, image_h, num_boxes, boxes, features (Anderson et al., CVPR 2018) and
LXMERT's img_id, img_h, img_w, objects_id, objects_conf, attrs_id, attrs_conf, num_boxes, boxes, features. Boxes and
features are base64 of float32.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attneval.errors import DataError, first_of
from attneval.storage.read_files import open_to_read, reading

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class BottomUpImage(NamedTuple):
    """One line.

    Args:
        width: Of the image in pixels.
        height: Of the image in pixels.
        boxes: [R, 4] float32 x1, y1, x2, y2 in pixels.
        features: [R, F] float32.
    """

    width: int
    height: int
    boxes: NDArray[np.float32]
    features: NDArray[np.float32]


# Columns of width, height, number of boxes, boxes, features by the number of columns.
_COLUMNS = {6: (1, 2, 3, 4, 5), 10: (2, 1, 7, 8, 9)}


@dataclass(frozen=True)
class BottomUpFiles:
    """TSV files of which only the position of each image is held in memory.

    Args:
        paths: The files, as if they were one.

    Raises:
        DataError: A file cannot be read, or an image is in them twice.
    """

    paths: tuple[Path, ...]
    places: dict[str, tuple[Path, int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places: dict[str, tuple[Path, int]] = {}
        for path in self.paths:
            position = 0
            try:
                with open_to_read(path) as file, reading(path):
                    for line in file:
                        if not line.isspace():
                            key = _key(line[: line.find(b"\t")].decode())
                            if key in places:
                                raise DataError(f"{path}: image {key} is in it twice, or in {places[key][0]} too")
                            places[key] = (path, position)
                        position += len(line)
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: the image id at byte {position} is no text") from error
        object.__setattr__(self, "places", places)

    def __str__(self) -> str:
        return first_of(self.paths)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, image_id: str) -> bool:
        return _key(image_id) in self.places

    def __getitem__(self, image_id: str) -> BottomUpImage:
        """Read one image.

        Raises:
            DataError: There is no such image, or its line is damaged.
        """
        if image_id not in self:
            raise DataError(f"{self}: has no image {image_id} among its {len(self)}")
        path, position = self.places[_key(image_id)]
        with open_to_read(path) as file, reading(path):
            file.seek(position)
            columns = file.readline().rstrip(b"\r\n").split(b"\t")
        if len(columns) not in _COLUMNS:
            raise DataError(f"{path}: image {image_id} has {len(columns)} columns, not 6 or 10")
        width, height, count, boxes, features = (columns[index] for index in _COLUMNS[len(columns)])
        try:
            regions = int(count)
            image = BottomUpImage(
                int(width), int(height), _floats(boxes).reshape(regions, 4), _floats(features).reshape(regions, -1)
            )
        except (ValueError, OverflowError, binascii.Error) as error:
            raise DataError(f"{path}: the line of image {image_id} is damaged: {error}") from error
        if min(image.width, image.height) < 1:
            raise DataError(f"{path}: image {image_id} has a size of {image.width} x {image.height} pixels")
        return image


def _floats(text: bytes) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32)


def _key(image_id: str) -> str:
    """COCO_val2014_000000391895 and 391895 are one image."""
    digits = image_id.rsplit("_", 1)[-1]
    return digits.lstrip("0") or "0" if digits.isdigit() else image_id
