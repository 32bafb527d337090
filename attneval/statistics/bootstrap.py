"""Uncertainty, from per-image sums only.

Captions, phrases and regions of one image share it, so the image is the unit that is resampled. Every metric is a
function of sums over images; a resample only changes how often each image's sums count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.strings import distinct_values
from attneval.config.options import RESAMPLES, SEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.metrics.registry import Metric, Sums

CONFIDENCE = 0.95
DRAWN_AT_ONCE = 2**19
"""Images that are drawn together: few enough to bound memory, enough for matrix products that are worth their start."""


@dataclass(frozen=True, eq=False)
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
        """The median rank, averaged over folds: what `medians` gives where each image counts once, in far less time."""
        folds = [np.sort(self.rank[self.fold == fold]) for fold in distinct_values(self.fold).tolist()]
        middle = [(ranks[(len(ranks) - 1) // 2] + ranks[len(ranks) // 2]) / 2 for ranks in folds]
        return float(np.mean(middle)) if middle else np.nan

    def medians(self, repeats: NDArray[np.float64]) -> NDArray[np.float64]:
        """Median ranks, averaged over folds, when images count several times.

        Args:
            repeats: f8[b, I], how often each image counts in each of b resamples, in whole numbers.

        Returns:
            f8[b]; NaN where a fold has no query left.
        """
        return self.counted(repeats.shape[1])(repeats.astype(np.float32))

    def counted(self, images: int) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
        """The function `medians` for I images, of f4[b, I], with the queries counted once for any number of calls."""
        folds = [np.flatnonzero(self.fold == fold) for fold in distinct_values(self.fold).tolist()]
        medians_of_folds = [_medians(self.rank[rows], self.image[rows], images) for rows in folds]

        def medians(repeats: NDArray[np.float32]) -> NDArray[np.float64]:
            found = [of(repeats) for of in medians_of_folds]
            return np.asarray(np.mean(found, axis=0)) if found else np.full(len(repeats), np.nan)

        return medians


def _medians(
    rank: NDArray[np.float64], image: NDArray[np.int64], images: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    values, place = np.unique(rank, return_inverse=True)
    cumulative = counts_up_to(place, image, (images, len(values)))
    return lambda weight: medians_of(values, lambda columns: weight @ cumulative[:, columns])


def counts_up_to(place: NDArray[np.int64], image: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """How many queries of each image rank up to each value: f4[I, v], whole numbers, exact in single precision."""
    count = np.zeros(shape, np.float32)
    np.add.at(count, (image, place), 1)
    return np.cumsum(count, axis=1)


def medians_of(
    values: NDArray[np.float64], up_to: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Medians of many samples of the same v values, from how often values occur in each sample.

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


@dataclass(frozen=True, eq=False)
class ImageSums:
    """Per-image sums of I images, in the order of their ids.

    Attributes:
        image_id: The images.
        columns: f8[I] by name.
        ranks: Ranks of retrieval queries by direction.
    """

    image_id: list[str]
    columns: dict[str, NDArray[np.float64]]
    ranks: dict[str, RankTable] = field(default_factory=dict)

    def total(self) -> Sums:
        """The columns summed over all images: f8[] by name."""
        sums = {name: np.asarray(column.sum()) for name, column in self.columns.items()}
        return sums | {f"{d}_medr": np.asarray(table.median()) for d, table in self.ranks.items()}

    def resampled(self, repeats: NDArray[np.float64]) -> Sums:
        """The columns summed over resampled images: f8[b] by name.

        Args:
            repeats: f8[b, I], how often each image counts, in whole numbers.
        """
        return self.resampled_in_blocks([repeats])

    def resampled_in_blocks(self, blocks: Iterable[NDArray[np.float64]]) -> Sums:
        """The same for blocks of resamples, one after the other, so that all of them are never there at once."""
        table = np.array([*self.columns.values()]).reshape(-1, len(self.image_id)).T
        medians = {f"{d}_medr": ranks.counted(len(self.image_id)) for d, ranks in self.ranks.items()}
        parts: list[Sums] = []
        for block in blocks:
            single = block.astype(np.float32)  # holds whole numbers as well, and multiplies twice as fast
            parts.append(
                dict(zip(self.columns, (block @ table).T, strict=True)) | {d: of(single) for d, of in medians.items()}
            )
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def mean_sums(runs: Sequence[ImageSums]) -> ImageSums:
    """The sums of one system from several runs on the same images: columns averaged, ranks pooled.

    What some of the runs lack the system does not have.
    """
    if len(runs) == 1:
        return runs[0]
    columns = {name: np.mean([run.columns[name] for run in runs], axis=0) for name in _shared(r.columns for r in runs)}
    ranks = {d: _pooled([run.ranks[d] for run in runs], shift=0) for d in _shared(run.ranks for run in runs)}
    return ImageSums(runs[0].image_id, columns, ranks)


def resampled_runs(runs: Sequence[ImageSums], drawn: NDArray[np.int64], repeats: NDArray[np.float64]) -> Sums:
    """What `mean_sums` would give of resampled runs on resampled images: f8[b] by name.

    Args:
        runs: Several runs of one system.
        drawn: i8[b, n], the n runs of each of b resamples.
        repeats: f8[b, I], how often each image counts, in whole numbers.
    """
    count = np.stack([(drawn == run).sum(axis=1) for run in range(len(runs))]).astype(np.float64)
    sums = [ImageSums(run.image_id, run.columns).resampled(repeats) for run in runs]
    means = {
        name: np.asarray(sum(w * s[name] for w, s in zip(count, sums, strict=True)) / drawn.shape[1])
        for name in _shared(sums)
    }
    for direction in _shared(run.ranks for run in runs):
        images = repeats.shape[1]
        table = _pooled([run.ranks[direction] for run in runs], shift=images)
        medians = [
            table.medians((count[:, rows].T[:, :, None] * repeats[rows, None]).reshape(-1, len(runs) * images))
            for rows in np.array_split(np.arange(len(repeats)), -(-len(repeats) // RESAMPLES))
        ]
        means[f"{direction}_medr"] = np.concatenate(medians)
    return means


def _shared(tables: Iterable[Mapping[str, object]]) -> list[str]:
    """The names that all tables have, in the order of the first."""
    first, *others = tables
    return [name for name in first if all(name in table for table in others)]


def _pooled(tables: Sequence[RankTable], shift: int) -> RankTable:
    """The queries of several tables as one; those of each table belong to images `shift` rows after the last's."""
    return RankTable(
        np.concatenate([table.image + shift * number for number, table in enumerate(tables)]),
        np.concatenate([table.rank for table in tables]),
        np.concatenate([table.fold for table in tables]),
    )


def bootstrap_repeats(images: int, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """How often each image is drawn: f8[resamples, images], whole numbers; the same for everybody with this seed."""
    return np.concatenate(list(repeats_in_blocks(images, resamples, seed)))


def repeats_in_blocks(images: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """The rows of `bootstrap_repeats`, some at a time."""
    random = np.random.default_rng(seed)
    at_once = max(DRAWN_AT_ONCE // images, 1)
    for first in range(0, resamples, at_once):
        rows = min(at_once, resamples - first)
        drawn = random.integers(0, images, (rows, images))
        drawn += np.arange(rows)[:, None] * images
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def intervals(
    metrics: Iterable[Metric], sums: ImageSums, *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, tuple[float, float]]:
    """Percentile cluster-bootstrap intervals (95 %), by metric.

    Metrics whose value is tuned on the data have none, nor has anything measured on a single image. Resamples in
    which a metric is undefined are left out.

    Source:
        Davison and Hinkley, Bootstrap Methods and their Application, 1997; Field and Welsh, Bootstrapping clustered
        data, JRSS-B 2007.
    """
    wanted = [metric for metric in metrics if metric.resampled]
    if len(sums.image_id) < 2 or not wanted or resamples < 1:
        return {}
    drawn = sums.resampled_in_blocks(repeats_in_blocks(len(sums.image_id), resamples, seed))
    return {metric.name: bounds for metric in wanted if (bounds := percentile_bounds(metric.value(drawn))) is not None}


def percentile_bounds(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """The interval that holds the middle 95 % of resampled values; None if none is defined."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    tail = (1 - CONFIDENCE) / 2
    # What np.quantile does by default, without the import of numpy.ma that it takes.
    place = np.array([tail, 1 - tail]) * (len(defined) - 1)
    low, high = np.interp(place, np.arange(len(defined)), np.sort(defined))
    return float(low), float(high)
