"""The arithmetic of threshold rules: levels of ranked keys, and the values that pixels of maps have to be above.

The command line reads the table of rules before anything heavy is loaded; numpy is therefore imported where it
computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROUNDING = 1e-12
"""Weights that differ from a threshold by this share or less are equal to it, whatever the processor made of them."""
MASS_ROUNDING = 1e-9
"""The same for sums of weights."""


def as_they_are(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:  # noqa: ARG001
    """Take the weights f8[m, n] themselves for levels."""
    return ordered


def share_of_largest(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:  # noqa: ARG001
    """Divide weights f8[m, n] by the row's largest: f8[m, n]; 1 in a row of zeros, where each is as large."""
    from attneval.arrays.quotients import quotient

    return quotient(ordered, ordered[:, :1], otherwise=1.0)


def place_from_top(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:  # noqa: ARG001
    """Count 0, -1, -2, ... along each row f8[m, n]: f8[m, n]."""
    import numpy as np

    return np.broadcast_to(-np.arange(ordered.shape[1], dtype=np.float64), ordered.shape)


def share_not_held(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:
    """Compute the share of a row's sum not yet held before a key and those that weigh as much: f8[m, n] of both."""
    import numpy as np

    from attneval.arrays.quotients import quotient

    held = np.cumsum(ordered, axis=1)
    total = held[:, -1:]
    left = quotient(total - held, total)
    left = np.concatenate((np.where(total > 0, 1.0, 0.0), left[:, :-1]), axis=1)
    return np.take_along_axis(left, first, axis=1)


def share_of_otsu(ordered: NDArray[np.float64], first: NDArray[np.int32]) -> NDArray[np.float64]:  # noqa: ARG001
    """Divide the place of weights f8[m, n] in the row's range by that of Otsu's threshold: f8[m, n]."""
    from attneval.arrays.otsu import otsu_shares
    from attneval.arrays.quotients import quotient

    low, high = ordered[:, -1], ordered[:, 0]
    share = quotient(ordered - low[:, None], (high - low)[:, None])
    return (share + ROUNDING) / otsu_shares(ordered, low, high)[:, None]


def above_otsu(pixel: NDArray[np.float64], row: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    """Compute `value` times Otsu's threshold of pixels f8[m, P], in the range of the cells f8[m, n]: f8[m]."""
    from attneval.arrays.otsu import otsu_shares

    low, high = row.min(axis=1), row.max(axis=1)
    above: NDArray[np.float64] = low + (value * otsu_shares(pixel, low, high) - ROUNDING) * (high - low)
    return above


def above_mass(pixel: NDArray[np.float64], row: NDArray[np.float64], value: float) -> NDArray[np.float64]:  # noqa: ARG001
    """Compute what is just below the smallest of the fewest pixels f8[m, P] that hold so much: f8[m]."""
    import numpy as np

    ordered = np.sort(pixel, axis=1)[:, ::-1]
    held = np.cumsum(ordered, axis=1)
    last = (held < (value - MASS_ROUNDING) * held[:, -1:]).sum(axis=1).clip(max=pixel.shape[1] - 1)
    least = ordered[np.arange(len(ordered)), last]
    above: NDArray[np.float64] = least - ROUNDING * np.abs(least) - np.finfo(np.float64).tiny
    return above


def equal_ratios(step: NDArray[np.int64]) -> NDArray[np.float64]:
    """Space steps i8[k] from a hundredth to a hundred: f8[k]."""
    import numpy as np

    return np.asarray(10.0 ** (step / 25 - 2), np.float64)
