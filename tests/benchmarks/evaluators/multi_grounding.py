"""Pointing accuracy and attention correctness as MultiGrounding's evaluator finds them, its predicted boxes left out.

Akbari et al., Multi-level Multimodal Common Semantic Space for Image-Phrase Grounding, CVPR 2019. A phrase's map is
enlarged bilinearly to the image, once for each of both numbers; phrases whose boxes cover less than 5 % are left out.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from .inputs import boxed_phrases, images_of, read_annotations, read_maps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SMALLEST = 0.05


def evaluate(maps: Path, annotations: Path) -> dict[str, float]:
    """The share of phrases whose top pixel lies in a box, and the mean share of the enlarged map inside the boxes."""
    hits, mass, phrases = 0, 0.0, 0
    for heat, (width, height), boxes in phrase_maps(maps, annotations):
        phrases += 1
        larger = enlarged(heat, width, height)
        y, x = np.unravel_index(np.argmax(larger), larger.shape)
        hits += any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in boxes)
        larger = enlarged(heat, width, height)
        larger /= larger.sum()
        mass += sum(float(larger[y1:y2, x1:x2].sum()) for x1, y1, x2, y2 in boxes)
    return {"pointing": hits / phrases, "correctness": mass / phrases, "items": float(phrases)}


def evaluate_by_shares(maps: Path, annotations: Path) -> dict[str, float]:
    """The same with top pixels that are equal counted by their share, and pixels of several boxes once."""
    hits, mass, phrases = 0.0, 0.0, 0
    for heat, (width, height), boxes in phrase_maps(maps, annotations):
        phrases += 1
        larger = enlarged(heat.astype(np.float64), width, height)
        accepted, inside = np.zeros((2, height, width), np.bool_)
        for x1, y1, x2, y2 in boxes:
            accepted[y1 : y2 + 1, x1 : x2 + 1] = True
            inside[y1:y2, x1:x2] = True
        hits += float(accepted[larger >= larger.max() * (1 - 1e-12)].mean())
        mass += float(larger[inside].sum() / larger.sum())
    return {"pointing": hits / phrases, "correctness": mass / phrases, "items": float(phrases)}


def phrase_maps(
    maps: Path, annotations: Path
) -> Iterator[tuple[NDArray[np.floating], tuple[int, int], list[list[int]]]]:
    """The map, the image's size and the boxes of each phrase whose boxes cover enough."""
    given = read_maps(maps)
    truth = read_annotations(annotations, images_of(given))
    for image, _, rows, phrase in boxed_phrases(given, truth):
        width, height = truth.size[image]
        boxes = truth.boxes[image][phrase.entity]
        low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
        if (high[2] - low[0]) / width * ((high[3] - low[1]) / height) >= SMALLEST:
            yield np.average(rows[phrase.places], axis=0).reshape(given.grid or (1, 1)), (width, height), boxes


def enlarged(heat: NDArray[np.floating], width: int, height: int) -> NDArray[np.floating]:
    """A map in the size of the image, bilinear between the centres of cells, in the map's precision."""
    down, across = taps(heat.shape[0], height), taps(heat.shape[1], width)
    return np.asarray(down.astype(heat.dtype) @ heat @ across.T.astype(heat.dtype), heat.dtype)


@functools.cache
def taps(cells: int, pixels: int) -> NDArray[np.float64]:
    """The share f8[pixels, cells] that each cell has in each pixel of a line."""
    place = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(place[:, None] - np.arange(cells)), 0), np.float64)
