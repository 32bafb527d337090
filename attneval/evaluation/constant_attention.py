"""Attention that is the same for all items of an image: even, or on the centre."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges
from attneval.evaluation.item_hits import counted_columns, evaluated, hits_of, item_chunks, zero_columns
from attneval.metrics.floors import (
    CENTER,
    UNIFORM,
    floor_column,
    floored_columns,
)
from attneval.metrics.rankings import Rows
from attneval.metrics.registry import computable_columns
from attneval.metrics.totals import exact_total

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.matching.items import Items
    from attneval.metrics.declaration import Column
    from attneval.metrics.totals import Table, Totals


AT_ONCE = 2**18
"""Sets times keys that are worked on together, so that they stay in the cache."""


def constant_columns(items: Items, specs: dict[str, Column], protocol: Protocol, *, center: IndexSets | None) -> Table:
    """The columns of attention that is the same for all items of an image: f8[s] by name, one entry per set.

    Args:
        items: The items; only sets of theirs are scored, each once for all its items.
        specs: The columns.
        protocol: The threshold rule.
        center: The regions of each image that all weight lies on; None for even attention.
    """
    sets = len(items.sets["relevant"].size)
    values, group_of = zero_columns(specs, sets), np.zeros(sets, np.int64)
    group_of[items.target] = items.group
    for chunk in item_chunks(items, items.key_count > 0, whole=True):
        n = int(items.key_count[chunk[0]])
        used = np.zeros(sets, np.bool_)
        used[items.target[chunk]] = True
        every = np.flatnonzero(used)
        for chosen in np.array_split(every, len(every) * n // AT_ONCE + 1):
            group, row = np.unique(group_of[chosen], return_inverse=True)
            weight = np.full((1, n), 1 / n) if center is None else _center_rows(center, group, n)
            rows = Rows.rank(weight, protocol.rule)
            hits = hits_of(items, rows, row if center is not None else np.zeros_like(row), chosen)
            for name, column in evaluated(specs, hits):
                values[name][chosen] = column
    return values


def constant_attention(items: Items, protocol: Protocol, center: IndexSets | None = None) -> dict[str, Table]:
    """Score attention that knows nothing of the item, once for all channels that have these items.

    Args:
        items: The items.
        protocol: The threshold rule.
        center: For each image the regions nearest its centre; None where that means nothing.

    Returns:
        f8[s] by floor and column, one entry per set.
    """
    specs = computable_columns(items.at_hand)
    constant = {UNIFORM: constant_columns(items, specs, protocol, center=None)}
    if center is not None:
        constant[CENTER] = constant_columns(items, specs, protocol, center=center)
    return constant


def constant_totals(
    items: Items, constant: dict[str, Table], counted: Table, specs: dict[str, Column], images: int
) -> Totals:
    """Sum such attention exactly: each set counts as often as its items do.

    Args:
        items: The items.
        constant: f8[s] by floor and column, see `constant_attention`.
        counted: f8[m] by population, how often each item counts.
        specs: The columns.
        images: How many images there are.
    """
    sets = len(items.sets["relevant"].size)
    times = {over: np.asarray(np.bincount(items.target, v, sets), np.float64) for over, v in counted.items()}
    image_of = _image_of_sets(items)
    totals: dict[str, dict[str, int]] = {
        floor: {
            name: exact_total(np.bincount(image_of, column, images))
            for name, column in counted_columns(specs, values, times).items()
        }
        for floor, values in constant.items()
    }
    # Lifts are differences to what even attention scores on the same items.
    even = {floor_column(UNIFORM, name): totals[UNIFORM][name] for name in floored_columns()}
    return {floor: {**table, **even} for floor, table in totals.items()}


def _image_of_sets(items: Items) -> NDArray[np.int64]:
    """i8[s], the image of each set; 0 for sets of no item."""
    image = np.zeros(len(items.sets["relevant"].size), np.int64)
    image[items.target] = items.image
    return image


def _center_rows(center: IndexSets, group: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Rows f8[k, n] with all weight on the regions nearest the centre of the image, of each group."""
    size = center.size[group]
    rows = np.zeros((len(group), n))
    rows[np.repeat(np.arange(len(group)), size), center.member[ranges(center.offset[group], size)]] = 1
    return rows / np.maximum(size, 1)[:, None]
