"""Columns of many channels, summed by image in a few passes over all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Protocol as TypingProtocol

import numpy as np

from attneval.arrays.ragged import distinct_rows, distinct_values, ranges
from attneval.evaluation.weight_reader import AT_ONCE
from attneval.metrics.fast_channels import COLUMNS, KeySets, count_channels, joined
from attneval.metrics.rankings import normalised
from attneval.metrics.spatial import SPATIAL, SPATIAL_N, spatial_entropy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.evaluation.weight_reader import WeightReader
    from attneval.matching.items import Items
    from attneval.metrics.totals import Table


def columns_in_passes(names: Iterable[str], direction: str, protocol: Protocol) -> list[str]:
    """Choose the columns that can be computed of all channels together.

    Args:
        names: The columns that are wanted.
        direction: `t2i` or `i2t`.
        protocol: How they are scored.
    """
    able = direction == "t2i" and protocol.rule.by_weight and protocol.pointing != "upsampled"
    return [name for name in names if name in COLUMNS] if able else []


class Passes(TypingProtocol):
    """A scorer of items in many channels, on whatever device their weights are."""

    at_once: int
    """Weights that are worked on together."""

    def score(self, chunk: NDArray[np.int64], channels: NDArray[np.int64]) -> Table:
        """The columns f8[m, A] of items i8[m] with equally many keys in channels i8[A]."""


class HostPasses:
    """Scores of items whose weights are read from files.

    Args:
        weights: Their weights, in direction t2i.
        protocol: How they are scored.
    """

    at_once = AT_ONCE

    def __init__(self, weights: WeightReader, protocol: Protocol) -> None:
        self._weights, self._protocol = weights, protocol

    def score(self, chunk: NDArray[np.int64], channels: NDArray[np.int64]) -> Table:
        """The columns f8[m, A] of items in channels i8[A]."""
        items, rows, rule = self._weights.items, self._weights.rows_of(chunk), self._protocol.rule
        sets = KeySets.stacked(dense_sets(items, chunk))
        return joined(
            [
                count_channels(self._weights.read_each(rows, some), sets, rule, self._protocol.normalize)
                for some in steps(items, chunk, channels, self.at_once)
            ]
        ).columns()


class SpatialPasses(HostPasses):
    """The spatial entropy of items whose weights are read from files; made as `HostPasses` are."""

    def score(self, chunk: NDArray[np.int64], channels: NDArray[np.int64]) -> Table:
        """The columns f8[m, A] of items in channels i8[A]."""
        items, rows = self._weights.items, self._weights.rows_of(chunk)
        parts = []
        for some in steps(items, chunk, channels, self.at_once):
            weight = self._weights.read_each(rows, some)
            flat = normalised(weight.reshape(-1, weight.shape[-1]), self._protocol.normalize)
            image = np.repeat(items.image[chunk], len(some))
            parts.append(entropy_of_grids(flat, image, self._weights.captions).reshape(weight.shape[:2]))
        entropy = np.concatenate(parts, axis=1)
        return {SPATIAL: np.nan_to_num(entropy), SPATIAL_N: np.isfinite(entropy).astype(np.float64)}


def sum_in_passes(
    passes: Passes, items: Items, over: Mapping[str, NDArray[np.float64]], channels: NDArray[np.int64], images: int
) -> Table:
    """Sum columns over the items of each image, for every channel alone.

    Args:
        passes: What scores the items.
        items: m items in direction t2i.
        over: f8[m] by column, how often each item counts.
        channels: i8[A], the channels.
        images: The number I of images.

    Returns:
        f8[A, I] by column.
    """
    summed = {name: np.zeros((len(channels), images)) for name in over}
    for chunk, scores in in_passes(passes, items, channels):
        first = np.flatnonzero(np.diff(items.image[chunk], prepend=-1))
        for name, times in over.items():
            values = np.add.reduceat(scores[name] * times[chunk, None], first)
            summed[name][:, items.image[chunk[first]]] += values.T
    return summed


def in_passes(passes: Passes, items: Items, channels: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Table]]:
    """Score all items in all channels, a few items at a time.

    Args:
        passes: What scores the items.
        items: The items.
        channels: i8[A], the channels.

    Yields:
        i8[m], items; and f8[m, A] by column.
    """
    for chunk in _chunks(items, len(channels), passes.at_once):
        yield chunk, passes.score(chunk, channels)


def steps(items: Items, chunk: NDArray[np.int64], channels: NDArray[np.int64], at_once: int) -> list[NDArray[np.int64]]:
    """Split channels i8[A], so that not too many weights of a single item i8[1] are worked on together."""
    step = max(at_once // int(items.key_count[chunk[0]]), 1) if len(chunk) == 1 else len(channels)
    return [channels[low : low + step] for low in range(0, len(channels), step)]


def _chunks(items: Items, channels: int, at_once: int) -> Iterator[NDArray[np.int64]]:
    """Split the items with weights into groups with equally many keys, small enough for the cache.

    Where an image's items are split depends on nothing but themselves, and so do its sums, to the last bit.
    """
    for n in distinct_values(items.key_count[items.ranked]).tolist():
        rows = np.flatnonzero(items.ranked & (items.key_count == n))
        most = max(at_once // (n * channels), 1)
        first = np.searchsorted(items.image[rows], items.image[rows])
        part = (np.arange(len(rows)) - first) // most
        yield from np.split(rows, np.flatnonzero((np.diff(first // most) != 0) | (np.diff(part) != 0)) + 1)


def dense_sets(items: Items, chunk: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """The sets of items with equally many keys as rows f8[m, n]: the value of each member, or 1, and 0 elsewhere."""
    n = int(items.key_count[chunk[0]])
    return {kind: _dense(one, items.target[chunk], n) for kind, one in items.sets.items()}


def _dense(sets: IndexSets, of: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    size = sets.size[of]
    entry = ranges(sets.offset[of], size)
    rows = np.zeros((len(of), n))
    rows[np.repeat(np.arange(len(of)), size), sets.member[entry]] = 1.0 if sets.value is None else sets.value[entry]
    return rows


def entropy_of_grids(
    weight: NDArray[np.float64], image: NDArray[np.int64], captions: CaptionBlock
) -> NDArray[np.float64]:
    """The spatial entropy f8[m] of rows f8[m, n] of images i8[m]; NaN where they are not over a whole grid."""
    stored = captions.export.regions.grid_shape
    entropy = np.full(len(weight), np.nan)
    if stored is None or weight.min(initial=0) < 0:
        return entropy
    row_of = np.zeros(len(captions.truth.image_id), np.int64)
    row_of[captions.image] = captions.export.caption_image[captions.rows]
    shape = np.asarray(stored, np.int64)[row_of[image]]
    for rows, cells in distinct_rows(shape[shape.prod(axis=1) == weight.shape[1]]).tolist():
        chosen = (shape == (rows, cells)).all(axis=1)
        entropy[chosen] = spatial_entropy(weight if chosen.all() else weight[chosen], (rows, cells))
    return entropy
