"""What others do, written from the descriptions of their methods, to be timed beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

UNAVOIDABLE = """
import sys
from pathlib import Path
from xml.etree import ElementTree
import click, numpy, rich
Path(sys.argv[1]).read_bytes()
for path in Path(sys.argv[2], "Annotations").iterdir():
    ElementTree.fromstring(path.read_bytes())
for path in Path(sys.argv[2], "Sentences").iterdir():
    path.read_bytes()
"""
"""What no scoring of an export against a directory of annotations can do without."""


def ranks_by_sorting(scores: NDArray[np.float32], per_image: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks from 0 as evaluators of the SCAN family find them: sort each row, look up where the right answers are.

    Args:
        scores: f[I, N]; the captions of an image stand together.
        per_image: Captions of each image.
    """
    of_images = np.empty(len(scores), np.int64)
    for image, row in enumerate(scores):
        order = np.argsort(row)[::-1]
        of_images[image] = min(
            np.flatnonzero(order == caption)[0] for caption in range(image * per_image, (image + 1) * per_image)
        )
    of_captions = np.empty(scores.shape[1], np.int64)
    for caption, column in enumerate(scores.T):
        of_captions[caption] = np.flatnonzero(np.argsort(column)[::-1] == caption // per_image)[0]
    return of_images, of_captions


def overlap_by_caption(
    regions: NDArray[np.float64], boxes: NDArray[np.float64], threshold: float
) -> list[NDArray[np.bool_]]:
    """Which regions reach which phrase: pycocotools called for each caption.

    Args:
        regions: f8[C, R, 4], x, y, width, height.
        boxes: f8[C, P, 4], the phrases' boxes.
        threshold: The overlap that is enough.
    """
    crowd = [0] * boxes.shape[1]
    return [mask.iou(own, box, crowd) >= threshold for own, box in zip(regions, boxes, strict=True)]


def one_threshold(
    weights: NDArray[np.float64], relevant: NDArray[np.bool_], threshold: float
) -> tuple[float, float, float]:
    """Mean precision, recall and F1 of all items in one vectorised pass."""
    attended = weights > threshold
    size, wanted = np.count_nonzero(attended, axis=1), np.count_nonzero(relevant, axis=1)
    hits = np.count_nonzero(attended & relevant, axis=1)
    precision, recall = hits / np.maximum(size, 1), hits / np.maximum(wanted, 1)
    return float(precision.mean()), float(recall.mean()), float((2 * hits / np.maximum(size + wanted, 1)).mean())


def resampled_sums(columns: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """The cluster bootstrap as the product it is: how often each image is drawn, times the images' sums."""
    images = len(columns)
    drawn = np.random.default_rng(seed).integers(0, images, (resamples, images))
    drawn += np.arange(resamples)[:, None] * images
    return np.bincount(drawn.ravel(), minlength=resamples * images).reshape(resamples, images) @ columns


def saved(path: Path, members: dict[str, NDArray[np.generic]]) -> None:
    """Write arrays with numpy."""
    np.savez(path, **members)  # type: ignore[arg-type]
