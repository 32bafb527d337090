"""Scores of many channels at once: for each channel what `Hits` of its rows gives, for a few columns.

A key must be attended by its own weight alone (`Threshold.by_weight`), so that nothing needs to be ranked: sums,
largest weights, comparisons and matrix products over all channels together take a few passes over the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.arrays.records import record
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


@record
class ChannelCounts:
    """All that is read of the weights of m items in A channels; the columns are computed from it alone.

    Attributes:
        total: f8[m, A], the weight of all keys.
        inside: f8[m, A], the weight of the relevant ones.
        outside: b[m, A], whether another key weighs anything; asked for only where `inside` is nearly `total`.
        area: f8[m, A], the weights times the share of each key inside the shapes; None if the shares are not known.
        hits: f8[m, A], how many keys are attended and relevant.
        attends: i8[m, A], how many are attended.
        top: f8[m, A], how many have the largest weight and are what the pointing game accepts.
        tied: i8[m, A], how many have the largest weight.
        size: f8[m], how many are relevant.
    """

    total: NDArray[np.float64]
    inside: NDArray[np.float64]
    outside: NDArray[np.bool_]
    area: NDArray[np.float64] | None
    hits: NDArray[np.float64]
    attends: NDArray[np.int64]
    top: NDArray[np.float64]
    tied: NDArray[np.int64]
    size: NDArray[np.float64]

    def columns(self) -> Table:
        """Compute the columns f8[m, A]; without `area_mass` if there is no `area`."""
        size = np.broadcast_to(self.size[:, None], self.hits.shape)
        share = quotient(self.inside, self.total)
        near = nearly_all(self.inside, self.total)
        share[near] = np.where(self.outside[near], np.minimum(share[near], 1.0), 1.0)
        return {
            "precision": set_precision(self.hits, self.attends),
            "recall": set_recall(self.hits, size),
            "f1": set_f1(self.hits, self.attends, size),
            "mass": share,
            **({} if self.area is None else {"area_mass": quotient(self.area, self.total)}),
            "pointing": self.top / self.tied,
        }


def nearly_all(inside: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the rows [m, A] whose weight is nearly all inside: exactly 1 if no other key weighs anything."""
    return np.asarray(np.abs(quotient(inside, total) - 1) < NEARLY_ALL)


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
    weight = _normalised(weight, normalize)
    relevant = sets["relevant"]
    weighed = [np.ones_like(relevant), relevant, *([sets["area"]] if "area" in sets else [])]
    total, inside, *area = np.moveaxis(weight @ np.stack(weighed, axis=-1), -1, 0)
    largest = weight.max(axis=-1)
    attended = weight > rule.cutoff(weight.shape[-1])
    _attend_evenly(weight, largest, total, attended)
    hits, attends = _counts(attended, relevant)
    top, tied = _counts(weight == largest[..., None], sets["pointing"])
    return ChannelCounts(
        total=total,
        inside=inside,
        outside=_outside(weight, relevant, inside, total),
        area=area[0] if area else None,
        hits=hits,
        attends=attends,
        top=top,
        tied=tied,
        size=relevant.sum(axis=-1),
    ).columns()


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


def _outside(
    weight: NDArray[np.float64], relevant: NDArray[np.float64], inside: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Mark the rows b[m, A] whose weight is nearly all inside, and of which another key weighs something."""
    outside, near = np.zeros(inside.shape, np.bool_), np.nonzero(nearly_all(inside, total))
    if len(near[0]):
        outside[near] = (weight[near] * (relevant[near[0]] == 0)).any(axis=-1)
    return outside
