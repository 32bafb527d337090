"""A matrix with ids and relevance sets over it, as files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import relevance_reference as reference

from attneval import Options, Result, score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FAST = Options(resamples=20)
IMAGES, EACH = 6, 3


def write(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values))
    return path


class World:
    """A matrix of 6 images and 18 captions, with ids, and relevance sets over it."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.folder = folder
        self.scores: NDArray[np.floating] = random.integers(0, 40, (IMAGES, IMAGES * EACH)).astype(np.float32)
        self.owner = [c // EACH for c in range(IMAGES * EACH)]
        self.image = [str(100 + 7 * i) for i in range(IMAGES)]
        # The numbers of some captions are those of images, too.
        self.caption = [str(100 + c) for c in range(IMAGES * EACH)]
        self.relevant = {
            "i2t": {i: random.choice(IMAGES * EACH, 4, replace=False).tolist() for i in (0, 2, 3, 5)},
            "t2i": {c: random.choice(IMAGES, 2, replace=False).tolist() for c in range(0, IMAGES * EACH, 2)},
        }
        self.matrix = folder / "scores.npy"
        np.save(self.matrix, self.scores)
        self.caption_ids = folder / "ids.npy"
        np.save(self.caption_ids, np.array(self.caption).astype(np.int64))
        self.image_ids = folder / "images.txt"
        self.image_ids.write_text("\n".join(self.image))

    def named(self, direction: str, row: Any, *, answer: bool = False) -> str:
        images = (direction == "i2t") != answer
        return str(row) if not isinstance(row, int) else (self.image if images else self.caption)[row]

    def set(self, name: str = "made", relevant: Mapping[str, Mapping[int, Sequence[Any]]] | None = None) -> list[Path]:
        """The files of a set: keys as texts, answers as numbers."""
        files = []
        for direction, queries in (relevant or self.relevant).items():
            values = {
                self.named(direction, query): [int(self.named(direction, a, answer=True)) for a in answers]
                for query, answers in queries.items()
            }
            sides = "image_to_caption" if direction == "i2t" else "caption_to_image"
            files.append(write(self.folder / f"{name}_{sides}.json", values))
        return files

    def original(self) -> list[Path]:
        """The pair that lists what belongs together."""
        captions = {i: [c for c in range(IMAGES * EACH) if self.owner[c] == i] for i in range(IMAGES)}
        return self.set("original", {"i2t": captions, "t2i": {c: [i] for c, i in enumerate(self.owner)}})

    def score(self, **changes: Any) -> Result:
        given: dict[str, Any] = {
            "similarity": [self.matrix],
            "relevance": self.set(),
            "caption_ids": self.caption_ids,
            "image_ids": self.image_ids,
            "options": FAST,
        }
        return score(**(given | changes))

    def expected(self, ties: str = "expected", folds: int = 1) -> dict[str, float]:
        return reference.relevance(self.scores.tolist(), self.owner, self.relevant, ties, folds)


def of_set(result: Result, name: str = "made") -> dict[str, float | None]:
    values = {m.removeprefix(f"{name}_"): v.value for m, v in result.metrics.items() if m.startswith(f"{name}_")}
    chance = result.scores.baselines["chance"]
    return values | {
        f"chance_{m.removeprefix(f'{name}_')}": v.value for m, v in chance.items() if m.startswith(f"{name}_")
    }


def ranked(world: World, depth: int) -> dict[str, dict[str, list[str]]]:
    scores = world.scores + np.random.default_rng(1).random(world.scores.shape) * 0.5
    world.scores = scores
    np.save(world.matrix, scores)
    return {
        "i2t": {name: [world.caption[c] for c in np.argsort(-scores[i])[:depth]] for i, name in enumerate(world.image)},
        "t2i": {
            name: [world.image[i] for i in np.argsort(-scores[:, c])[:depth]] for c, name in enumerate(world.caption)
        },
    }
