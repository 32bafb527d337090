"""Localisation accuracy by class as the evaluator of Grounded Video Description finds it for Flickr30k Entities.

Zhou et al., Grounded Video Description, CVPR 2019. The object word is the phrase's last one, and its own class; its top
region is held against the box around the annotated ones, sides of both with one pixel more than their difference. The
reference is made once, before. The top regions of object words are gathered image by image and go through a file, which
the evaluation reads; it takes one word after the other, its box and the reference's as tensors of their own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .inputs import boxed, images_of, read_annotations, read_maps

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

Words = dict[str, list[Any]]
"""Of a caption: `classes`, `places` and `boxes` of its object words."""

ENOUGH = 0.5


def prepare(maps: Path, annotations: Path, folder: Path) -> None:
    """Write the reference: the object words of each caption, their classes and the boxes around the annotated ones."""
    images = images_of(read_maps(maps))
    truth = read_annotations(annotations, images)
    reference = []
    for image in images:
        captions = []
        for phrases in truth.captions[image]:
            words: Words = {"classes": [], "places": [], "boxes": []}
            for phrase in boxed(phrases, truth.boxes[image]):
                boxes = np.asarray(truth.boxes[image][phrase.entity])
                words["classes"].append(phrase.words[-1].casefold())
                words["places"].append(phrase.places[-1])
                words["boxes"].append([*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()])
            captions.append(words)
        reference.append({"image": image, "captions": captions})
    folder.mkdir()
    (folder / "reference.json").write_text(json.dumps(reference), encoding="utf-8")


def evaluate(maps: Path, folder: Path) -> dict[str, float]:
    """The mean over classes of the share of words whose top region fits, and that share over all words."""
    submit(maps, folder)
    reference = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    submission = json.loads((folder / "submission.json").read_text(encoding="utf-8"))
    results: dict[str, list[int]] = defaultdict(list)
    for own in reference:
        for number, caption in enumerate(own["captions"]):
            boxes = torch.Tensor(caption["boxes"])
            for place in caption["places"]:
                word = caption["places"].index(place)
                name = caption["classes"][word]
                given = submission[own["image"]][number]
                if place not in given["places"]:
                    results[name].append(0)
                    continue
                top = torch.Tensor(given["boxes"][given["places"].index(place)])
                overlap = overlaps(top[None, None], boxes[word][None, None])
                results[name].append(1 if torch.max(overlap) > ENOUGH else 0)
    every = [hit for hits in results.values() for hit in hits]
    return {
        "class_pointing": float(np.mean([sum(hits) / len(hits) for hits in results.values()])),
        "pointing": sum(every) / len(every),
    }


def submit(maps: Path, folder: Path) -> None:
    """Write the top region of every object word."""
    given = read_maps(maps)
    rows = {(image, number): rows for image, number, rows in given.caption}
    reference = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    names = sorted({name for own in reference for caption in own["captions"] for name in caption["classes"]})
    label = {name: number for number, name in enumerate(names, 1)}
    submission = {}
    for own in reference:
        image = own["image"]
        each = [rows[image, number] for number in range(len(own["captions"]))]
        labels = torch.zeros(len(each), max(map(len, each)), dtype=torch.int64)
        for number, caption in enumerate(own["captions"]):
            for place, name in zip(caption["places"], caption["classes"], strict=True):
                labels[number, place] = label[name]
        submission[image] = top_boxes(labels, names, each, torch.from_numpy(given.boxes[image]))
    (folder / "submission.json").write_text(json.dumps(submission), encoding="utf-8")


def top_boxes(labels: Tensor, names: list[str], each: list[NDArray[np.floating]], regions: Tensor) -> list[Words]:
    """The top regions of an image's object words, place by place.

    Args:
        labels: i8[C, T], the numbers of classes from 1; 0 where there is no object word.
        names: The classes.
        each: The weights f4[t, R] of each caption, of the first t places.
        regions: f4[R, 4].
    """
    weights = torch.zeros(*labels.shape, len(regions))
    for number, rows in enumerate(each):
        weights[number, : len(rows)] = torch.from_numpy(rows)
    best = torch.max(weights, dim=2).indices
    asked = labels > 0
    boxes = torch.gather(
        regions.expand(len(labels), *regions.shape), 1, best[:, :, None].expand(*best.shape, regions.shape[1])
    )
    found: list[Words] = []
    for number in range(labels.shape[0]):
        words: Words = {"classes": [], "places": [], "boxes": []}
        for place in range(labels.shape[1]):
            if asked[number, place]:
                words["classes"].append(names[int(labels[number, place].item()) - 1])
                words["places"].append(place)
                words["boxes"].append(boxes[number, place].tolist())
        found.append(words)
    return found


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """The IoU f4[B, n, m] of batches of boxes, in pixels."""
    sides = [[box[..., axis + 2] - box[..., axis] + 1 for axis in (0, 1)] for box in (first, second)]
    count, other = first.shape[1], second.shape[1]
    one = first.view(-1, count, 1, 4).expand(-1, count, other, 4)
    two = second.view(-1, 1, other, 4).expand(-1, count, other, 4)
    shared = [
        torch.min(one[..., axis + 2], two[..., axis + 2]) - torch.max(one[..., axis], two[..., axis]) + 1
        for axis in (0, 1)
    ]
    for side in shared:
        side[side < 0] = 0
    both = shared[0] * shared[1]
    areas = [(side[0] * side[1]) for side in sides]
    found = both / (areas[0][..., None] + areas[1][:, None] - both)
    # Boxes of one pixel are padding there.
    empty = [(side[0] == 1) & (side[1] == 1) for side in sides]
    found.masked_fill_(empty[1][:, None].expand_as(found), 0)
    return found.masked_fill_(empty[0][..., None].expand_as(found), -1)
