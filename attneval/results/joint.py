"""The joint view: whether attending right goes with retrieving right, over captions and over images.

A caption attends right if the mean lift of its items is above 0, and is retrieved right if its image is first for it.
An image does if the mean lift of all its items is, and if one of its captions is first for it. The two by two table
counts how often both go together, and the rank correlation of lift and (minus) rank takes no limit on either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.config.options import SEED
from attneval.metrics.ranks import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from attneval.metrics.registry import RANKED_BY, is_computable, metric_named
from attneval.results.scores import Measured
from attneval.statistics.bootstrap import percentile_bounds, repeats_in_blocks
from attneval.statistics.rank_correlation import RankCorrelation

if TYPE_CHECKING:
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
    return Joint(
        {
            name: JointSide(
                correlation_of(pairing, images, resamples=resamples, seed=seed),
                RankCorrelation(pairing.lift, -pairing.rank, pairing.image).p_value(trials=trials, seed=seed),
                table_of(cells := pairing.cells(images), resamples=resamples, seed=seed),
                cells,
            )
            for name, pairing in pairings.items()
        },
        trials,
    )


def correlation_of(pairing: Pairing, images: int, *, resamples: int, seed: int) -> Measured:
    """Compute the rank correlation of lifts and minus ranks, with its interval over so many images."""
    correlation, ci = RankCorrelation(pairing.lift, -pairing.rank, pairing.image), None
    rho = correlation.value()
    if np.isnan(rho):
        return Measured(None, len(pairing.image))
    if images > 1 and resamples > 0:
        drawn = [correlation.resampled(block) for block in repeats_in_blocks(images, resamples, seed)]
        ci = percentile_bounds(np.concatenate(drawn))
    return Measured(rho, len(pairing.image), ci)


def table_of(per_image: Table, *, resamples: int, seed: int) -> dict[str, Measured]:
    """Compute the shares of a table's cells, with intervals, from its counts f8[I] by image."""
    counts = np.array([per_image[name] for name in CELLS])
    total, images = counts.sum(), counts.shape[1]
    bounds: list[tuple[float, float] | None] = [None] * len(CELLS)
    if images > 1 and resamples > 0:
        drawn = np.concatenate([block @ counts.T for block in repeats_in_blocks(images, resamples, seed)])
        whole = drawn.sum(axis=1, keepdims=True)
        shares = np.divide(drawn, whole, out=np.full(drawn.shape, np.nan), where=whole > 0)
        bounds = [percentile_bounds(share) for share in shares.T]
    return {
        name: Measured(float(count / total), int(total), ci)
        for name, count, ci in zip(CELLS, counts.sum(axis=1), bounds, strict=True)
    }
