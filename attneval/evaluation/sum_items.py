"""Items judged: per-item numbers, summed per image and into exact totals."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, ranges
from attneval.config.breakdowns import AREAS, LENGTHS
from attneval.metrics.hits import Hits
from attneval.metrics.populations import ITEMS, REACHED, SCORED, SHUFFLED, SHUFFLED_F1, populations
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.registry import ATTENTION, Column, columns
from attneval.metrics.set_scores import F1
from attneval.metrics.sweep import CURVES, grid, sweep
from attneval.metrics.totals import exact_total, in_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from attneval.arrays.index_sets import Sets
    from attneval.config.protocol import Protocol, Threshold
    from attneval.matching.items import Items
    from attneval.metrics.totals import Table, Totals

    Weights = Callable[[NDArray[np.int64]], NDArray[np.float64]]
    """From some items with equally many keys to their rows of weights f8[m, n]."""

CHUNK = 2**17
"""Weights that are ranked together, so that they stay in the cache."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The sums of I images.

    Attributes:
        per_image: f8[I] by column, sums over the items of each image.
        totals: Sums over all images: `sweep`, the curves; `uniform`, `center` and `shuffled`, the columns of the
            baselines; `by`, the columns by kind and name of a group of items.
        per_item: f8[m] by column.
    """

    per_image: Table
    totals: Totals
    per_item: Table = field(default_factory=dict)


def score_items(
    items: Items,
    weights: Weights,
    protocol: Protocol,
    *,
    images: int,
    types: Sequence[str],
    center: Sets | None = None,
) -> Scored:
    """Judge the items of a block of images.

    Args:
        items: The items.
        weights: Their rows of weights.
        protocol: How they are judged.
        images: How many images the block has.
        types: The names of the bits of `items.types`.
        center: For each image the regions nearest its centre; None where that means nothing.
    """
    specs = columns(*ATTENTION)
    reached = items.sets["relevant"].size[items.own] > 0
    counted = populations(items.given, reached, protocol)
    model = _without_weights(specs, items, protocol)
    shuffled, compared = _zeros(specs, len(items.own)), {over: np.zeros(len(items.own)) for over in counted}
    curves = np.zeros((len(CURVES), images, len(grid(protocol.rule))))
    for chunk in item_chunks(items, items.ranked):
        rows = Rows.rank(normalised(weights(chunk), protocol.normalize), protocol.rule)
        judged = _judged(items, rows, np.arange(len(chunk)), items.own[chunk])
        for name, values in _evaluated(specs, judged):
            model[name][chunk] = values
        low, high = int(items.image[chunk[0]]), int(items.image[chunk[-1]]) + 1
        group = np.where(counted[SCORED][chunk] > 0, items.image[chunk] - low, -1)
        curves[:, low:high] += sweep(judged["relevant"], protocol.rule, group, high - low)
        means, numbers = _judge_others(items, rows, chunk, specs, protocol)
        for name, values in means.items():
            shuffled[name][chunk] = values
        for over, values in numbers.items():
            compared[over][chunk] = values
    # Shuffled attention is judged on the items that have something else to be judged against.
    rest = {over: counted[over] * (compared[over] > 0) for over in counted}
    counts = {**counted, REACHED: counted[ITEMS] * reached}

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(items.image, values, images), np.float64)

    constant = partial(_constant_rows, items, counted, specs, rule=protocol.rule, images=images)
    full = _counted(specs, model, counted) | counts
    full |= {SHUFFLED_F1: shuffled[F1] * rest[SCORED], SHUFFLED: rest[SCORED]}
    totals: Totals = {
        "sweep": {name: in_units(curve).sum(axis=0).tolist() for name, curve in zip(CURVES, curves, strict=True)},
        "uniform": constant(lambda _, n: np.full((1, n), 1 / n)),
        "shuffled": {name: exact_total(summed(v)) for name, v in _counted(specs, shuffled, rest).items()},
        "by": _by_group(items, full, images, types),
    }
    if center is not None:
        totals["center"] = constant(partial(_center_rows, center))
    return Scored({name: summed(values) for name, values in full.items()}, totals, full)


def _constant_rows(
    items: Items,
    counted: Table,
    specs: dict[str, Column],
    rows: Callable[[NDArray[np.int64], int], NDArray[np.float64]],
    *,
    rule: Threshold,
    images: int,
) -> Totals:
    """The totals of attention that is the same for all items of an image: each set is judged once for all its items.

    Args:
        items: The items.
        counted: By population, how often each item counts.
        specs: The columns.
        rows: From k images with n regions each to their rows of weights f8[k, n], or f8[1, n] if all are alike.
        rule: The threshold rule.
        images: How many images the block has.
    """
    sets = len(items.sets["relevant"].size)
    times = {over: np.asarray(np.bincount(items.own, v, sets), np.float64) for over, v in counted.items()}
    sums, image_of = _zeros(specs, sets), np.zeros(sets, np.int64)
    image_of[items.own] = items.image
    for chunk in item_chunks(items, items.key_count > 0, whole=True):
        n = int(items.key_count[chunk[0]])
        used = np.zeros(sets, np.bool_)
        used[items.own[chunk]] = True
        own = np.flatnonzero(used)
        image, row = np.unique(image_of[own], return_inverse=True)
        weight = rows(image, n)
        judged = _judged(items, Rows.rank(weight, rule), row if len(weight) > 1 else np.zeros_like(row), own)
        for name, values in _evaluated(specs, judged):
            sums[name][own] = values
    counts = _counted(specs, sums, times).items()
    return {name: exact_total(np.bincount(image_of, values, images)) for name, values in counts}


def _counted(specs: dict[str, Column], values: Table, over: Table) -> Table:
    """Columns as often as their population counts each entry, and the populations."""
    return {name: values[name] * over[spec.over] for name, spec in specs.items()} | over


def _judge_others(
    items: Items, rows: Rows, chunk: NDArray[np.int64], specs: dict[str, Column], protocol: Protocol
) -> tuple[Table, Table]:
    """Judge each item against every other entity it could be about.

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
    for name, values in _evaluated(specs, _judged(items, rows, row, other)):
        over = specs[name].over
        means[name] = np.bincount(row, values * valid[over], len(chunk)) / np.maximum(compared[over], 1)
    return means, compared


def _judged(items: Items, rows: Rows, row: NDArray[np.int64], of: NDArray[np.int64]) -> dict[str, Hits]:
    """Pairs judged against each kind of sets; kinds that are the same sets share the work."""
    made: dict[int, Hits] = {}
    return {kind: made.setdefault(id(sets), Hits(rows, row, sets, of)) for kind, sets in items.sets.items()}


def _evaluated(specs: dict[str, Column], judged: dict[str, Hits]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    return ((name, spec.values(judged[spec.against])) for name, spec in specs.items())


def item_chunks(items: Items, usable: NDArray[np.bool_], *, whole: bool = False) -> Iterator[NDArray[np.int64]]:
    """Split items into groups with equally many keys, small enough for the cache, never within an image.

    An image's sums must not depend on which other images are scored with it, to the last bit.
    """
    for n in distinct_values(items.key_count[usable]).tolist():
        rows = np.flatnonzero(usable & (items.key_count == n))
        if whole:
            yield rows
            continue
        first = np.searchsorted(items.image[rows], items.image[rows])
        number = first * n // CHUNK
        yield from np.split(rows, np.flatnonzero(np.diff(number)) + 1)


def _center_rows(center: Sets, image: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Rows f8[k, n] with all weight on the regions nearest the centre of each image."""
    size = center.size[image]
    rows = np.zeros((len(image), n))
    rows[np.repeat(np.arange(len(image)), size), center.member[ranges(center.offset[image], size)]] = 1
    return rows / np.maximum(size, 1)[:, None]


def _by_group(items: Items, table: Table, images: int, types: Sequence[str]) -> Totals:
    """The columns summed over the items of each phrase type, box area and phrase length."""
    groups = {
        "type": {name: (items.types >> bit) & 1 > 0 for bit, name in enumerate(types)},
        "area": {name: items.area == k for k, name in enumerate(AREAS)},
        "length": {name: items.length == k for k, name in enumerate(LENGTHS)},
    }
    by: Totals = {}
    for kind, members in groups.items():
        by[kind] = found = {}
        for name, member in members.items():
            rows = np.flatnonzero(member)
            if len(rows):
                image = items.image[rows]
                found[name] = {
                    column: exact_total(np.bincount(image, values[rows], images)) for column, values in table.items()
                }
    return by


def _without_weights(specs: dict[str, Column], items: Items, protocol: Protocol) -> Table:
    """What items have to which the model gave no weights: 0, but for what is of their sets alone."""
    every = np.zeros(len(items.own), np.int64)
    judged = Hits(Rows.rank(np.zeros((0, 1)), protocol.rule), every, items.sets["relevant"], items.own)
    return _zeros(specs, len(items.own)) | {
        name: spec.values(judged) for name, spec in specs.items() if spec.of_set_alone
    }


def _zeros(specs: dict[str, Column], count: int) -> Table:
    return {name: np.zeros(count) for name in specs}
