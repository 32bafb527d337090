"""Ranks of retrieval queries and their medians, which are no function of sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@record
class RankTable:
    """The ranks of retrieval queries, for medians, which are no function of sums.

    Attributes:
        image: i8[q], the row of the image each query belongs to.
        rank: f8[q], from 1.
        fold: i8[q], the fold it was ranked in.
    """

    image: NDArray[np.int64]
    rank: NDArray[np.float64]
    fold: NDArray[np.int64]

    def median(self) -> float:
        """Compute the median rank, averaged over folds: `medians` with each image counted once, in far less time."""
        folds = [np.sort(self.rank[self.fold == fold]) for fold in distinct_values(self.fold).tolist()]
        middle = [(ranks[(len(ranks) - 1) // 2] + ranks[len(ranks) // 2]) / 2 for ranks in folds]
        return float(np.mean(middle)) if middle else np.nan

    def medians(self, repeats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute median ranks, averaged over folds, when images count several times.

        Args:
            repeats: f8[b, I], how often each image counts in each of b resamples, in whole numbers.

        Returns:
            f8[b]; NaN where a fold has no query left.
        """
        return self.counted(repeats.shape[1])(repeats.astype(np.float32))

    def counted(self, images: int) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        """Make the function `medians` for I images, of f4[b, I], which counts the queries once for all its calls."""
        folds = [np.flatnonzero(self.fold == fold) for fold in distinct_values(self.fold).tolist()]
        medians_of_folds = [_medians(self.rank[rows], self.image[rows], images) for rows in folds]

        def medians(repeats: NDArray[np.float32]) -> NDArray[np.float64]:
            by_fold = [median(repeats) for median in medians_of_folds]
            return np.asarray(np.mean(by_fold, axis=0)) if by_fold else np.full(len(repeats), np.nan)

        return medians


def _medians(
    rank: NDArray[np.float64], image: NDArray[np.int64], images: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    values, place = np.unique(rank, return_inverse=True)
    cumulative = counts_up_to(place, image, (images, len(values)))
    return lambda weight: medians_of(values, lambda columns: weight @ cumulative[:, columns])


def counts_up_to(place: NDArray[np.int64], image: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Count the queries of each image that rank up to each of v values: f4[I, v], whole numbers.

    Args:
        place: i8[q], the place of each query's rank among the values.
        image: i8[q], the row of each query's image.
        shape: I and v.
    """
    count = np.zeros(shape, np.float32)
    np.add.at(count, (image, place), 1)
    return np.cumsum(count, axis=1)


def medians_of(
    values: NDArray[np.float64], up_to: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Compute medians of many samples of the same v values, from how often values occur in each sample.

    Args:
        values: f8[v], ascending.
        up_to: From k places of values to f4[..., k]: how many members of each sample are at most these values.

    Returns:
        f8[...]; NaN where a sample has no members.
    """
    total = up_to(np.array([len(values) - 1]))[..., 0]
    goals = np.floor((total + 1) / 2), np.floor((total + 2) / 2)
    # Medians of resamples lie close together: a coarse look finds the few values that they can be.
    coarse = np.arange(0, len(values), max(int(np.sqrt(len(values))), 1))
    reached = up_to(coarse)
    first = coarse[max(int((reached < goals[0][..., None]).sum(axis=-1).min()) - 1, 0)]
    last = np.append(coarse, len(values) - 1)[int((reached < goals[1][..., None]).sum(axis=-1).max())]
    near = up_to(np.arange(first, last + 1))
    low, high = (values[np.minimum(first + (near < goal[..., None]).sum(axis=-1), last)] for goal in goals)
    return np.where(total > 0, (low + high) / 2, np.nan)
