"""Recall and pointing accuracy as info-ground's evaluator for Flickr30k phrases finds them.

Gupta et al., Contrastive Learning for Weakly Supervised Phrase Grounding, ECCV 2020. Corners count from 1, sides have
one pixel more than their difference, a point on an edge is outside; a phrase has the largest weight of its word pieces;
the ten best boxes are compared with the annotated ones pair by pair. Phrases without boxes are ranked, too, before it
is known that they have none. Annotations were turned into JSON once, before. When it is a caption's turn, its regions
are read from their file, which is HDF5 there and takes longer to open than numpy's, and it is cut into word pieces,
which are joined to words again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch

from .inputs import as_json, images_of, read_annotations, read_maps, sentences, words_of
from .word_pieces import joined, pieces_of, plain_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    Box = Sequence[float] | NDArray[np.floating]

K = (1, 5, 10)
ENOUGH = 0.5


def prepare(maps: Path, annotations: Path, folder: Path) -> None:
    """Write what is made once: annotations as JSON, boxes from 0, the regions of each image, and a vocabulary."""
    given = read_maps(maps)
    truth = as_json(read_annotations(annotations, images_of(given)))
    for entities in truth["boxes"].values():
        for entity, boxes in entities.items():
            entities[entity] = [[corner - 1 for corner in box] for box in boxes]
    spoken = {
        image: [" ".join(map(spelled, words_of(line))) for line in sentences(annotations, image)]
        for image in given.boxes
    }
    truth["sentences"] = spoken
    truth["vocabulary"] = sorted({word for texts in spoken.values() for text in texts for word in plain_words(text)})
    folder.mkdir()
    (folder / "annotations.json").write_text(json.dumps(truth), encoding="utf-8")
    for image, regions in given.boxes.items():
        np.save(folder / f"{image}.npy", regions)


def spelled(word: str) -> str:
    """A word as its pieces spell it: they are joined until they are the word, which accents would prevent."""
    return "".join(plain_words(word)) or word


def evaluate(maps: Path, folder: Path) -> dict[str, float]:
    """Recall of the first 1, 5 and 10 boxes, and the share of phrases whose first box has its centre in a box."""
    given = read_maps(maps)
    truth = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    vocabulary = {word: number for number, word in enumerate(truth["vocabulary"])}
    right, pointed, phrases = dict.fromkeys(K, 0), 0, 0
    for image, number, rows in given.caption:
        regions, weights = np.load(folder / f"{image}.npy"), torch.from_numpy(rows)
        sentence = truth["sentences"][image][number]
        pieces = joined(pieces_of(sentence, vocabulary), sentence.split())
        # Maps have a row for each word here, and for each of its pieces there.
        row = {piece: word for word, own in enumerate(pieces) for piece in own}
        for phrase in truth["captions"][image][number]:
            tokens: set[int] = set()
            for place in phrase["places"]:
                tokens.update(pieces[place])
            if not tokens:
                continue
            ranked = best_boxes(regions, largest(weights, [row[token] for token in tokens]))
            if phrase["entity"] not in truth["boxes"][image]:
                continue
            wanted = truth["boxes"][image][phrase["entity"]]
            hit = [any(iou(box, other) >= ENOUGH for other in wanted) for box in ranked]
            for k in K:
                right[k] += any(hit[:k])
            pointed += any(holds(other, ranked[0]) for other in wanted)
            phrases += 1
    return {**{f"r@{k}": right[k] / phrases for k in K}, "pointing": pointed / phrases}


def largest(weights: Tensor, rows: Iterable[int]) -> Tensor:
    """The largest weight f4[R] of some rows, one after the other."""
    first, *others = rows
    best = weights[first]
    for row in others:
        best = torch.max(best, weights[row])
    return best


def best_boxes(regions: NDArray[np.float32], weights: Tensor) -> list[Box]:
    """The boxes of the ten largest weights; numbers of boxes stay tensors, as there."""
    return [regions[place] for place in torch.topk(weights, K[-1])[1] if place < len(regions)]


def iou(first: Box, second: Box) -> float:
    """The IoU of two boxes in pixels, both edges included."""
    x1, y1, x2, y2 = first
    u1, v1, u2, v2 = second
    shared = pixels((max(x1, u1), max(y1, v1), min(x2, u2), min(y2, v2)))
    return float(shared / (pixels(first) + pixels(second) - shared + 1e-6))


def pixels(box: Box) -> float:
    """The pixels of a box; an inverted one has none."""
    x1, y1, x2, y2 = box
    return 0.0 if x2 <= x1 or y2 <= y1 else (x2 - x1 + 1) * (y2 - y1 + 1)


def holds(box: Box, other: Box) -> bool:
    """Whether a box holds the centre of another."""
    x1, y1, x2, y2 = box
    x, y = 0.5 * (other[0] + other[2]), 0.5 * (other[1] + other[3])
    return bool(x1 < x < x2 and y1 < y < y2)
