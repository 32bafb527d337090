"""Scores of many channels at once: for each channel what `Hits` of its rows gives, for a few columns.

A key must be attended by its own weight alone (`Threshold.by_weight`), so that nothing needs to be ranked: sums,
largest weights, comparisons and matrix products over all channels together take a few passes over the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.metrics.hits import NEARLY_ALL
from attneval.metrics.rankings import EVEN, normalised
from attneval.metrics.set_scores import set_f1, set_precision, set_recall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from attneval.config.thresholds import Threshold
    from attneval.metrics.totals import Table

COLUMNS = ("precision", "recall", "f1", "mass", "area_mass", "pointing")
"""The columns that are computed."""
NEARLY_EVEN = 1e-9
"""How near to the mean of a row its largest weight is for the row to be looked at closely."""


def score_channels(
    weight: NDArray[np.float64], sets: Mapping[str, NDArray[np.float64]], rule: Threshold, normalize: str
) -> Table:
    """Score the rows of m items in A channels, each row against the item's own sets.

    Args:
        weight: f8[m, A, n], not yet normalised; it is overwritten.
        sets: f8[m, n] by kind of set, 1 for the keys of the item's set; under `area` the share of each key inside.
        rule: A threshold that is `by_weight`.
        normalize: `Protocol.normalize`.

    Returns:
        f8[m, A] by column; without `area_mass` if there is no `area`.
    """
    items, channels, n = weight.shape
    weight = _normalised(weight, normalize)
    relevant, pointing = sets["relevant"], sets["pointing"]
    weighed = [np.ones_like(relevant), relevant, *([sets["area"]] if "area" in sets else [])]
    total, inside, *area = np.moveaxis(weight @ np.stack(weighed, axis=-1), -1, 0)
    largest = weight.max(axis=-1)
    attended = weight > rule.cutoff(n)
    _attend_evenly(weight, largest, total, attended)
    hits, attends = _counts(attended, relevant)
    top, tied = _counts(weight == largest[..., None], pointing)
    size = np.broadcast_to(relevant.sum(axis=-1)[:, None], (items, channels))
    return {
        "precision": set_precision(hits, attends),
        "recall": set_recall(hits, size),
        "f1": set_f1(hits, attends, size),
        "mass": _share_inside(weight, relevant, inside, total),
        **({"area_mass": quotient(area[0], total)} if area else {}),
        "pointing": top / tied,
    }


def _normalised(weight: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Rows as `normalised` has them, in place where that saves a pass."""
    if method == "sum":
        total = weight.sum(axis=-1, keepdims=True)
        # A row without weight is zeros, whatever it is divided by.
        empty = ~(total > 0)
        weight /= np.where(empty, 1.0, total)
        if empty.any():
            weight *= ~empty
        return weight
    return normalised(weight.reshape(-1, weight.shape[-1]), method).reshape(weight.shape)


def _attend_evenly(
    weight: NDArray[np.float64], largest: NDArray[np.float64], total: NDArray[np.float64], attended: NDArray[np.bool_]
) -> None:
    """Let even rows attend to every key. In them no weight is above the mean, which few rows need be asked for."""
    near = np.nonzero(largest * weight.shape[-1] <= total + NEARLY_EVEN * np.abs(total))
    if len(near[0]):
        rows, top = weight[near], largest[near]
        attended[near] |= (top - rows.min(axis=-1) <= EVEN * np.abs(top))[:, None]


def _counts(marked: NDArray[np.bool_], keys: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Count marked keys b[m, A, n] of an item's set f8[m, n], and all of them: f8[m, A] and i8[m, A].

    Whole numbers up to 2^24 are exact in single precision, whatever order they are added in.
    """
    both = np.stack([keys, np.ones_like(keys)], axis=-1).astype(np.float32)
    count = marked.astype(np.float32) @ both
    return count[..., 0].astype(np.float64), count[..., 1].astype(np.int64)


def _share_inside(
    weight: NDArray[np.float64], relevant: NDArray[np.float64], inside: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Divide the weight of relevant keys by that of all; exactly 1 where no other key weighs anything."""
    share = quotient(inside, total)
    near = np.nonzero(np.abs(share - 1) < NEARLY_ALL)
    if len(near[0]):
        outside = (weight[near] * (relevant[near[0]] == 0)).any(axis=-1)
        share[near] = np.where(outside, np.minimum(share[near], 1.0), 1.0)
    return share
