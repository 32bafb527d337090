"""Pointing accuracy, attention correctness and box accuracy as MultiGrounding's evaluator finds them.

Akbari et al., Multi-level Multimodal Common Semantic Space for Image-Phrase Grounding, CVPR 2019. Annotations are made
once, before. A phrase's map is the mean of its words'; it is enlarged bilinearly to the image, for each of the three
numbers anew. Phrases whose boxes cover less than 5 % are left out. Boxes are drawn around what is connected to each
peak of a map; that takes most of the time, and there it is always done. OpenCV enlarges there, numpy here, in the same
time.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from .inputs import as_json, images_of, read_annotations, read_maps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Heat = NDArray[np.floating]
    Size = tuple[int, int]
    Boxes = list[list[int]]
    Box = tuple[float, float, float, float]
    Measure = Callable[[Heat, Size, Boxes], float]

SMALLEST = 0.05
PEAK = 0.3
"""What a cell needs of the map's range to be a peak, and what a pixel needs of its peak to belong to it."""
BOXES = 3
"""Boxes of a map, around its highest peaks."""
INSIDE = 0.6
"""The share of a box that may lie in another one."""
LARGEST = 0.9
"""The share of the image from which on a box is none."""
ENOUGH = 0.5


def prepare(maps: Path, annotations: Path, folder: Path) -> None:
    """Write what is made once: the annotations."""
    folder.mkdir()
    truth = as_json(read_annotations(annotations, images_of(read_maps(maps))))
    (folder / "annotations.json").write_text(json.dumps(truth), encoding="utf-8")


def evaluate(maps: Path, folder: Path) -> dict[str, float]:
    """All three numbers."""
    return _means(maps, folder, {"boxes": fits, "pointing": points, "correctness": share_inside})


def evaluate_without_boxes(maps: Path, folder: Path) -> dict[str, float]:
    """The share of phrases whose top pixel lies in a box, and the mean share of the enlarged map inside the boxes."""
    return _means(maps, folder, {"pointing": points, "correctness": share_inside})


def _means(maps: Path, folder: Path, measures: dict[str, Measure]) -> dict[str, float]:
    """The means over phrases; by type of phrase, too, as there."""
    sums: dict[str, dict[str, float]] = {name: defaultdict(float) for name in measures}
    phrases: dict[str, int] = defaultdict(int)
    for heat, size, boxes, types in phrase_maps(maps, folder):
        for kind in ("all", *types):
            phrases[kind] += 1
        for name, measure in measures.items():
            value = measure(heat, size, boxes)
            for kind in ("all", *types):
                sums[name][kind] += value
    return {name: own["all"] / phrases["all"] for name, own in sums.items()} | {"items": float(phrases["all"])}


def evaluate_by_shares(maps: Path, folder: Path) -> dict[str, float]:
    """The same with top pixels that are equal counted by their share, and pixels of several boxes once."""
    hits, mass, phrases = 0.0, 0.0, 0
    for heat, size, boxes, _ in phrase_maps(maps, folder):
        phrases += 1
        larger = enlarged(heat.astype(np.float64), size)
        accepted, inside = np.zeros((2, *larger.shape), np.bool_)
        for x1, y1, x2, y2 in boxes:
            accepted[y1 : y2 + 1, x1 : x2 + 1] = True
            inside[y1:y2, x1:x2] = True
        hits += float(accepted[larger >= larger.max() * (1 - 1e-12)].mean())
        mass += float(larger[inside].sum() / larger.sum())
    return {"pointing": hits / phrases, "correctness": mass / phrases, "items": float(phrases)}


def phrase_maps(maps: Path, folder: Path) -> Iterator[tuple[Heat, Size, Boxes, list[str]]]:
    """The map, the image's size, the boxes and the types of each phrase whose boxes cover enough."""
    given = read_maps(maps)
    truth = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    for image, number, rows in given.caption:
        size = width, height = truth["size"][image]
        words = rows.reshape(len(rows), *(given.grid or (1, 1)))
        for phrase in truth["captions"][image][number]:
            boxes = truth["boxes"][image].get(phrase["entity"], [])
            if not boxes or "notvisual" in phrase["types"]:
                continue
            x1, y1, x2, y2 = around(boxes)
            if (x2 - x1) / width * ((y2 - y1) / height) >= SMALLEST:
                yield np.average(words[phrase["places"]], axis=0), size, boxes, phrase["types"]


def points(heat: Heat, size: Size, boxes: Boxes) -> float:
    """1 if the first of the top pixels lies in a box, edges included."""
    larger = enlarged(heat, size)
    y, x = np.unravel_index(np.argmax(larger), larger.shape)
    return float(any(x1 <= x <= x2 and y1 <= y <= y2 for x1, y1, x2, y2 in boxes))


def share_inside(heat: Heat, size: Size, boxes: Boxes) -> float:
    """The share of the map inside the boxes; what lies in several counts for each."""
    larger = enlarged(heat, size)
    larger /= larger.sum()
    return sum(float(larger[y1:y2, x1:x2].sum()) for x1, y1, x2, y2 in boxes)


def fits(heat: Heat, size: Size, boxes: Boxes) -> float:
    """1 if the box around the drawn boxes fits the one around the annotated boxes."""
    width, height = size
    drawn = [box for box in drawn_boxes(heat, size) if area(box) < LARGEST * width * height]
    return float(bool(drawn) and iou(around(drawn), around(boxes)) >= ENOUGH)


def drawn_boxes(heat: Heat, size: Size) -> list[Box]:
    """The boxes of a map: around the pixels that hang together with a peak and have at least a share of its value."""
    heat = heat - heat.min()
    heat = heat / heat.max()
    larger = enlarged(heat, size)
    boxes, values = [], []
    for y, x in peaks(heat):
        place = int((y + 0.5) * larger.shape[0] / heat.shape[0]), int((x + 0.5) * larger.shape[1] / heat.shape[1])
        parts, _ = ndimage.label(larger > larger[place] * PEAK)
        rows, columns = np.where(parts == parts[place])
        boxes.append((columns.min(), rows.min(), columns.max(), rows.max()))
        values.append(larger[place])
    return apart([boxes[place] for place in np.argsort(-np.asarray(values))[:BOXES]])


def peaks(heat: Heat) -> list[tuple[int, int]]:
    """The rows and columns of cells that no neighbour exceeds and that are high enough, the highest first."""
    high = (heat == ndimage.maximum_filter(heat, size=3, mode="nearest")) & (heat > PEAK * heat.max())
    rows, columns = np.nonzero(high)
    order = np.argsort(-heat[rows, columns], kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))


def apart(boxes: list[Box]) -> list[Box]:
    """Boxes without those that lie mostly in another one; of two the smaller goes, of equal ones the second."""
    gone: set[int] = set()
    for second, other in enumerate(boxes):
        for first, box in enumerate(boxes[:second]):
            if first in gone:
                continue
            shared = area((max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])))
            inner, outer = shared / area(other), shared / area(box)
            if inner > INSIDE and inner >= outer:
                gone.add(second)
            elif outer > INSIDE:
                gone.add(first)
    return [box for place, box in enumerate(boxes) if place not in gone]


def around(boxes: list[Box] | Boxes) -> Box:
    """The box around some boxes."""
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return low[0], low[1], high[2], high[3]


def area(box: Box) -> float:
    """The area of a box; an inverted one has none."""
    return float(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))


def iou(first: Box, second: Box) -> float:
    """The IoU of two boxes."""
    (x1, y1, x2, y2), (u1, v1, u2, v2) = first, second
    shared = area((max(x1, u1), max(y1, v1), min(x2, u2), min(y2, v2)))
    return shared / (area(first) + area(second) - shared)


def enlarged(heat: Heat, size: Size) -> Heat:
    """A map in the size of the image, bilinear between the centres of cells, in the map's precision."""
    width, height = size
    down, across = taps(heat.shape[0], height), taps(heat.shape[1], width)
    return np.asarray(down.astype(heat.dtype) @ heat @ across.T.astype(heat.dtype), heat.dtype)


@functools.cache
def taps(cells: int, pixels: int) -> NDArray[np.float64]:
    """The share f8[pixels, cells] that each cell has in each pixel of a line."""
    place = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    return np.asarray(np.maximum(1 - np.abs(place[:, None] - np.arange(cells)), 0), np.float64)
