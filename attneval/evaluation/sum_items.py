"""Items scored: per-item numbers, summed per image and into exact totals."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges
from attneval.arrays.records import record
from attneval.evaluation.constant_attention import constant_totals
from attneval.evaluation.group_sums import sums_of_groups
from attneval.evaluation.item_hits import counted_columns, evaluated, hits_of, item_chunks, sums_by_image, zero_columns
from attneval.evaluation.weight_reader import MEAN
from attneval.metrics.floors import (
    SHUFFLED_ATTENTION,
    floor_column,
    floored_columns,
    paired_column,
)
from attneval.metrics.hits import Hits
from attneval.metrics.populations import (
    ITEMS,
    POPULATIONS,
    REACHED,
    SCORED,
    SHUFFLED,
    populations,
)
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.registry import computable_columns
from attneval.metrics.sweep import CURVES, grid, sweep
from attneval.metrics.totals import exact_total, in_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.weight_reader import Weights
    from attneval.matching.items import Items
    from attneval.metrics.declaration import Column
    from attneval.metrics.totals import Table, Totals
    from attneval.statistics.group_sums import GroupSums


@record
class Statistics:
    """The sums of I images.

    Attributes:
        per_image: f8[I] by column, sums over the items of each image.
        totals: Sums over all images: `sweep`, the curves; `uniform`, `center` and `shuffled`, the columns of the
            baselines; `by`, the columns by kind and name of a group of items.
        by: By kind and name of a group, the sums of the images that have items of it.
        per_item: f8[m] by column; empty unless asked for.
    """

    per_image: Table
    totals: Totals
    by: GroupSums = field(default_factory=dict)
    per_item: Table = field(default_factory=dict)


@record
class Scored:
    """Columns of m items, of the model's rows and of the same rows held against other entities.

    Attributes:
        model: f8[m] by column.
        shuffled: f8[m] by column, the mean over the other entities of the image.
        compared: f8[m] by population, how many other entities count in it.
        curves: f8[3, I, t], the sweep summed by image.
    """

    model: Table
    shuffled: Table
    compared: Table
    curves: NDArray[np.float64]


def sum_items(
    items: Items,
    weights: Weights,
    protocol: Protocol,
    *,
    images: int,
    types: Sequence[str],
    channel: int = MEAN,
    constant: dict[str, Table],
    keep_columns: bool = False,
) -> Statistics:
    """Score the items of a block of images.

    Args:
        items: The items.
        weights: Their weights.
        protocol: How they are scored.
        images: How many images the block has.
        types: The names of the bits of `items.types`.
        channel: Which channel, or `MEAN`.
        constant: What attention scores that is the same for all items of an image, see `constant_attention`.
        keep_columns: Whether the numbers of each item are wanted, too.
    """
    specs = computable_columns(items.at_hand)
    reachable = items.sets["relevant"].size[items.target] > 0
    counted = populations(items.given, reachable, protocol, items.undefined)
    scored = _score(items, weights, protocol, specs, counted[SCORED], images=images, channel=channel)
    # Shuffled attention is scored on the items that have something else to be held against.
    rest = {over: counted[over] * (scored.compared[over] > 0) for over in counted}
    full = counted_columns(specs, scored.model, counted) | counted | {REACHED: counted[ITEMS] * reachable}
    full |= _floors(items, scored, constant, counted[SCORED], rest[SCORED])
    groups, by = sums_of_groups(items, full, types)
    totals: Totals = {
        "sweep": {
            name: in_units(curve).sum(axis=0).tolist() for name, curve in zip(CURVES, scored.curves, strict=True)
        },
        **constant_totals(items, constant, counted, specs, images),
        SHUFFLED_ATTENTION: {
            name: exact_total(sums_by_image(items, values, images))
            for name, values in counted_columns(specs, scored.shuffled, rest).items()
        },
        "by": groups,
    }
    return Statistics(
        {name: sums_by_image(items, values, images) for name, values in full.items()},
        totals,
        by,
        full if keep_columns else {},
    )


def _floors(
    items: Items, scored: Scored, constant: dict[str, Table], over: NDArray[np.float64], rest: NDArray[np.float64]
) -> Table:
    """The columns f8[m] of floors, see `attneval.metrics.floors`.

    Args:
        items: The items.
        scored: What the model and shuffled attention score.
        constant: What attention that is the same for all items of an image scores, by floor, of each set.
        over: f8[m], how often each item counts.
        rest: f8[m], how often it counts for shuffled attention.
    """
    table = {SHUFFLED: rest}
    for name in floored_columns():
        for floor, values in constant.items():
            table[floor_column(floor, name)] = values[name][items.target] * over
        table[floor_column(SHUFFLED_ATTENTION, name)] = scored.shuffled[name] * rest
        table[paired_column(name)] = scored.model[name] * rest
    return table


def _score(
    items: Items,
    weights: Weights,
    protocol: Protocol,
    specs: dict[str, Column],
    scored: NDArray[np.float64],
    *,
    images: int,
    channel: int,
) -> Scored:
    """Rank the items' weights, chunk by chunk, and hold them against their own and against other entities."""
    count = len(items.target)
    model, shuffled = _without_weights(specs, items, protocol), zero_columns(specs, count)
    compared = {over: np.zeros(count) for over in POPULATIONS}
    curves = np.zeros((len(CURVES), images, len(grid(protocol.rule))))
    for chunk in item_chunks(items, items.ranked):
        rows = Rows.rank(normalised(weights.read(chunk, channel), protocol.normalize), protocol.rule)
        pairs = _Pairs.of(items, chunk)
        row, of = pairs.row[pairs.others], pairs.set[pairs.others]
        valid = populations(np.ones(len(of), np.bool_), items.sets["relevant"].size[of] > 0, protocol)
        for over, mask in valid.items():
            compared[over][chunk] = np.bincount(row, mask, len(chunk))
        for name, values in evaluated(specs, hits_of(items, rows, pairs.row, pairs.set)):
            model[name][chunk] = values[pairs.targets]
            over = specs[name].over
            total = np.bincount(row, values[pairs.others] * valid[over], len(chunk))
            shuffled[name][chunk] = total / np.maximum(compared[over][chunk], 1)
        low, high = int(items.image[chunk[0]]), int(items.image[chunk[-1]]) + 1
        group = np.where(scored[chunk] > 0, items.image[chunk] - low, -1)
        alone = Hits(rows, np.arange(len(chunk)), items.sets["relevant"], items.target[chunk])
        curves[:, low:high] += sweep(alone, protocol.rule, group, high - low)
    return Scored(model, shuffled, compared, curves)


@record
class _Pairs:
    """The rows of some items and the sets that they are held against: each item's own, and those of the others.

    Attributes:
        row: i8[p], ascending.
        set: i8[p], the item's own set first.
        targets: i8[m], the pairs of items and their own sets.
        others: i8[o], the other pairs.
    """

    row: NDArray[np.int64]
    set: NDArray[np.int64]
    targets: NDArray[np.int64]
    others: NDArray[np.int64]

    @classmethod
    def of(cls, items: Items, chunk: NDArray[np.int64]) -> _Pairs:
        """Pair items i8[m] with their own set, and with that of every other entity of their image."""
        count = np.diff(items.other_offset)[chunk]
        row = np.repeat(np.arange(len(chunk)), count + 1)
        first = np.diff(row, prepend=-1) > 0
        targets, others = np.flatnonzero(first), np.flatnonzero(~first)
        of = np.empty_like(row)
        of[targets] = items.target[chunk]
        of[others] = items.other[ranges(items.other_offset[chunk], count)]
        return cls(row, of, targets, others)


def _without_weights(specs: dict[str, Column], items: Items, protocol: Protocol) -> Table:
    """What items have to which the model gave no weights: 0, but for what is of their sets alone."""
    every = np.zeros(len(items.target), np.int64)
    nothing = Rows.rank(np.zeros((0, 1)), protocol.rule)
    hits = Hits(nothing, every, items.sets["relevant"], items.target, maps=items.maps)
    return zero_columns(specs, len(items.target)) | {
        name: spec.values(hits) for name, spec in specs.items() if spec.of_set_alone
    }
