"""Scores of many channels at once: for each channel what `Hits` of its rows gives, for a few columns.

A key must be attended by its own weight alone (`Threshold.by_weight`), so that nothing needs to be ranked: sums,
largest weights, comparisons and matrix products over all channels together take a few passes over the weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.arrays.records import record
from attneval.metrics.hits import NEARLY_ALL
from attneval.metrics.rankings import EVEN, normalised
from attneval.metrics.set_scores import set_f1, set_precision, set_recall

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.config.thresholds import Threshold
    from attneval.metrics.totals import Table

COLUMNS = ("precision", "recall", "f1", "mass", "area_mass", "pointing")
"""The columns that are computed."""
Number = TypeVar("Number", np.float32, np.float64)
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


def joined(parts: Sequence[ChannelCounts]) -> ChannelCounts:
    """Put the counts of some channels of the same items behind one another."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return ChannelCounts(
        total=np.concatenate([part.total for part in parts], axis=1),
        inside=np.concatenate([part.inside for part in parts], axis=1),
        outside=np.concatenate([part.outside for part in parts], axis=1),
        area=None if first.area is None else np.concatenate([part.area for part in parts if part.area is not None], 1),
        hits=np.concatenate([part.hits for part in parts], axis=1),
        attends=np.concatenate([part.attends for part in parts], axis=1),
        top=np.concatenate([part.top for part in parts], axis=1),
        tied=np.concatenate([part.tied for part in parts], axis=1),
        size=first.size,
    )


@record
class KeySets:
    """The sets of m items over n keys each, in the forms in which they are multiplied with.

    Attributes:
        relevant: f8[m, n, 1], 1 for the relevant keys.
        area: f8[m, n, 1], the share of each key inside the shapes; None if it is not known.
        relevant_single: f4[m, n, 1], the same as `relevant`, in single precision.
        every: f4[m, n, 1], ones.
        pointing: f8[m, n], 1 for what the pointing game accepts.
    """

    relevant: NDArray[np.float64]
    area: NDArray[np.float64] | None
    relevant_single: NDArray[np.float32]
    every: NDArray[np.float32]
    pointing: NDArray[np.float64]

    @classmethod
    def stacked(cls, sets: Mapping[str, NDArray[np.float64]]) -> KeySets:
        """The sets f8[m, n] by kind: `relevant`, `pointing` and perhaps `area`."""
        relevant, area = sets["relevant"][..., None], sets.get("area")
        single = relevant.astype(np.float32)
        return cls(relevant, None if area is None else area[..., None], single, np.ones_like(single), sets["pointing"])


def count_channels(weight: NDArray[np.float64], sets: KeySets, rule: Threshold, normalize: str) -> ChannelCounts:
    """Read the rows of m items in A channels, each row against the item's own sets.

    Args:
        weight: f8[m, A, n], not yet normalised; it is overwritten.
        sets: The items' sets.
        rule: A threshold that is `by_weight`.
        normalize: `Protocol.normalize`.
    """
    weight = np.ascontiguousarray(_normalised(weight, normalize))
    # Products with one column each are several times as fast as one product with several.
    total, inside = _product(weight, np.ones_like(sets.relevant)), _product(weight, sets.relevant)
    attended = weight > rule.cutoff(weight.shape[-1])
    largest, top, tied = _tops(weight, sets.pointing)
    _attend_evenly(weight, largest, total, attended)
    marked = attended.astype(np.float32)
    return ChannelCounts(
        total=total,
        inside=inside,
        outside=_outside(weight, sets.relevant[..., 0], inside, total),
        area=None if sets.area is None else _product(weight, sets.area),
        hits=_product(marked, sets.relevant_single).astype(np.float64),
        attends=_product(marked, sets.every).astype(np.int64),
        top=top,
        tied=tied,
        size=sets.relevant.sum(axis=(1, 2)),
    )


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


def _product(rows: NDArray[Number], keys: NDArray[Number]) -> NDArray[Number]:
    """Add the keys [m, n, 1] of each row [m, A, n], weighed by it: [m, A].

    Whole numbers up to 2^24 are exact in single precision, whatever order they are added in.
    """
    return (rows @ keys)[..., 0]


def _tops(
    weight: NDArray[np.float64], pointing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Find the largest weight of each row, and count the keys that have it.

    Comparing every weight with the largest of its row takes as long as several passes. The largest of the others is
    looked for instead; only where that is as large the row is looked at closely.

    Args:
        weight: f8[m, A, n], the rows; they are as they were when this returns.
        pointing: f8[m, n], 1 for the keys that the pointing game accepts.

    Returns:
        f8[m, A], the largest weights; f8[m, A], how many accepted keys have it; i8[m, A], how many keys have it.
    """
    m, channels, n = weight.shape
    flat, start = weight.reshape(-1), np.arange(0, m * channels * n, n).reshape(m, channels)
    key = weight.argmax(axis=-1)
    largest = flat[start + key]
    flat[start + key] = -np.inf
    second = flat[start + weight.argmax(axis=-1)]
    flat[start + key] = largest
    top, tied = np.take_along_axis(pointing, key, axis=1), np.ones_like(key)
    close = np.nonzero(second == largest)
    if len(close[0]):
        equal = weight[close] == largest[close][:, None]
        top[close], tied[close] = (equal * pointing[close[0]]).sum(axis=-1), equal.sum(axis=-1)
    return largest, top, tied


def _attend_evenly(
    weight: NDArray[np.float64], largest: NDArray[np.float64], total: NDArray[np.float64], attended: NDArray[np.bool_]
) -> None:
    """Let even rows attend to every key. In them no weight is above the mean, which few rows need be asked for."""
    near = np.nonzero(largest * weight.shape[-1] <= total + NEARLY_EVEN * np.abs(total))
    if len(near[0]):
        rows, top = weight[near], largest[near]
        attended[near] |= (top - rows.min(axis=-1) <= EVEN * np.abs(top))[:, None]


def _outside(
    weight: NDArray[np.float64], relevant: NDArray[np.float64], inside: NDArray[np.float64], total: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Mark the rows b[m, A] whose weight is nearly all inside, and of which another key weighs something."""
    outside, near = np.zeros(inside.shape, np.bool_), np.nonzero(nearly_all(inside, total))
    if len(near[0]):
        outside[near] = (weight[near] * (relevant[near[0]] == 0)).any(axis=-1)
    return outside
