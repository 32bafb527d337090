"""Spatial entropy: how scattered the attention on a grid is, measured for single channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.geometry.components import connected_runs
from attneval.metrics.declaration import Metric
from attneval.metrics.rankings import EVEN
from attneval.metrics.registry import registrar
from attneval.metrics.values import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

register = registrar(__name__)

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
    largest = weight.max(axis=1)
    above = weight > weight.mean(axis=1, keepdims=True)
    above &= (largest - weight.min(axis=1) > EVEN * largest)[:, None]
    cell = np.flatnonzero(above)
    if not len(cell):
        return np.full(m, np.nan)
    run, component = connected_runs(cell, shape)
    mass = np.bincount(component[run], weight.reshape(-1)[cell], len(component))
    row = cell[np.flatnonzero(np.diff(run, prepend=-1))] // n
    total = np.bincount(row, mass, m)
    share = mass / total[row]
    part = share * np.log(np.where(share > 0, share, 1.0))
    # No component has a share below 0, and a single one has an entropy of 0, not of -0.
    return np.where(total > 0, np.abs(np.bincount(row, part, m)), np.nan)
