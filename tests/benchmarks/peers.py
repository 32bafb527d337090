"""What others do, written from the descriptions of their methods, to be timed beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask

if TYPE_CHECKING:
    from collections.abc import Mapping
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
READ_AND_SORT = """
import sys
import click, numpy, rich
with numpy.load(sys.argv[1]) as maps:
    weights = maps["attention"].reshape(-1, 576)
numpy.sort(weights[numpy.load(sys.argv[2])].astype(numpy.float32), axis=1)
"""
"""The least that ranks the annotated rows of half-precision maps over 576 cells: all read once, those sorted once."""


def lists_of_ids(scores: NDArray[np.float32], query: list[int], answer: list[int]) -> dict[int, list[int]]:
    """All answers to each query, best first, as evaluators take them that know ids alone.

    Args:
        scores: f[Q, N].
        query: The ids of rows.
        answer: The ids of columns.
    """
    return {
        # Ids are looked up, not made anew: lists of all answers would not fit into memory otherwise.
        name: list(map(answer.__getitem__, np.argsort(-row, kind="stable").tolist()))
        for name, row in zip(query, scores, strict=True)
    }


def scored_lists(lists: Mapping[int, list[int]], relevant: Mapping[int, list[int]]) -> dict[str, float]:
    """Recall@K, R-Precision and mAP@R of a relevance set, query by query: each answer of a list is looked up."""
    values: dict[str, list[float]] = {name: [] for name in ("r@1", "r@5", "r@10", "r_precision", "map@r")}
    for query, answers in relevant.items():
        right = set(answers)
        hits = [name in right for name in lists[query]]
        for k in (1, 5, 10):
            values[f"r@{k}"].append(float(any(hits[:k])))
        count, precision = 0, 0.0
        for rank, hit in enumerate(hits[: len(answers)], 1):
            count += hit
            precision += hit * count / rank
        values["r_precision"].append(count / len(answers))
        values["map@r"].append(precision / len(answers))
    return {name: sum(each) / len(each) for name, each in values.items()}


def recall_in_folds(
    lists: dict[int, list[int]], relevant: dict[int, list[int]], folds: list[tuple[set[int], set[int]]]
) -> list[float]:
    """Recall@1, 5, 10 averaged over folds, to whose answers every list is cut down.

    Args:
        lists: Of all answers.
        relevant: Answers by query.
        folds: The queries and the answers of each fold.
    """
    each = []
    for queries, answers in folds:
        cut = {query: [name for name in lists[query] if name in answers] for query in lists if query in queries}
        scored = scored_lists(cut, {query: relevant[query] for query in cut})
        each.append([scored[f"r@{k}"] for k in (1, 5, 10)])
    return [sum(values) / len(values) for values in zip(*each, strict=True)]


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


def one_pass_over_pairs(
    regions: NDArray[np.float32], boxes: NDArray[np.float32], owner: NDArray[np.int64], at_once: int = 2**16
) -> int:
    """Count the pairs of a box and a region of its image that share an area: one vectorised pass, in the cache.

    Args:
        regions: f4[I, R, 4], x1, y1, x2, y2.
        boxes: f4[B, 4].
        owner: i8[B], the image of each box.
        at_once: Pairs that are worked on together.
    """
    sharing, step = 0, max(at_once // regions.shape[1], 1)
    x1, y1, x2, y2 = np.moveaxis(regions, 2, 0)
    for first in range(0, len(boxes), step):
        image, box = owner[first : first + step], boxes[first : first + step].T[:, :, None]
        width = np.minimum(x2[image], box[2]) - np.maximum(x1[image], box[0])
        height = np.minimum(y2[image], box[3]) - np.maximum(y1[image], box[1])
        sharing += np.count_nonzero(np.maximum(width, 0) * np.maximum(height, 0))
    return sharing


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
