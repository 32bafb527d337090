"""Uncertainty, from per-image sums only.

Captions, phrases and regions of one image share it, so the image is the unit that is resampled. Every metric is a
function of sums over images; a resample only changes how often each image's sums count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import default_rng

from attneval.config.options import RESAMPLES, SEED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Metric, Sums
    from attneval.statistics.image_sums import ImageSums

CONFIDENCE = 0.95
DRAWN_AT_ONCE = 2**17
"""Images that are drawn together: few enough to bound memory, enough for matrix products that are worth their start."""


def bootstrap_repeats(images: int, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Draw how often each image counts: f8[resamples, images], whole numbers; the same for everybody with this seed."""
    return np.concatenate(list(repeats_in_blocks(images, resamples, seed)))


def repeats_in_blocks(
    images: int, resamples: int, seed: int, numbers: int = DRAWN_AT_ONCE
) -> Iterator[NDArray[np.float64]]:
    """Yield the rows of `bootstrap_repeats`, so many numbers at a time: f8[b, images]."""
    random = default_rng(seed)
    at_once = max(numbers // images, 1)
    for first in range(0, resamples, at_once):
        rows = min(at_once, resamples - first)
        drawn = random.integers(0, images, (rows, images))
        drawn += np.arange(rows)[:, None] * images
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def draw(sums: ImageSums, *, resamples: int = RESAMPLES, seed: int = SEED) -> Sums | None:
    """Sum columns over resampled images: f8[resamples] by name; None where there is nothing to resample.

    The image is what is drawn, since its captions, phrases and regions are not independent.

    Source:
        Davison and Hinkley, Bootstrap Methods and their Application, 1997; Field and Welsh, Bootstrapping clustered
        data, JRSS-B 2007.
    """
    if len(sums.image_id) < 2 or resamples < 1:
        return None
    return sums.resampled_in_blocks(repeats_in_blocks(len(sums.image_id), resamples, seed))


def intervals(metrics: Iterable[Metric], drawn: Sums | None) -> dict[str, tuple[float, float]]:
    """Compute percentile cluster-bootstrap intervals (95 %), by metric.

    Metrics whose value is tuned on the data have none. Resamples in which a metric is undefined are left out.

    Args:
        metrics: The metrics, whose columns are all drawn.
        drawn: f8[b] by name, see `draw`.
    """
    if drawn is None:
        return {}
    wanted = [metric for metric in metrics if metric.resampled]
    return {metric.name: bounds for metric in wanted if (bounds := percentile_bounds(metric.value(drawn))) is not None}


def percentile_bounds(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Find the interval that holds the middle 95 % of resampled values; None if none is defined.

    Args:
        values: f8[b].
    """
    return percentile_bounds_each(values[None])[0]


def percentile_bounds_each(values: NDArray[np.float64]) -> list[tuple[float, float] | None]:
    """Find `percentile_bounds` of several rows of resampled values.

    Args:
        values: f8[g, b].
    """
    if not values.shape[1]:
        return [None] * len(values)
    ordered = np.sort(np.where(np.isfinite(values), values, np.inf), axis=1)
    last = np.count_nonzero(ordered < np.inf, axis=1) - 1
    tail = (1 - CONFIDENCE) / 2
    row, bounds = np.arange(len(values)), []
    for share in (tail, 1 - tail):
        # What np.quantile does by default, without the import of numpy.ma that it takes.
        place = share * np.maximum(last, 0)
        low = place.astype(np.int64)
        start, stop = ordered[row, low], ordered[row, np.minimum(low + 1, np.maximum(last, 0))]
        with np.errstate(invalid="ignore"):
            bounds.append(((stop - start) * (place - low) + start).tolist())
    return [pair if count >= 0 else None for pair, count in zip(zip(*bounds, strict=True), last.tolist(), strict=True)]
