"""Items scored: per-item numbers, summed per image and into exact totals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, ranges
from attneval.config.breakdowns import AREAS, LENGTHS
from attneval.evaluation.weight_reader import MEAN
from attneval.metrics.floors import (
    CENTER,
    SHUFFLED_ATTENTION,
    UNIFORM,
    breakdown_columns,
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
from attneval.metrics.registry import ATTENTION, Column, columns
from attneval.metrics.sweep import CURVES, grid, sweep
from attneval.metrics.totals import exact_total, in_units
from attneval.statistics.image_sums import ImageRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.weight_reader import Weights
    from attneval.matching.items import Items
    from attneval.metrics.totals import Table, Totals
    from attneval.statistics.image_sums import GroupSums

CHUNK = 2**17
"""Weights that are ranked together, so that they stay in the cache."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """The sums of I images.

    Attributes:
        per_image: f8[I] by column, sums over the items of each image.
        totals: Sums over all images: `sweep`, the curves; `uniform`, `center` and `shuffled`, the columns of the
            baselines; `by`, the columns by kind and name of a group of items.
        by: By kind and name of a group, the sums of the images that have items of it.
        per_item: f8[m] by column.
    """

    per_image: Table
    totals: Totals
    by: GroupSums = field(default_factory=dict)
    per_item: Table = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
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
    center: IndexSets | None = None,
) -> Statistics:
    """Score the items of a block of images.

    Args:
        items: The items.
        weights: Their weights.
        protocol: How they are scored.
        images: How many images the block has.
        types: The names of the bits of `items.types`.
        channel: Which channel, or `MEAN`.
        center: For each image the regions nearest its centre; None where that means nothing.
    """
    specs = columns(*ATTENTION)
    reachable = items.sets["relevant"].size[items.target] > 0
    counted = populations(items.given, reachable, protocol, items.undefined)
    scored = _score(items, weights, protocol, specs, counted[SCORED], images=images, channel=channel)
    # Shuffled attention is scored on the items that have something else to be held against.
    rest = {over: counted[over] * (scored.compared[over] > 0) for over in counted}
    constant = {UNIFORM: constant_columns(items, specs, protocol, center=None)}
    if center is not None:
        constant[CENTER] = constant_columns(items, specs, protocol, center=center)
    full = _counted(specs, scored.model, counted) | counted | {REACHED: counted[ITEMS] * reachable}
    full |= _floors(items, scored, constant, counted[SCORED], rest[SCORED])
    totals: Totals = {
        "sweep": {
            name: in_units(curve).sum(axis=0).tolist() for name, curve in zip(CURVES, scored.curves, strict=True)
        },
        **_constant_totals(items, constant, counted, specs, images),
        SHUFFLED_ATTENTION: {
            name: exact_total(_by_image(items, values, images))
            for name, values in _counted(specs, scored.shuffled, rest).items()
        },
        "by": _totals_by_group(items, full, images, types),
    }
    return Statistics(
        {name: _by_image(items, values, images) for name, values in full.items()},
        totals,
        _sums_by_group(items, full, types),
        full,
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
    model, shuffled = _without_weights(specs, items, protocol), _zeros(specs, count)
    compared = {over: np.zeros(count) for over in POPULATIONS}
    curves = np.zeros((len(CURVES), images, len(grid(protocol.rule))))
    for chunk in item_chunks(items, items.ranked):
        rows = Rows.rank(normalised(weights.read(chunk, channel), protocol.normalize), protocol.rule)
        hits = _hits(items, rows, np.arange(len(chunk)), items.target[chunk])
        for name, values in _evaluated(specs, hits):
            model[name][chunk] = values
        low, high = int(items.image[chunk[0]]), int(items.image[chunk[-1]]) + 1
        group = np.where(scored[chunk] > 0, items.image[chunk] - low, -1)
        curves[:, low:high] += sweep(hits["relevant"], protocol.rule, group, high - low)
        means, numbers = _score_others(items, rows, chunk, specs, protocol)
        for name, values in means.items():
            shuffled[name][chunk] = values
        for over, values in numbers.items():
            compared[over][chunk] = values
    return Scored(model, shuffled, compared, curves)


def constant_columns(items: Items, specs: dict[str, Column], protocol: Protocol, *, center: IndexSets | None) -> Table:
    """The columns of attention that is the same for all items of an image: f8[s] by name, one entry per set.

    Args:
        items: The items; only sets of theirs are scored, each once for all its items.
        specs: The columns.
        protocol: The threshold rule.
        center: The regions of each image that all weight lies on; None for even attention.
    """
    sets = len(items.sets["relevant"].size)
    values, group_of = _zeros(specs, sets), np.zeros(sets, np.int64)
    group_of[items.target] = items.group
    for chunk in item_chunks(items, items.key_count > 0, whole=True):
        n = int(items.key_count[chunk[0]])
        used = np.zeros(sets, np.bool_)
        used[items.target[chunk]] = True
        chosen = np.flatnonzero(used)
        group, row = np.unique(group_of[chosen], return_inverse=True)
        weight = np.full((1, n), 1 / n) if center is None else _center_rows(center, group, n)
        rows = Rows.rank(weight, protocol.rule)
        hits = _hits(items, rows, row if center is not None else np.zeros_like(row), chosen)
        for name, column in _evaluated(specs, hits):
            values[name][chosen] = column
    return values


def _constant_totals(
    items: Items, constant: dict[str, Table], counted: Table, specs: dict[str, Column], images: int
) -> Totals:
    """The exact totals of such attention: each set counts as often as its items do."""
    sets = len(items.sets["relevant"].size)
    times = {over: np.asarray(np.bincount(items.target, v, sets), np.float64) for over, v in counted.items()}
    image_of = _image_of_sets(items)
    totals: dict[str, dict[str, int]] = {
        floor: {
            name: exact_total(np.bincount(image_of, column, images))
            for name, column in _counted(specs, values, times).items()
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


def _by_image(items: Items, values: NDArray[np.float64], images: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(items.image, values, images), np.float64)


def _counted(specs: dict[str, Column], values: Table, over: Table) -> Table:
    """Columns as often as their population counts each entry, and the populations."""
    return {name: values[name] * over[spec.over] for name, spec in specs.items()} | over


def _score_others(
    items: Items, rows: Rows, chunk: NDArray[np.int64], specs: dict[str, Column], protocol: Protocol
) -> tuple[Table, Table]:
    """Hold each item against every other entity of its image.

    Returns:
        The mean of each column over the other entities, and how many of them each population counts.
    """
    count = np.diff(items.other_offset)[chunk]
    other = items.other[ranges(items.other_offset[chunk], count)]
    row = np.repeat(np.arange(len(chunk)), count)
    reachable = items.sets["relevant"].size[other] > 0
    valid = populations(np.ones(len(other), np.bool_), reachable, protocol)
    compared = {over: np.asarray(np.bincount(row, mask, len(chunk)), np.float64) for over, mask in valid.items()}
    means: Table = {}
    for name, values in _evaluated(specs, _hits(items, rows, row, other)):
        over = specs[name].over
        means[name] = np.bincount(row, values * valid[over], len(chunk)) / np.maximum(compared[over], 1)
    return means, compared


def _hits(items: Items, rows: Rows, row: NDArray[np.int64], of: NDArray[np.int64]) -> dict[str, Hits]:
    """Pairs held against each kind of sets; kinds that are the same sets share the work."""
    made: dict[int, Hits] = {}
    return {
        kind: made.setdefault(id(sets), Hits(rows, row, sets, of, items.pixels)) for kind, sets in items.sets.items()
    }


def _evaluated(specs: dict[str, Column], hits: dict[str, Hits]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    return ((name, spec.values(hits[spec.against])) for name, spec in specs.items())


def item_chunks(items: Items, usable: NDArray[np.bool_], *, whole: bool = False) -> Iterator[NDArray[np.int64]]:
    """Split items into groups with equally many keys, small enough for the cache, never within an image.

    An image's sums must not depend on which other images are scored with it, to the last bit.

    Args:
        items: m items.
        usable: b[m], the items to split.
        whole: Whether all items with equally many keys stay together.
    """
    for n in distinct_values(items.key_count[usable]).tolist():
        rows = np.flatnonzero(usable & (items.key_count == n))
        if whole:
            yield rows
            continue
        first = np.searchsorted(items.image[rows], items.image[rows])
        number = first * n // CHUNK
        yield from np.split(rows, np.flatnonzero(np.diff(number)) + 1)


def _center_rows(center: IndexSets, group: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Rows f8[k, n] with all weight on the regions nearest the centre of the image, of each group."""
    size = center.size[group]
    rows = np.zeros((len(group), n))
    rows[np.repeat(np.arange(len(group)), size), center.member[ranges(center.offset[group], size)]] = 1
    return rows / np.maximum(size, 1)[:, None]


def _groups(items: Items, types: Sequence[str]) -> dict[str, dict[str, NDArray[np.int64]]]:
    """The rows of the items of each group of every breakdown; groups without any are left out."""
    members = {
        "type": {name: (items.types >> bit) & 1 > 0 for bit, name in enumerate(types)},
        "area": {name: items.area == k for k, name in enumerate(AREAS)},
        "length": {name: items.length == k for k, name in enumerate(LENGTHS)},
    }
    for kind, classes in items.classes.items():
        there = distinct_values(classes.row[classes.row >= 0]).tolist()
        members[kind] = {classes.names[k]: classes.row == k for k in there}
    return {
        kind: {name: np.flatnonzero(member) for name, member in groups.items() if member.any()}
        for kind, groups in members.items()
    }


def _totals_by_group(items: Items, table: Table, images: int, types: Sequence[str]) -> Totals:
    """The columns summed over the items of each group."""
    return {
        kind: {
            name: {
                column: exact_total(np.bincount(items.image[rows], values[rows], images))
                for column, values in table.items()
            }
            for name, rows in groups.items()
        }
        for kind, groups in _groups(items, types).items()
    }


def _sums_by_group(items: Items, table: Table, types: Sequence[str]) -> GroupSums:
    """The sums of each image over the items of each group, of the columns that breakdowns resample."""
    names = [name for name in breakdown_columns() if name in table]
    sums: GroupSums = {}
    for kind, groups in _groups(items, types).items():
        sums[kind] = {}
        for group, rows in groups.items():
            image, place = np.unique(items.image[rows], return_inverse=True)
            columns = {
                name: np.asarray(np.bincount(place, table[name][rows], len(image)), np.float64) for name in names
            }
            sums[kind][group] = ImageRows(image, columns)
    return sums


def _without_weights(specs: dict[str, Column], items: Items, protocol: Protocol) -> Table:
    """What items have to which the model gave no weights: 0, but for what is of their sets alone."""
    every = np.zeros(len(items.target), np.int64)
    hits = Hits(Rows.rank(np.zeros((0, 1)), protocol.rule), every, items.sets["relevant"], items.target)
    return _zeros(specs, len(items.target)) | {
        name: spec.values(hits) for name, spec in specs.items() if spec.of_set_alone
    }


def _zeros(specs: dict[str, Column], count: int) -> Table:
    return {name: np.zeros(count) for name in specs}
