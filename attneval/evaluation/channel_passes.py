"""Columns of many channels, summed by image in a few passes over all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values, ranges
from attneval.evaluation.weight_reader import AT_ONCE
from attneval.metrics.fast_channels import COLUMNS, score_channels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.weight_reader import WeightReader
    from attneval.matching.items import Items
    from attneval.metrics.registry import Column
    from attneval.metrics.totals import Table


def columns_in_passes(weights: WeightReader, specs: dict[str, Column], protocol: Protocol) -> dict[str, Column]:
    """Choose the columns that `sum_in_passes` can sum, under a protocol.

    Args:
        weights: The weights of items.
        specs: The columns that are wanted.
        protocol: How they are scored.
    """
    defined = weights.captions.defined
    able = (
        weights.direction == "t2i"
        and protocol.rule.by_weight
        and protocol.pointing != "upsampled"
        and (defined is None or bool(defined.all()))
    )
    return {name: spec for name, spec in specs.items() if name in COLUMNS} if able else {}


def sum_in_passes(
    weights: WeightReader, specs: dict[str, Column], counts: Table, protocol: Protocol, *, channels: int, images: int
) -> Table:
    """Sum columns over the items of each image, for every channel alone.

    Args:
        weights: The weights of m items.
        specs: Columns that can be summed so.
        counts: f8[m] by population, how often each item counts.
        protocol: How they are scored.
        channels: The number A of channels.
        images: The number I of images.

    Returns:
        f8[A, I] by column.
    """
    items = weights.items
    summed = {name: np.zeros((channels, images)) for name in specs}
    for chunk in _chunks(items, channels):
        n = int(items.key_count[chunk[0]])
        sets = {kind: _dense(one, items.target[chunk], n) for kind, one in items.sets.items()}
        first = np.flatnonzero(np.diff(items.image[chunk], prepend=-1))
        step = max(AT_ONCE // n, 1) if len(chunk) == 1 else channels
        for low in range(0, channels, step):
            some = np.arange(low, min(low + step, channels))
            scores = score_channels(weights.read_each(chunk, some), sets, protocol.rule, protocol.normalize)
            for name, spec in specs.items():
                values = np.add.reduceat(scores[name] * counts[spec.over][chunk, None], first)
                summed[name][low : low + step, items.image[chunk[first]]] += values.T
    return summed


def _chunks(items: Items, channels: int) -> Iterator[NDArray[np.int64]]:
    """Split the items with weights into groups with equally many keys, small enough for the cache.

    Where an image's items are split depends on nothing but themselves, and so do its sums, to the last bit.
    """
    for n in distinct_values(items.key_count[items.ranked]).tolist():
        rows = np.flatnonzero(items.ranked & (items.key_count == n))
        most = max(AT_ONCE // (n * channels), 1)
        first = np.searchsorted(items.image[rows], items.image[rows])
        part = (np.arange(len(rows)) - first) // most
        yield from np.split(rows, np.flatnonzero((np.diff(first // most) != 0) | (np.diff(part) != 0)) + 1)


def _dense(sets: IndexSets, of: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Sets as rows f8[m, n]: the value of each member, or 1, and 0 elsewhere."""
    size = sets.size[of]
    entry = ranges(sets.offset[of], size)
    rows = np.zeros((len(of), n))
    rows[np.repeat(np.arange(len(of)), size), sets.member[entry]] = 1.0 if sets.value is None else sets.value[entry]
    return rows
