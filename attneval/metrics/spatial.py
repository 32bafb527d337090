"""Spatial entropy: how scattered the attention on a grid is, measured for single channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.metrics.rankings import EVEN
from attneval.metrics.registry import Metric, ratio, register

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPATIAL, SPATIAL_N = "spatial_entropy", "spatial_entropy_n"
"""The columns of it: the sum over items, and how many items have one."""

register(
    Metric(
        name=SPATIAL,
        title="Spatial entropy",
        short="spatial",
        group="companion",
        higher_is_better=False,
        definition="The entropy, in nats, of the weights of the connected components (8 neighbours) of the cells that "
        "weigh more than the row's mean, as shares of their sum: 0 for one blob, more for scattered attention. It says "
        "how scattered attention is, not how right. Measured by attneval heads for the channels of grids; mean over "
        "items, without even rows.",
        citation="Kang et al., Your Large Vision-Language Model Only Needs A Few Attention Heads For Visual Grounding, "
        "CVPR 2025 (LocalizationHeads)",
        value=ratio(SPATIAL, SPATIAL_N),
        per=SPATIAL_N,
        upper=float("inf"),
        unit="nats",
        baseline=False,
        oracle=None,
    )
)


def spatial_entropy(weight: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Compute the entropy of the connected components of what is above the mean.

    Args:
        weight: f8[m, n], rows over the cells of a grid, row by row, not negative.
        shape: The rows and columns of the grid, n cells.

    Returns:
        f8[m], in nats; NaN where no cell is above the mean, as in even rows.
    """
    m, n = weight.shape
    above = weight > weight.mean(axis=1, keepdims=True)
    above &= (weight.max(axis=1) - weight.min(axis=1) > EVEN * weight.max(axis=1))[:, None]
    label = _components(above.reshape(m, *shape)).reshape(m, n)
    row, cell = np.nonzero(above)
    mass = np.asarray(np.bincount(row * n + label[row, cell], weight[row, cell], m * n), np.float64).reshape(m, n)
    share = quotient(mass, mass.sum(axis=1, keepdims=True))
    # No component has a share below 0, and a single one has an entropy of 0, not of -0.
    entropy = np.abs(np.sum(share * np.log(np.where(share > 0, share, 1.0)), axis=1))
    return np.where(above.any(axis=1), entropy, np.nan)


def _components(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Label the connected components of each picture, 8 neighbours of a cell being next to it.

    Args:
        mask: b[m, h, w].

    Returns:
        i8[m, h, w], the first cell of each cell's component, counted row by row; anything where the mask is False.
    """
    m, h, w = mask.shape
    outside = h * w
    label = np.where(mask, np.arange(outside).reshape(h, w), outside)
    active = np.arange(m)
    while len(active):
        # A smaller label spreads to the neighbours, and each cell then takes the label of the cell that it points to.
        spread = np.full((len(active), h + 2, w + 2), outside)
        spread[:, 1:-1, 1:-1] = label[active]
        spread = np.minimum(np.minimum(spread[:, :-2], spread[:, 1:-1]), spread[:, 2:])
        spread = np.minimum(np.minimum(spread[:, :, :-2], spread[:, :, 1:-1]), spread[:, :, 2:])
        spread = np.where(mask[active], spread, outside)
        ends = np.concatenate((spread.reshape(len(active), -1), np.full((len(active), 1), outside)), axis=1)
        jumped = np.take_along_axis(ends, ends[:, :-1], axis=1).reshape(len(active), h, w)
        changed = (jumped != label[active]).any(axis=(1, 2))
        label[active] = jumped
        active = active[changed]
    return label
