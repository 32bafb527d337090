"""The weights of items, read from the maps of a block of captions and pooled."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from typing import Protocol as TypingProtocol

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.errors import ProtocolError
from attneval.matching.mismatches import name_of_caption
from attneval.metrics.registry import in_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.options import Options
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.export.read.content import AttentionExport, MapBlock
    from attneval.matching.items import Items

MEAN = -1
"""In place of a channel: the mean of the maps of all channels, or of those that were asked for."""
AT_ONCE = 2**16
"""Weights that are read together, so that they stay in the cache."""
MANY = 16
"""Above so many channels few numbers of each are kept, and the sums of images in a file of their own."""


def channels_to_score(export: AttentionExport) -> list[int]:
    """The channels that are scored in full: the mean and, if there are several but not many, each of them."""
    each = export.averaged is None and 1 < len(export.channel) <= MANY
    return [MEAN, *range(len(export.channel))] if each else [MEAN]


def metrics_of_channels(export: AttentionExport | None, options: Options) -> tuple[str, ...]:
    """The metrics that are measured of every channel alone: those that were asked for, and the usual ones of many."""
    if export is None or not export.maps or export.averaged is not None or len(export.channel) < 2:
        return ()
    usual = [metric.name for metric in in_table("heads")] if len(export.channel) > MANY else []
    return tuple(dict.fromkeys((*usual, *options.channel_metrics)))


class Weights(TypingProtocol):
    """A source of the weights of items."""

    def read(self, chosen: NDArray[np.int64], channel: int) -> NDArray[np.float64]:
        """The rows f8[m, n] of some items with equally many keys."""


class NoWeights:
    """The weights of items of which none has any."""

    def read(self, chosen: NDArray[np.int64], channel: int) -> NDArray[np.float64]:  # noqa: ARG002 - see `Weights`
        """Rows without keys, f8[m, 0], of items i8[m]."""
        return np.zeros((len(chosen), 0))


@record
class ItemRows:
    """The places of the rows of some items in the maps, whatever the channel.

    Attributes:
        chosen: i8[m], the items.
        entry: i8[k], the entries that are pooled into them, item by item.
        count: i8[m], how many each item has.
        group: i8[k], whose regions each entry's token attends to.
        start: i8[k], where each entry's row starts in channel 0.
        stride: i8[k], how far behind it the row of the next channel starts.
    """

    chosen: NDArray[np.int64]
    entry: NDArray[np.int64]
    count: NDArray[np.int64]
    group: NDArray[np.int64]
    start: NDArray[np.int64]
    stride: NDArray[np.int64]


@record
class WeightReader:
    """Rows of weights of the items of one direction.

    Attributes:
        captions: The captions.
        items: The items.
        maps: The captions' maps.
        direction: `t2i` or `i2t`.
        protocol: How rows are pooled, and whether weights may be negative.
    """

    captions: CaptionBlock
    items: Items
    maps: MapBlock
    direction: str
    protocol: Protocol

    def read(self, chosen: NDArray[np.int64], channel: int) -> NDArray[np.float64]:
        """The rows f8[m, n] of some items with equally many keys, tokens pooled.

        Args:
            chosen: i8[m], rows of items.
            channel: Which channel, or `MEAN`.

        Raises:
            ProtocolError: Weights are negative and the protocol does not make them positive.
        """
        export = self.captions.export
        channels = export.headline_channels if channel == MEAN else [channel]
        weights = (self._word_rows if self.direction == "t2i" else self._region_rows)(channels, chosen)
        return self._not_negative(weights, chosen)

    def rows_of(self, chosen: NDArray[np.int64]) -> ItemRows:
        """Find the rows of some items with equally many regions, to be read in each channel alone.

        Args:
            chosen: i8[m], rows of items in direction t2i.
        """
        entry, count = pooled_entries(self.items, self.protocol, chosen)
        token = self.items.entry[entry]
        caption = self._caption_of_token[token]
        start, stride = self._row_starts(caption, token - self.captions.tokens.offset[caption])
        return ItemRows(chosen, entry, count, np.repeat(self.items.group[chosen], count), start, stride)

    def read_each(self, rows: ItemRows, channels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The rows f8[m, A, n] of some items, of A channels alone; none may be undefined.

        Args:
            rows: Where they are.
            channels: i8[A].

        Raises:
            ProtocolError: Weights are negative and the protocol does not make them positive.
        """
        n = int(self.items.key_count[rows.chosen[0]])
        weights = self._gather(rows.start[:, None] + channels * rows.stride[:, None], rows.group[:, None], n)
        weights = self._pooled(weights, rows.entry, rows.count)
        divisor = self.items.divisor[rows.chosen]
        if (divisor != 1).any():
            weights /= divisor[:, None, None]
        return self._not_negative(weights, rows.chosen)

    def _not_negative(self, weights: NDArray[np.float64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Weights [m, ...] of some items, refused if they are negative and may not be."""
        if self.protocol.normalize in {"sum", "none"} and weights.min(initial=0) < 0:
            negative = weights.reshape(len(chosen), -1).min(axis=1) < 0
            caption = int(self.items.caption[int(chosen[np.argmax(negative)])])
            raise ProtocolError(
                f"{self.captions.export.path}: caption {name_of_caption(self.captions.truth, caption)} has negative "
                f"weights, which normalize={self.protocol.normalize} cannot read as attention",
                hint="pass --normalize softmax or --normalize minmax",
            )
        return weights

    def _pooled(
        self, rows: NDArray[np.float64], entry: NDArray[np.int64], count: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Rows [k, ...] of entries, pooled into those of items [m, ...] but for the divisor."""
        if len(rows) == len(count):
            return rows
        first = offsets_of(count)[:-1]
        if self.protocol.pool == "max":
            return np.asarray(np.maximum.reduceat(rows, first))
        rows *= self.items.share[entry].reshape(-1, *[1] * (rows.ndim - 1))
        return np.asarray(np.add.reduceat(rows, first))

    def _word_rows(self, channels: Sequence[int], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        items, tokens = self.items, self.captions.tokens
        entry, count = pooled_entries(items, self.protocol, chosen)
        token = items.entry[entry]
        caption = self._caption_of_token[token]
        group, n = np.repeat(items.group[chosen], count), int(items.key_count[chosen[0]])
        # The mean map over channels is what is scored. Its sum is divided last, and once: rounding before would break
        # ties.
        rows = self._sum_over(np.asarray(channels), caption, token - tokens.offset[caption], group, n)
        divisor = len(channels) * items.divisor[chosen]
        if self.captions.defined is not None:
            # The mean over channels is that of the defined rows; undefined ones are zeros.
            rows = rows / self.captions.defined[list(channels)][:, token].sum(axis=0)[:, None]
            divisor = items.divisor[chosen]
        rows = self._pooled(rows, entry, count)
        return rows if (divisor == 1).all() else rows / divisor[:, None]

    def _region_rows(self, channels: Sequence[int], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        items, tokens, keys, regions = self.items, self.captions.tokens, self.captions.keys, self.captions.regions
        n = int(items.key_count[chosen[0]])
        row = self.captions.alignment.row[items.caption[chosen]]
        token = keys.token[keys.offset[row][:, None] + np.arange(n)]
        first, stride = self._row_starts(row[:, None], token - tokens.offset[row][:, None])
        region = items.entry[items.entry_offset[chosen]]
        column = regions.column[regions.offset[items.group[chosen]] + region]
        rows = _added([np.asarray(self.maps.flat[first + a * stride + column[:, None]], np.float64) for a in channels])
        return rows if len(channels) == 1 else rows / len(channels)

    def _sum_over(
        self,
        channels: NDArray[np.int64],
        caption: NDArray[np.int64],
        token: NDArray[np.int64],
        group: NDArray[np.int64],
        n: int,
    ) -> NDArray[np.float64]:
        """The rows f8[k, n] of tokens i8[k], added over channels i8[A] one after the other."""
        step, rows = max(AT_ONCE // max(len(token) * n, 1), 1), np.zeros((0, len(token), n))
        first, stride = self._row_starts(caption, token)
        for low in range(0, len(channels), step):
            some = self._gather(first + channels[low : low + step, None] * stride, group, n)
            if len(rows):
                some[0] += rows[0]
            rows = some[:1] if len(some) == 1 else np.add.reduce(some, axis=0, keepdims=True)
        return np.asarray(rows[0])

    def _row_starts(
        self, row: NDArray[np.int64], token: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find where the weights of a token start in channel 0, and how far behind it those in the next one.

        Args:
            row: i8[...], rows of the block's captions.
            token: i8[...], tokens counted within them.
        """
        # Groups are images, or the exported captions themselves.
        windows = self.captions.export.caption_region is not None
        width = self.captions.regions.stored[row if windows else self.captions.image[row]]
        return self.maps.start[row] + token * width, np.diff(self.captions.tokens.offset)[row] * width

    def _gather(self, start: NDArray[np.int64], group: NDArray[np.int64], n: int) -> NDArray[np.float64]:
        """The weights f8[..., n] of the real regions in rows i8[...] that start somewhere, of groups i8[...]."""
        flat, regions = self.maps.flat, self.captions.regions
        if not regions.padded and len(flat) % n == 0 and not (start % n).any():
            return np.asarray(flat.reshape(-1, n)[start // n], np.float64)
        column = regions.column[regions.offset[group][..., None] + np.arange(n)]
        return np.asarray(flat[start[..., None] + column], np.float64)

    @cached_property
    def _caption_of_token(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.captions.rows)), np.diff(self.captions.tokens.offset))


def pooled_entries(
    items: Items, protocol: Protocol, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the entries that are pooled into the rows of some items.

    Args:
        items: The items.
        protocol: How they are pooled.
        chosen: i8[m], rows of items.

    Returns:
        i8[k], the entries, item by item; i8[m], how many each item has.
    """
    count = np.diff(items.entry_offset)[chosen]
    entry = ranges(items.entry_offset[chosen], count)
    if protocol.pool == "last":
        return entry[np.cumsum(count) - 1], np.ones_like(count)
    return entry, count


def _added(channels: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return channels[0] if len(channels) == 1 else np.asarray(np.sum(channels, axis=0))
