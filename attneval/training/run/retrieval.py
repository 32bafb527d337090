"""Recall@K of a similarity matrix, for validation during training.

Ranks and ties are those of `attneval.metrics`: ties count by their expected value, so a constant matrix scores chance.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.errors import DataError
from attneval.metrics.ranks import IMAGE_TO_TEXT, TEXT_TO_IMAGE, NonFiniteScoreError, retrieval_ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.metrics.ranks import Ranks

CUTOFFS = (1, 5, 10)


@dataclass(frozen=True)
class Recall:
    """Recall@1, 5, 10 as shares.

    Args:
        i2t: Image-to-text: one of the image's captions is among the first K.
        t2i: Text-to-image: the caption's image is among the first K.
    """

    i2t: tuple[float, float, float]
    t2i: tuple[float, float, float]

    @property
    def rsum(self) -> float:
        """The sum of all six, 0 to 6."""
        return sum(self.i2t) + sum(self.t2i)

    def named(self) -> dict[str, float]:
        """By name: `i2t_r@1` ... `t2i_r@10`, `rsum`."""
        named = {
            f"{direction}_r@{k}": value
            for direction, values in asdict(self).items()
            for k, value in zip(CUTOFFS, values, strict=True)
        }
        return {**named, "rsum": self.rsum}


def recall(similarity: NDArray[np.floating], caption_image: NDArray[np.integer]) -> Recall:
    """Score a matrix.

    Args:
        similarity: f[I, N] scores of images and captions.
        caption_image: i[N], the image of each caption.

    Raises:
        DataError: A score is not finite, or an image has no caption.
    """
    images = len(similarity)
    if (with_captions := len(distinct_values(caption_image))) < images:
        raise DataError(f"only {with_captions} of {images} images have captions")
    try:
        ranks = retrieval_ranks(_WholeMatrix(similarity), np.asarray(caption_image, np.int64))
    except NonFiniteScoreError as error:
        raise DataError(str(error)) from error
    return Recall(_shares(ranks[IMAGE_TO_TEXT]), _shares(ranks[TEXT_TO_IMAGE]))


def mean_recall(recalls: Sequence[Recall]) -> Recall:
    """The mean over folds."""
    i2t = np.mean([each.i2t for each in recalls], axis=0).tolist()
    t2i = np.mean([each.t2i for each in recalls], axis=0).tolist()
    return Recall((i2t[0], i2t[1], i2t[2]), (t2i[0], t2i[1], t2i[2]))


@dataclass(frozen=True)
class _WholeMatrix:
    """Scores f[I, N] in memory, in the form that ranks are made from."""

    scores: NDArray[np.floating]

    @property
    def shape(self) -> tuple[int, int]:
        images, captions = self.scores.shape
        return images, captions

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        return self.scores[start:stop]


def _shares(ranks: Ranks) -> tuple[float, float, float]:
    first, fifth, tenth = (float(np.mean(ranks.hit(k))) for k in CUTOFFS)
    return first, fifth, tenth
