"""Median ranks of systems whose queries are swapped image by image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

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
        self.name = f"{direction}_medr"
        self._pairs = i, j
        tables = [system.ranks.get(direction, NO_RANKS) for system in systems]
        images = len(systems[0].image_id)
        self._folds = []
        for fold in np.unique(np.concatenate([table.fold for table in tables])).tolist():
            rows = [np.flatnonzero(table.fold == fold) for table in tables]
            values = np.unique(np.concatenate([table.rank[own] for table, own in zip(tables, rows, strict=True)]))
            counts = [
                counts_up_to(np.searchsorted(values, table.rank[own]), table.image[own], (images, len(values)))
                for table, own in zip(tables, rows, strict=True)
            ]
            self._folds.append((values, np.stack(counts)))  # systems x images x values

    def after(self, swap: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The medians f8[p, t] of both systems after t swaps f8[t, I]."""
        swapped = swap.astype(np.float32)
        i, j = self._pairs
        both = []
        for own, other in ((i, j), (j, i)):
            folds = [
                medians_of(values, partial(_up_to_after, counts, swapped, own, other)) for values, counts in self._folds
            ]
            both.append(np.asarray(np.mean(folds, axis=0)))
        return both[0], both[1]


def _up_to_after(
    counts: NDArray[np.float32],
    swap: NDArray[np.float32],
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.float32]:
    """How many queries rank up to some values once systems have others' queries in some images: f4[p, t, k]."""
    chosen = counts[:, :, columns]
    moved = swap @ chosen
    return np.asarray(chosen.sum(axis=1)[own][:, None] - moved[own] + moved[other])


NO_RANKS = RankTable(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
