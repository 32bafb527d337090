"""Recall@K of a similarity matrix, for validation during training.

Ties count by their expected value, so a constant matrix scores chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RANKS = (1, 5, 10)


@dataclass(frozen=True)
class Recall:
    """Recall@1, 5, 10 as fractions: i2t finds one of an image's captions, t2i finds the caption's image."""

    i2t: tuple[float, float, float]
    t2i: tuple[float, float, float]

    @property
    def rsum(self) -> float:
        """The sum of all six, 0 to 6."""
        return sum(self.i2t) + sum(self.t2i)

    def named(self) -> dict[str, float]:
        """By name: `i2t_r@1` ... `t2i_r@10`, `rsum`."""
        named = {
            f"{direction}_r@{rank}": value
            for direction, values in asdict(self).items()
            for rank, value in zip(RANKS, values, strict=True)
        }
        return {**named, "rsum": self.rsum}


def recall(similarity: NDArray[np.floating], caption_image: NDArray[np.integer]) -> Recall:
    """Score a matrix.

    Args:
        similarity: [I, N] images x captions.
        caption_image: [N] image of each caption.

    Raises:
        DataError: A score is not finite, or an image has no caption.
    """
    images, captions = similarity.shape
    if not np.isfinite(similarity).all():
        raise DataError(f"{(~np.isfinite(similarity)).sum()} of {similarity.size} similarities are not finite")
    if len(np.unique(caption_image)) < images:
        raise DataError(f"only {len(np.unique(caption_image))} of {images} images have captions")
    own = caption_image[None, :] == np.arange(images)[:, None]
    best = np.where(own, similarity, -np.inf).max(1, keepdims=True)
    i2t = _hits((similarity > best).sum(1), (similarity == best).sum(1), (own & (similarity == best)).sum(1))
    target = similarity[caption_image, np.arange(captions)]
    t2i = _hits((similarity > target).sum(0), (similarity == target).sum(0), np.ones(captions, np.int64))
    return Recall(i2t, t2i)


def mean_recall(recalls: Sequence[Recall]) -> Recall:
    """The mean over folds."""
    i2t = np.mean([each.i2t for each in recalls], axis=0).tolist()
    t2i = np.mean([each.t2i for each in recalls], axis=0).tolist()
    return Recall((i2t[0], i2t[1], i2t[2]), (t2i[0], t2i[1], t2i[2]))


def _hits(better: NDArray[np.int64], tied: NDArray[np.int64], own: NDArray[np.int64]) -> tuple[float, float, float]:
    """Mean chance that one of `own` of the `tied` best targets is among the first 1, 5, 10, behind `better` others."""
    misses = np.ones(len(better))
    found = {}
    for place in range(max(RANKS)):
        # The chance that this place, if it falls among the tied ones, does not hold a target either.
        taken = place - better
        rest = tied - taken
        among = (taken >= 0) & (rest > 0)
        misses *= np.where(among, np.maximum(rest - own, 0) / np.maximum(rest, 1), 1.0)
        found[place + 1] = float(np.mean(1 - misses))
    return found[1], found[5], found[10]
