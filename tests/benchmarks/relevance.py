"""Retrieval with relevance sets, whole commands against lists of ids that are looked up query by query."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval import Options, Protocol, score

from .kernels import PER_IMAGE, agree
from .peers import lists_of_ids, recall_in_folds, scored_lists
from .timing import CLOCKS, Row, at_least, clock, duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

IMAGES, FOLDS = 5000, 5
QUERIES = {"original": 1.0, "cxc": 1.0, "eccv": 0.26}
"""The share of queries that a set has, about those of the sets over COCO."""
LISTED = {"original": (PER_IMAGE, 1), "cxc": (7, 2), "eccv": (18, 8)}
"""How many answers it lists for an image and for a caption."""


def sets(folder: Path, images: int = IMAGES) -> Iterator[Row]:
    """Three relevance sets over a gallery as COCO's 5K, with Recall@K in five folds: ours is two whole commands."""
    random = np.random.default_rng(0)
    captions = images * PER_IMAGE
    owner = np.repeat(np.arange(images), PER_IMAGE)
    scores = random.standard_normal((images, captions), np.float32)
    scores[owner, np.arange(captions)] += 3
    matrix = folder / "relevance.npy"
    np.save(matrix, scores)
    np.save(folder / "ids.npy", np.arange(captions))
    np.save(folder / "images.npy", np.arange(images))
    made = {name: _made(random, name, images) for name in QUERIES}
    files = []
    for name, parts in made.items():
        for direction, relevant in parts.items():
            files.append(folder / f"{name}_{direction}.json")
            files[-1].write_text(json.dumps(relevant))
    given: dict[str, Any] = {
        "similarity": [matrix],
        "relevance": files,
        "caption_ids": folder / "ids.npy",
        "image_ids": folder / "images.npy",
        "options": Options(resamples=0),
    }
    now = CLOCKS[clock[0]]
    start = now()
    whole = score(**given)
    in_folds = score(**given, protocol=Protocol(folds=FOLDS))
    ours = now() - start
    start = now()
    theirs, folded = _by_lists(scores, made, images)
    seconds = now() - start
    for name, value in theirs.items():
        agree(abs((whole[name] or 0) - value) < 1e-9, name)
    for direction, recalls in folded.items():
        for k, value in zip((1, 5, 10), recalls, strict=True):
            agree(abs((in_folds[f"{direction}_r@{k}"] or 0) - value) < 1e-9, f"{direction}_r@{k} in folds")
    work = f"three relevance sets and {FOLDS} folds, {images:,} x {captions:,}"
    yield Row(work, duration(ours), "lists of ids", duration(seconds), seconds / ours, at_least(20))


def _made(random: np.random.Generator, name: str, images: int) -> dict[str, dict[int, list[int]]]:
    """A relevance set by direction; the original one lists what belongs together."""
    captions = images * PER_IMAGE
    if name == "original":
        whose = np.arange(captions).reshape(images, PER_IMAGE).tolist()
        return {"i2t": dict(enumerate(whose)), "t2i": {c: [c // PER_IMAGE] for c in range(captions)}}
    parts = {}
    for direction, queries, answers, listed in (
        ("i2t", images, captions, LISTED[name][0]),
        ("t2i", captions, images, LISTED[name][1]),
    ):
        asked = random.permutation(queries)[: int(QUERIES[name] * queries * (0.2 if listed == 8 else 1))]
        near = {
            query: query * PER_IMAGE if direction == "i2t" else query // PER_IMAGE for query in sorted(asked.tolist())
        }
        parts[direction] = {
            query: list(dict.fromkeys([first, *random.integers(0, answers, listed - 1).tolist()]))
            for query, first in near.items()
        }
    return parts


def _by_lists(
    scores: NDArray[np.float32], made: dict[str, dict[str, dict[int, list[int]]]], images: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The peer's road: lists of all answers, sets looked up in them, and the lists cut down for folds."""
    captions = images * PER_IMAGE
    lists = {
        "i2t": lists_of_ids(scores, list(range(images)), list(range(captions))),
        "t2i": lists_of_ids(scores.T, list(range(captions)), list(range(images))),
    }
    values = {
        f"{name}_{direction}_{metric}": value
        for name, parts in made.items()
        for direction, relevant in parts.items()
        for metric, value in scored_lists(lists[direction], relevant).items()
    }
    size = images // FOLDS
    of_images = [set(range(f * size, (f + 1) * size)) for f in range(FOLDS)]
    of_captions = [set(range(f * size * PER_IMAGE, (f + 1) * size * PER_IMAGE)) for f in range(FOLDS)]
    i2t, t2i = list(zip(of_images, of_captions, strict=True)), list(zip(of_captions, of_images, strict=True))
    return values, {
        "i2t": recall_in_folds(lists["i2t"], made["original"]["i2t"], i2t),
        "t2i": recall_in_folds(lists["t2i"], made["original"]["t2i"], t2i),
    }
