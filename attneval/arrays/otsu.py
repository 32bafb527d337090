"""Otsu's threshold of rows of numbers: the one that parts them into two classes that differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 256
"""The bins of the histogram, equally wide over a row's range."""
ROUNDING = 1e-12
"""A number that lies this share of the range or less below the edge of a bin is in that bin."""


def otsu_shares(
    values: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find how much of a row's range lies below its upper class.

    Of equally good thresholds the lowest is taken: the upper edge of a bin that is not empty, of the `BINS` bins.

    Args:
        values: f8[m, n], at least one in each row; those outside the range are in its first or last bin.
        low: f8[m], where each row's range begins.
        high: f8[m], where it ends.

    Returns:
        f8[m], of the range, in (0, 1]; 1 in rows whose numbers are all in one bin.
    """
    rows, count = values.shape
    scale = quotient(np.full(rows, float(BINS)), high - low)
    bins = values * scale[:, None]
    bins += (ROUNDING * BINS - low * scale)[:, None]
    place = np.clip(bins, 0, BINS - 1, out=bins).astype(np.int64)
    place += np.arange(0, rows * BINS, BINS)[:, None]
    histogram = np.bincount(place.ravel(), minlength=rows * BINS).reshape(rows, BINS)
    below = np.cumsum(histogram, axis=1)
    moment = np.cumsum(histogram * np.arange(BINS), axis=1)
    # The variance between the classes, but for a factor that is the same for all thresholds; whole numbers up to here.
    apart = moment[:, -1:].astype(np.float64) * below - np.float64(count) * moment
    between = quotient(apart * apart, below.astype(np.float64) * (count - below))
    return np.where(between.max(axis=1) > 0, (between.argmax(axis=1) + 1) / BINS, 1.0)
