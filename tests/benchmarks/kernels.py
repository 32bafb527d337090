"""The inner loops, each beside the method of a peer or a bound; both are first shown to agree."""

from __future__ import annotations

import functools
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.config.options import SEED
from attneval.config.protocol import Protocol
from attneval.evaluation.item_hits import CHUNK
from attneval.geometry.overlap import relevant_regions
from attneval.metrics.floors import floor_bounds
from attneval.metrics.hits import Hits
from attneval.metrics.rankings import Rows
from attneval.metrics.ranks import retrieval_ranks
from attneval.metrics.registry import metrics
from attneval.metrics.sweep import grid, sweep
from attneval.metrics.values import is_computable
from attneval.statistics.bootstrap import draw, intervals
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable

from .evaluators.scan import ranks_by_sorting
from .peers import one_pass_over_pairs, one_threshold, overlap_by_caption, resampled_sums
from .timing import Row, at_least, at_most, compared, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PER_IMAGE = 5


@dataclass(frozen=True, eq=False)
class Held:
    """A matrix in memory, read by rows."""

    values: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int]:
        """Images and captions."""
        rows, columns = self.values.shape
        return rows, columns

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """The scores of some images."""
        return self.values[start:stop]


def agree(same: object, what: str) -> None:
    """Stop if ours and the peer's numbers differ."""
    if not same:
        raise AssertionError(f"{what}: ours and the peer's results differ")


def recall(runs: int, images: int = 5000) -> Iterator[Row]:
    """Recall@K both ways with counts of ties."""
    captions = images * PER_IMAGE
    scores = np.random.default_rng(0).standard_normal((images, captions), np.float32)
    owner = np.repeat(np.arange(images), PER_IMAGE)
    scores[owner, np.arange(captions)] += 3

    def ours() -> object:
        return retrieval_ranks(Held(scores), owner)

    ranks = retrieval_ranks(Held(scores), owner)
    of_images, of_captions = ranks_by_sorting(scores[: images // 10, : captions // 10], PER_IMAGE)
    part = retrieval_ranks(Held(scores[: images // 10, : captions // 10]), owner[: captions // 10])
    agree(np.array_equal(part["i2t"].ahead, of_images), "image-to-text")
    agree(np.array_equal(part["t2i"].ahead, of_captions), "text-to-image")
    agree(not ranks["t2i"].others.any() or ranks["t2i"].others.sum() < captions, "ties")
    work = f"Recall@K both ways with ties, {images:,} x {captions:,}"
    yield compared(work, ours, "sorting loop", lambda: ranks_by_sorting(scores, PER_IMAGE), at_least(0), runs)
    # The fastest numpy reduction there is.
    yield compared("- the same", ours, "one pass, max", scores.max, at_most(6), 3 * runs)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    ours()
    taken = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    share = taken / scores.nbytes
    yield Row(
        "- memory beside the matrix", megabytes(taken), "the matrix", megabytes(scores.nbytes), share, at_most(0.1)
    )


def overlap(runs: int, captions: int = 5000, phrases: int = 5, regions: int = 36) -> Iterator[Row]:
    """Which regions are relevant to which phrases; the captions of an image share its regions."""
    random = np.random.default_rng(1)
    images = captions // PER_IMAGE
    low = random.random((images * regions + captions * phrases, 2)) * 400
    box = np.concatenate((low, low + 20 + random.random(low.shape) * 200), axis=1).astype(np.float32).astype(np.float64)
    region, phrase = box[: images * regions], box[images * regions :]
    owner = np.repeat(np.arange(images), PER_IMAGE * phrases)
    phrase_offset, region_offset = np.arange(len(phrase) + 1), np.arange(images + 1) * regions
    as_xywh = np.concatenate((box[:, :2], box[:, 2:] - box[:, :2]), axis=1)
    theirs_region = np.repeat(as_xywh[: len(region)].reshape(images, regions, 4), PER_IMAGE, axis=0)
    theirs_phrase = as_xywh[len(region) :].reshape(captions, phrases, 4)

    def ours() -> IndexSets:
        return relevant_regions(phrase, phrase_offset, region, region_offset, owner)

    found = ours()
    table = np.zeros((len(phrase), regions), np.bool_)
    table[np.repeat(np.arange(len(phrase)), found.size), found.member] = True
    by_caption = np.stack(overlap_by_caption(theirs_region, theirs_phrase, 0.5)).transpose(0, 2, 1)
    agree(np.array_equal(table, by_caption.reshape(table.shape)), "overlap")
    yield compared(
        f"overlap of phrases and regions, {len(phrase) * regions:,} pairs",
        ours,
        "pycocotools by caption",
        lambda: overlap_by_caption(theirs_region, theirs_phrase, 0.5),
        at_least(0),
        3 * runs,
    )
    single = region.reshape(images, regions, 4).astype(np.float32), phrase.astype(np.float32)
    one_pass = functools.partial(one_pass_over_pairs, *single, owner)
    yield compared("- the same", ours, "one vectorised pass over the pairs", one_pass, at_most(1.5), 3 * runs)


def thresholds(runs: int, items: int = 25_000, regions: int = 36) -> Iterator[Row]:
    """The sweep, from rows of weights to the curves of every image."""
    random = np.random.default_rng(2)
    weights = np.exp(random.normal(size=(items, regions)))
    weights /= weights.sum(axis=1, keepdims=True)
    relevant = random.random(weights.shape) < 0.1
    relevant[~relevant.any(axis=1), 0] = True
    sets = IndexSets(np.concatenate(([0], np.cumsum(relevant.sum(axis=1)))), np.nonzero(relevant)[1])
    image = np.arange(items) // 25
    rule = Protocol().rule
    at_once = CHUNK // regions

    def ours() -> NDArray[np.float64]:
        curves = []
        for first in range(0, items, at_once):
            chunk = np.arange(first, min(first + at_once, items))
            judged = Hits(Rows.rank(weights[chunk], rule), np.arange(len(chunk)), sets, chunk)
            group = image[chunk] - image[chunk[0]]
            curves.append(sweep(judged, rule, group, int(group[-1]) + 1).sum(axis=1))
        return np.asarray(np.sum(curves, axis=0) / items, np.float64)

    def passes() -> NDArray[np.float64]:
        found = [one_threshold(weights, relevant, value / regions) for value in grid(rule).tolist()]
        return np.asarray(np.transpose(found), np.float64)

    agree(np.allclose(ours(), passes(), rtol=0, atol=1e-9), "sweep")
    work = f"{len(grid(rule))}-threshold sweep, {items:,} items x {regions}"
    yield compared(work, ours, "a vectorised pass each", passes, at_most(1.5), runs)


def bootstrap(runs: int, images: int = 1000, resamples: int = 10_000) -> Iterator[Row]:
    """Intervals of all metrics, medians of ranks included, against drawing and the product of all columns."""
    random = np.random.default_rng(3)
    names = ["items", "scored", "reached", "entropy_n"]
    names += [name for metric in metrics("attention", "companion") for name in metric.columns]
    names += [f"{d}_{name}" for d in ("i2t", "t2i") for name in ("n", "r@1", "r@5", "r@10", "rank")]
    names += [*floor_bounds(), "shuffled_f1", "shuffled_n"]
    columns = dict.fromkeys(names, np.zeros(0))
    columns = {name: 1 + random.random(images) for name in columns}
    ranks = {
        direction: RankTable(
            np.repeat(np.arange(images), each),
            random.geometric(0.1, images * each).astype(np.float64),
            np.zeros(images * each, np.int64),
        )
        for direction, each in (("i2t", 1), ("t2i", PER_IMAGE))
    }
    sums = ImageSums([f"{row:04d}" for row in range(images)], columns, ranks)
    table = np.stack(list(columns.values()), axis=1)
    wanted = [metric for metric in metrics() if is_computable(metric, draw(sums, resamples=1) or {})]

    def ours() -> dict[str, tuple[float, float]]:
        return intervals(wanted, draw(sums, resamples=resamples))

    product = resampled_sums(table, resamples, SEED)
    place = list(columns).index
    f1 = product[:, place("f1")] / product[:, place("scored")]
    agree(np.allclose(ours()["f1"], np.quantile(f1, [0.025, 0.975])), "bootstrap")
    yield compared(
        f"bootstrap {resamples:,} x {images:,} images x {len(wanted)} metrics",
        ours,
        "draw and multiply",
        lambda: resampled_sums(table, resamples, SEED),
        at_most(1.5),
        runs,
    )
