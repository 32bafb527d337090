"""Per-image sums: all that uncertainty is computed from."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.config.options import RESAMPLES
from attneval.metrics.faithfulness import ORDERED, count_column
from attneval.metrics.populations import ITEMS
from attneval.metrics.ranks import DIRECTIONS
from attneval.metrics.registry import median_column
from attneval.metrics.retrieval import query_column
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Sums
    from attneval.statistics.group_sums import GroupSums

COUNTS = (ITEMS, *map(query_column, DIRECTIONS), *map(count_column, ORDERED))
"""The columns that count what an image has; the first that there is, says how many images count."""


@record
class ImageSums:
    """Per-image sums of I images, in the order of their ids.

    Attributes:
        image_id: The images' ids.
        columns: f8[I] by name, sums over the items or queries of each image.
        ranks: Ranks of retrieval queries by direction.
        by: Sums over the items of each group.
    """

    image_id: list[str]
    columns: dict[str, NDArray[np.float64]]
    ranks: dict[str, RankTable] = field(default_factory=dict)
    by: GroupSums = field(default_factory=dict)

    def counted(self) -> NDArray[np.bool_]:
        """b[I], the images that have items or, where only retrieval was scored, queries."""
        for name in COUNTS:
            if name in self.columns:
                return np.asarray(self.columns[name] > 0)
        return np.ones(len(self.image_id), np.bool_)

    def total(self) -> Sums:
        """Sum the columns over all images, and take the medians of ranks: f8[] by name."""
        sums = {name: np.asarray(column.sum()) for name, column in self.columns.items()}
        return sums | {median_column(d): np.asarray(table.median()) for d, table in self.ranks.items()}

    def resampled(self, repeats: NDArray[np.float64]) -> Sums:
        """Sum the columns over resampled images, and take the medians of ranks: f8[b] by name.

        Args:
            repeats: f8[b, I], how often each image counts, in whole numbers.
        """
        return self.resampled_in_blocks([repeats])

    def resampled_in_blocks(
        self,
        blocks: Iterable[NDArray[np.float64]],
        beside: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float64]]] | None = None,
    ) -> Sums:
        """Do the same for blocks of resamples, one after the other, so that all of them are never there at once.

        Args:
            blocks: Each f8[b, I] as for `resampled`.
            beside: More columns, of some images alone: their rows i8[k] and numbers f8[k].
        """
        beside = beside or {}
        names, rows = [*self.columns, *beside], np.zeros((len(self.columns) + len(beside), len(self.image_id)))
        for place, column in enumerate(self.columns.values()):
            rows[place] = column
        for place, (chosen, values) in enumerate(beside.values(), len(self.columns)):
            rows[place, chosen] = values
        table = rows.T
        medians = {median_column(d): ranks.counted(len(self.image_id)) for d, ranks in self.ranks.items()}
        parts: list[Sums] = []
        for block in blocks:
            single = block.astype(np.float32)  # holds whole numbers as well, and multiplies twice as fast
            parts.append(
                dict(zip(names, (block @ table).T, strict=True)) | {d: median(single) for d, median in medians.items()}
            )
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mean_sums(runs: Sequence[ImageSums]) -> ImageSums:
    """Average the sums of several runs of one system on the same images, and pool their ranks.

    What some of the runs lack the system does not have.
    """
    if len(runs) == 1:
        return runs[0]
    columns = {
        name: np.mean([run.columns[name] for run in runs], axis=0) for name in shared_names(r.columns for r in runs)
    }
    ranks = {d: _pooled([run.ranks[d] for run in runs], shift=0) for d in shared_names(run.ranks for run in runs)}
    return ImageSums(runs[0].image_id, columns, ranks)


def resampled_runs(runs: Sequence[ImageSums], drawn: NDArray[np.int64], repeats: NDArray[np.float64]) -> Sums:
    """Compute what `mean_sums` gives of resampled runs on resampled images: f8[b] by name.

    Args:
        runs: Several runs of one system.
        drawn: i8[b, n], the n runs of each of b resamples.
        repeats: f8[b, I], how often each image counts, in whole numbers.
    """
    count = np.stack([(drawn == run).sum(axis=1) for run in range(len(runs))]).astype(np.float64)
    sums = [ImageSums(run.image_id, run.columns).resampled(repeats) for run in runs]
    means = {
        name: np.asarray(sum(w * s[name] for w, s in zip(count, sums, strict=True)) / drawn.shape[1])
        for name in shared_names(sums)
    }
    for direction in shared_names(run.ranks for run in runs):
        images = repeats.shape[1]
        table = _pooled([run.ranks[direction] for run in runs], shift=images)
        medians = [
            table.medians((count[:, rows].T[:, :, None] * repeats[rows, None]).reshape(-1, len(runs) * images))
            for rows in np.array_split(np.arange(len(repeats)), -(-len(repeats) // RESAMPLES))
        ]
        means[median_column(direction)] = np.concatenate(medians)
    return means


def shared_names(tables: Iterable[Mapping[str, object]]) -> list[str]:
    """List the names that all tables have, in the order of the first."""
    first, *others = tables
    return [name for name in first if all(name in table for table in others)]


def _pooled(tables: Sequence[RankTable], shift: int) -> RankTable:
    """The queries of several tables as one; those of each table belong to images `shift` rows after the last's."""
    return RankTable(
        np.concatenate([table.image + shift * number for number, table in enumerate(tables)]),
        np.concatenate([table.rank for table in tables]),
        np.concatenate([table.fold for table in tables]),
    )
