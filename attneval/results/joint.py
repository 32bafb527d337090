"""The joint view: whether attending right goes with retrieving right, over captions and over images.

A caption attends right if the mean lift of its items is above 0, and is retrieved right if its image is first for it.
An image does if the mean lift of all its items is, and if one of its captions is first for it. The two by two table
counts how often both go together, and the rank correlation of lift and (minus) rank takes no limit on either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.beside import Beside
from attneval.arrays.records import record
from attneval.config.options import SEED
from attneval.metrics.ranks import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from attneval.metrics.registry import RANKED_BY, metric_named
from attneval.metrics.values import is_computable
from attneval.results.scores import Measured
from attneval.statistics.bootstrap import percentile_bounds, repeats_in_blocks
from attneval.statistics.rank_correlation import RankCorrelation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attneval.metrics.totals import Table
    from attneval.statistics.image_sums import ImageSums

CAPTIONS, IMAGES = SIDES = ("captions", "images")
"""What is counted: captions with the rank of their image, and images with the rank of their best caption."""
RANKED = {CAPTIONS: TEXT_TO_IMAGE, IMAGES: IMAGE_TO_TEXT}
"""The direction of retrieval whose ranks each is held against."""
TRIALS = 1_000
"""Permutations behind p: every scoring with similarities makes them, and nothing is decided by it."""
BOTH, ATTENDED, RETRIEVED, NEITHER = CELLS = ("both_right", "attended_only", "retrieved_only", "neither_right")
"""The cells of the table: right in both, right in one of them alone, right in neither."""
RHO = "rho"
DECIMALS = 12
"""Of lifts that are ranked."""
TERMS = {
    "joint": "Whether attending right goes with retrieving right, where an export has maps and similarities: over "
    "captions, and over images, the rank correlation of lift and rank and a two by two table. attneval inspect --joint "
    "lists captions that are retrieved right but attended wrong.",
    RHO: "Spearman's rank correlation of the mean f1_lift of a caption's items (an image's) with minus the rank of its "
    "image (of its best caption): above 0 if what is attended better is retrieved better. Ties have mean ranks; the "
    "interval resamples images, and p permutes ranks among images with equally many captions.",
    BOTH: "The share of captions (images) whose lift is above 0 and whose rank is 1.",
    ATTENDED: "The share of captions (images) whose lift is above 0, but whose rank is not 1.",
    RETRIEVED: "The share of captions (images) whose rank is 1, but whose lift is not above 0: right for other reasons "
    "than the attention that is shown.",
    NEITHER: "The share of captions (images) whose rank is not 1, and whose lift is not above 0.",
}
"""The words of this view, for `attneval explain`."""


@record
class Pairing:
    """Lifts and ranks of n captions, or of n images.

    Attributes:
        image: i8[n], the row of each one's image.
        lift: f8[n], the mean lift of its items.
        rank: f8[n], counted from 1.
    """

    image: NDArray[np.int64]
    lift: NDArray[np.float64]
    rank: NDArray[np.float64]

    def correlation(self) -> RankCorrelation:
        """The rank correlation of lifts and minus ranks."""
        return RankCorrelation(self.lift, -self.rank, self.image)

    def cells(self, images: int) -> dict[str, NDArray[np.float64]]:
        """Count each image's captions by cell of the table: f8[I] by name."""
        attended, retrieved = attends_right(self.lift), retrieves_right(self.rank)
        masks = (attended & retrieved, attended & ~retrieved, ~attended & retrieved, ~attended & ~retrieved)
        return {
            name: np.bincount(self.image, mask, images).astype(np.float64)
            for name, mask in zip(CELLS, masks, strict=True)
        }


def tied(lift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round lifts f8[n], so that what differs by rounding alone is a tie, and nothing is not more than nothing."""
    return np.round(lift, DECIMALS)


def attends_right(lift: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which lifts f[n] are those of right attention, better than attending to everything; NaN is not: b[n]."""
    return np.asarray(lift > 0)


def retrieves_right(rank: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which ranks f[n] are right, the first, shared with no wrong answer unless ties are best: b[n]."""
    return np.asarray(rank <= 1)


@record
class JointSide:
    """The joint view over captions, or over images.

    Attributes:
        rho: The rank correlation, with its interval and over how many.
        p: Of a permutation test that there is none; None where it is undefined.
        table: By cell of `CELLS` its share.
        per_image: f8[I] by cell, the counts that the table is made of.
    """

    rho: Measured
    p: float | None
    table: dict[str, Measured]
    per_image: Table


@record
class Joint:
    """The joint view of a result.

    Attributes:
        sides: By `captions` and `images`.
        trials: The permutations behind p.
    """

    sides: dict[str, JointSide]
    trials: int = TRIALS


def pairing_of_images(sums: ImageSums) -> Pairing:
    """Pair the lifts and ranks of images, from the sums of a result: those that have both."""
    metric, ranks = metric_named(RANKED_BY), sums.ranks.get(RANKED[IMAGES])
    if ranks is None or not is_computable(metric, sums.columns):
        nothing = np.zeros(0)
        return Pairing(nothing.astype(np.int64), nothing, nothing)
    lift = tied(metric.value(sums.columns))
    # The order of the images, and not that of the export, so that permutations are the same whatever its order.
    order = np.argsort(ranks.image, kind="stable")
    kept = order[np.isfinite(lift[ranks.image[order]])]
    return Pairing(ranks.image[kept], lift[ranks.image[kept]], ranks.rank[kept])


def joint_view(
    captions: Pairing, sums: ImageSums, *, resamples: int, seed: int = SEED, trials: int = TRIALS
) -> Joint | None:
    """Hold lifts against ranks.

    Args:
        captions: The lifts and ranks of captions.
        sums: The sums of the result, which say those of images; all of its images are resampled.
        resamples: How many resamples the intervals take.
        seed: Of the resamples and of the permutations.
        trials: How many permutations.

    Returns:
        The view; None if no caption has both.
    """
    if not len(captions.image):
        return None
    images = len(sums.image_id)
    pairings = {CAPTIONS: captions, IMAGES: pairing_of_images(sums)}
    correlations = {name: pairing.correlation() for name, pairing in pairings.items()}
    cells = {name: pairing.cells(images) for name, pairing in pairings.items()}
    p_values = Beside(lambda: {name: c.p_value(trials=trials, seed=seed) for name, c in correlations.items()}).start()
    rho, table = measure_sides(correlations, cells, images, resamples=resamples, seed=seed)
    p = p_values.result()
    return Joint({name: JointSide(rho[name], p[name], table[name], cells[name]) for name in pairings}, trials)


def measure_sides(
    correlations: Mapping[str, RankCorrelation], cells: Mapping[str, Table], images: int, *, resamples: int, seed: int
) -> tuple[dict[str, Measured], dict[str, dict[str, Measured]]]:
    """Compute rank correlations and the shares of tables' cells, with intervals over so many images.

    Args:
        correlations: Of lifts and minus ranks, by side.
        cells: f8[I] by cell of `CELLS`, what each image counts, by side.
        images: How many images are resampled.
        resamples: How many resamples the intervals take.
        seed: Of the resamples.

    Returns:
        The correlations by side, and the shares by side and cell.
    """
    values = {name: correlation.value() for name, correlation in correlations.items()}
    counts = {name: np.array([table[cell] for cell in CELLS]) for name, table in cells.items()}
    correlated: dict[str, list[NDArray[np.float64]]] = {name: [] for name in correlations}
    counted: dict[str, list[NDArray[np.float64]]] = {name: [] for name in cells}
    for block in repeats_in_blocks(images, resamples, seed) if images > 1 else ():
        for name, correlation in correlations.items():
            correlated[name].append(correlation.resampled(block))
        for name, table in counts.items():
            counted[name].append(block @ table.T)
    return (
        {name: _correlation(values[name], len(c.x), correlated[name]) for name, c in correlations.items()},
        {name: _shares(table, counted[name]) for name, table in counts.items()},
    )


def _correlation(value: float, number: int, drawn: list[NDArray[np.float64]]) -> Measured:
    """A correlation over so many, with its interval from resampled ones f8[b]."""
    if np.isnan(value):
        return Measured(None, number)
    return Measured(value, number, percentile_bounds(np.concatenate(drawn)) if drawn else None)


def _shares(counts: NDArray[np.float64], drawn: list[NDArray[np.float64]]) -> dict[str, Measured]:
    """The shares of cells by name, from their counts f8[cells, I] and resampled sums of these f8[b, cells]."""
    total = counts.sum()
    bounds: list[tuple[float, float] | None] = [None] * len(CELLS)
    if drawn:
        sums = np.concatenate(drawn)
        whole = sums.sum(axis=1, keepdims=True)
        shares = np.divide(sums, whole, out=np.full(sums.shape, np.nan), where=whole > 0)
        bounds = [percentile_bounds(share) for share in shares.T]
    return {
        name: Measured(float(count / total), int(total), ci)
        for name, count, ci in zip(CELLS, counts.sum(axis=1), bounds, strict=True)
    }
