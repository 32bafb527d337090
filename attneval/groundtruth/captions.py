"""The captions of annotations, one by one: what a model that is to be exported reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import GroundTruthError, first_of
from attneval.groundtruth import open_ground_truth
from attneval.groundtruth.columns import GroundTruth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from attneval.groundtruth.columns import Source

IMAGES_AT_ONCE = 256
"""Images whose annotations are read together, so that memory stays bounded."""


def captions(
    gt: str | Path | Source | GroundTruth, images: Iterable[str] | None = None
) -> Iterator[tuple[str, int, str]]:
    """Iterate over the captions of annotations, image by image.

    Args:
        gt: The annotations: a path as for `attneval score --gt`, or what `open_ground_truth` opened or read.
        images: Image ids, in the order wanted; all annotated images by default.

    Yields:
        The image id, which of the image's captions it is (as in ``36979#2``), and its text.

    Raises:
        GroundTruthError: The annotations cannot be read, or an image is not annotated.
    """
    if isinstance(gt, GroundTruth):
        chosen = gt if images is None else _of_images(gt, list(images))
        yield from _captions(chosen)
        return
    source = open_ground_truth(gt) if isinstance(gt, str | Path) else gt
    names = source.image_ids() if images is None else list(images)
    _refuse_missing(source.missing(names))
    for first in range(0, len(names), IMAGES_AT_ONCE):
        yield from _captions(source.read(names[first : first + IMAGES_AT_ONCE]))


def _captions(truth: GroundTruth) -> Iterator[tuple[str, int, str]]:
    for row, image_id in enumerate(truth.image_id):
        for caption in range(int(truth.caption_offset[row]), int(truth.caption_offset[row + 1])):
            yield image_id, int(truth.caption_index[caption]), truth.text[caption]


def _of_images(truth: GroundTruth, names: list[str]) -> GroundTruth:
    rows = {name: row for row, name in enumerate(truth.image_id)}
    _refuse_missing([name for name in names if name not in rows])
    return truth.take(np.array([rows[name] for name in names], np.int64))


def _refuse_missing(missing: Sequence[str]) -> None:
    if missing:
        raise GroundTruthError(
            f"{len(missing)} images are not annotated (first: {first_of(missing)})",
            hint="image ids are the annotation files' names without suffix, or COCO ids",
        )
