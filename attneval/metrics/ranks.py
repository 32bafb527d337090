"""The ranks of right answers in a similarity matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from attneval.arrays.records import record
from attneval.metrics.ties import expected_rank, first_within

if TYPE_CHECKING:
    from numpy.typing import NDArray


BLOCK_BYTES = 2**19
"""Bytes of the matrix that are compared at once: all comparisons then read them from the cache."""


ROWS = 255
"""Rows that are counted, or looked at, together: so many fit a byte."""


DIRECTIONS = IMAGE_TO_TEXT, TEXT_TO_IMAGE = "i2t", "t2i"
"""The directions of retrieval, in the order of tables."""


class Matrix(Protocol):
    """Scores of I images with N captions, read by rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """(I, N)."""

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        """The scores f[stop - start, N] of some images."""


class NonFiniteScoreError(ValueError):
    """A score is NaN or infinite.

    Args:
        image: The row of its image in the matrix.
        caption: The column of its caption.
        value: What it is.
    """

    def __init__(self, image: int, caption: int, value: float) -> None:
        super().__init__(f"the score of image {image} with caption {caption} is {value}")
        self.image, self.caption, self.value = image, caption, value


@record
class Ranks:
    """The ranks of the right answers of q queries among all.

    Attributes:
        image: i8[q], the image that the query belongs to, for resampling.
        ahead: i8[q], wrong answers that score higher than the best right one.
        others: i8[q], wrong answers that score the same.
        relevant: i8[q], right answers that score the same, the best one included.
        fold: i8[q], the fold whose answers the query was ranked among.
        ties: `expected`, `worst` or `best`.
    """

    image: NDArray[np.int64]
    ahead: NDArray[np.int64]
    others: NDArray[np.int64]
    relevant: NDArray[np.int64]
    fold: NDArray[np.int64]
    ties: str

    def rank(self) -> NDArray[np.float64]:
        """Rank the best right answers, from 1: f8[q]."""
        if self.ties == "best":
            return np.asarray(self.ahead + 1.0, np.float64)
        if self.ties == "worst":
            return np.asarray(self.ahead + 1.0 + self.others, np.float64)
        return expected_rank(self.ahead, self.others, self.relevant)

    def hit(self, k: int) -> NDArray[np.float64]:
        """Tell for which queries a right answer is among the first k, as a probability under `expected`: f8[q]."""
        if self.ties == "expected":
            return first_within(k, self.ahead, self.others, self.relevant)
        return (self.rank() <= k).astype(np.float64)

    def weight(self) -> NDArray[np.float64]:
        """Weigh queries so that all folds count the same, with a mean of 1: f8[q]."""
        size = np.bincount(self.fold)
        return np.asarray(len(self.fold) / (np.count_nonzero(size) * size[self.fold]), np.float64)


def retrieval_ranks(
    scores: Matrix, caption_image: NDArray[np.int64], *, ties: str = "expected", folds: int = 1
) -> dict[str, Ranks]:
    """Rank the captions for each image and the images for each caption.

    Args:
        scores: Scores of I images with N captions.
        caption_image: i8[N], the image of each caption.
        ties: How equal scores are ranked.
        folds: Into how many consecutive folds of images, each with its captions, the matrix is cut.

    Returns:
        Ranks by direction: `i2t`, of each image's best caption; `t2i`, of each caption's image.

    Raises:
        NonFiniteScoreError: A score is not finite.
        ValueError: The images do not divide into the folds.
    """
    images = scores.shape[0]
    if images % folds:
        raise ValueError(f"{images} images do not divide into {folds} folds of equal size")
    fold_of_image = np.arange(images) // max(images // folds, 1)
    parts = [_rank_fold(scores, caption_image, fold_of_image, fold) for fold in range(folds)]
    joined = {}
    for direction in (IMAGE_TO_TEXT, TEXT_TO_IMAGE):
        image, ahead, others, relevant = (
            np.concatenate(column) for column in zip(*(part[direction] for part in parts), strict=True)
        )
        joined[direction] = Ranks(image, ahead, others, relevant, fold_of_image[image], ties)
    return joined


@np.errstate(over="ignore", invalid="ignore")  # of sums that only look for what is not finite
def _rank_fold(
    scores: Matrix, caption_image: NDArray[np.int64], fold_of_image: NDArray[np.int64], fold: int
) -> dict[str, tuple[NDArray[np.int64], ...]]:
    rows = np.flatnonzero(fold_of_image == fold)
    columns = np.flatnonzero(fold_of_image[caption_image] == fold)
    everything = len(columns) == len(caption_image)
    image = caption_image[columns] - rows[0]
    order = np.argsort(image, kind="stable")
    owner = image[order]
    bound = np.searchsorted(owner, np.arange(len(rows) + 1))
    height = int(np.clip(BLOCK_BYTES // max(4 * len(columns), 1), 1, ROWS))
    right_scores = _right_scores(scores, rows, columns[order], bound)
    target = right_scores[np.argsort(order)]
    asked = np.flatnonzero(np.diff(bound))
    best = np.full(len(rows), np.inf, right_scores.dtype)
    best[asked] = np.maximum.reduceat(right_scores, bound[asked]) if len(asked) else right_scores
    right = np.bincount(owner[right_scores == best[owner]], minlength=len(rows))
    higher, equal = np.zeros(len(columns), np.int64), np.zeros(len(columns), np.int64)
    ahead, same = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for start in range(0, len(rows), ROWS):
        # Counts of so few rows fit a byte, and bytes add up fastest.
        above = np.zeros(len(columns), np.uint8)
        for first in range(start, min(start + ROWS, len(rows)), height):
            last = min(first + height, start + ROWS, len(rows))
            block = _block(scores, rows, first, last)
            block = block if everything else block[:, columns]
            _refuse_non_finite(block, int(rows[first]), columns)
            above += (block > target).view(np.uint8).sum(axis=0, dtype=np.uint8)
            same_score = block == target
            if np.count_nonzero(same_score) > bound[last] - bound[first]:
                # Other images score the same as some caption's own, which is seldom.
                equal += same_score.view(np.uint8).sum(axis=0, dtype=np.uint8)
                equal[order[bound[first] : bound[last]]] -= 1
            for row, line in enumerate(block, first):
                reached = np.count_nonzero(line >= best[row])
                if reached > right[row]:
                    ahead[row] = np.count_nonzero(line > best[row])
                same[row] = reached - ahead[row]
        higher += above
    return {
        IMAGE_TO_TEXT: (rows[asked], ahead[asked], (same - right)[asked], right[asked]),
        TEXT_TO_IMAGE: (caption_image[columns], higher, equal, np.ones_like(equal)),
    }


def _block(scores: Matrix, rows: NDArray[np.int64], first: int, last: int) -> NDArray[np.floating]:
    """The scores of some consecutive images of a fold, in single precision at least."""
    block = scores.rows(int(rows[first]), int(rows[last - 1]) + 1)
    return block.astype(np.float32) if block.dtype.itemsize < 4 else np.asarray(block)


def _right_scores(
    scores: Matrix, rows: NDArray[np.int64], columns: NDArray[np.int64], bound: NDArray[np.int64]
) -> NDArray[np.floating]:
    """The score of each caption with its own image; the captions are in the order of their images."""
    image = np.repeat(np.arange(len(rows)), np.diff(bound))
    pieces = []
    for first in range(0, len(rows), ROWS):
        last = min(first + ROWS, len(rows))
        right_scores = slice(bound[first], bound[last])
        pieces.append(_block(scores, rows, first, last)[image[right_scores] - first, columns[right_scores]])
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _refuse_non_finite(block: NDArray[np.floating], first: int, columns: NDArray[np.int64]) -> None:
    # A sum of squares, the fastest to be had, is finite unless scores are huge, which is looked at closely.
    flat = block.ravel()
    if np.isfinite(flat @ flat):
        return
    finite = np.isfinite(block)
    if finite.all():
        return
    row, column = (int(index[0]) for index in np.nonzero(~finite))
    raise NonFiniteScoreError(first + row, int(columns[column]), block[row, column])
