"""Regions with features that were computed elsewhere, for models that are given them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def open_regions(path: str | Path) -> Mapping[str, tuple[Any, Any]]:
    """Open a bottom-up-attention TSV file: boxes and features by image id.

    Raises:
        AttnevalError: It is none.
    """
    return _BottomUp(Path(path))


class _BottomUp(Mapping[str, "tuple[NDArray[np.float32], NDArray[np.float32]]"]):
    """A TSV file, read line by line when an image is asked for."""

    def __init__(self, path: Path) -> None:
        from attneval.training.data.bottomup import BottomUpFiles

        self._files = BottomUpFiles((path,))

    def __getitem__(self, image_id: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if image_id not in self._files:
            raise KeyError(image_id)
        entry = self._files[image_id]
        return entry.boxes, entry.features

    def __iter__(self) -> Any:
        return iter(self._files.places)

    def __len__(self) -> int:
        return len(self._files)


def region_of(boxes: Any, image_id: str, model: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Look up the boxes f[R, 4] in pixels and the features f[R, F] of an image.

    Args:
        boxes: By image id (boxes, features).
        image_id: The image.
        model: The model that they are for, for messages.

    Raises:
        AttnevalError: There is no file, the image is not in it, or the numbers do not fit together.
    """
    if boxes is None:
        raise AttnevalError(
            f"{type(model).__name__} is given regions and their features, and none are here",
            hint="name a bottom-up-attention TSV with --boxes FILE",
        )
    try:
        box, features = boxes[image_id]
    except KeyError:
        raise AttnevalError(f"image {image_id} has no regions in the file of boxes") from None
    box, features = np.asarray(box, np.float32), np.asarray(features, np.float32)
    if box.ndim != 2 or box.shape[1] != 4 or features.ndim != 2 or len(box) != len(features):
        raise AttnevalError(f"image {image_id}: {box.shape} boxes and {features.shape} features do not fit together")
    config = getattr(model, "config", None)
    expected = getattr(config, "visual_feat_dim", None) or getattr(config, "visual_embedding_dim", None)
    if expected is not None and features.shape[1] != expected:
        raise AttnevalError(
            f"image {image_id}: features have {features.shape[1]} numbers, {type(model).__name__} takes {expected}"
        )
    return box, features
