"""Median ranks of systems whose queries are swapped image by image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.metrics.registry import median_column
from attneval.statistics.ranks import RankTable, counts_up_to, medians_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.statistics.image_sums import ImageSums


class SwappedMedians:
    """Median ranks of pairs of systems whose queries are swapped image by image.

    Args:
        systems: The systems' sums, on the same images; some may have no ranks.
        direction: `i2t` or `t2i`.
        i: i8[p], the first system of each pair.
        j: i8[p], the second.
    """

    def __init__(
        self, systems: Sequence[ImageSums], direction: str, i: NDArray[np.int64], j: NDArray[np.int64]
    ) -> None:
        self.name = median_column(direction)
        self._pairs = i, j
        tables = [system.ranks.get(direction, NO_RANKS) for system in systems]
        images = len(systems[0].image_id)
        self._folds = []
        for fold in distinct_values(np.concatenate([table.fold for table in tables])).tolist():
            rows = [np.flatnonzero(table.fold == fold) for table in tables]
            values = distinct_values(
                np.concatenate([table.rank[queries] for table, queries in zip(tables, rows, strict=True)])
            )
            counts = [
                counts_up_to(np.searchsorted(values, table.rank[queries]), table.image[queries], (images, len(values)))
                for table, queries in zip(tables, rows, strict=True)
            ]
            self._folds.append((values, np.stack(counts)))  # systems x images x values

    def after(self, swap: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute the medians of both systems of each pair after t swaps: twice f8[p, t].

        Args:
            swap: f8[t, I], 1 where a trial swaps the queries of an image.
        """
        swapped = swap.astype(np.float32)
        i, j = self._pairs
        both = []
        for system, other in ((i, j), (j, i)):
            folds = [
                medians_of(values, partial(_up_to_after, counts, swapped, system, other))
                for values, counts in self._folds
            ]
            both.append(np.asarray(np.mean(folds, axis=0)))
        return both[0], both[1]


def _up_to_after(
    counts: NDArray[np.float32],
    swap: NDArray[np.float32],
    system: NDArray[np.int64],
    other: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float32]:
    """The numbers of queries that rank up to some values once systems have others' in some images: f4[p, t, k]."""
    chosen = counts[:, :, columns]
    moved = swap @ chosen
    return np.asarray(chosen.sum(axis=1)[system][:, None] - moved[system] + moved[other])


NO_RANKS = RankTable(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
