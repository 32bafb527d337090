"""The weights of items, read from the maps of a block of captions and pooled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Protocol as TypingProtocol

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.errors import ExportError, ProtocolError
from attneval.export.checks import check_maps
from attneval.export.problems import FileProblems
from attneval.matching.mismatches import name_of_caption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.export.read.content import AttentionExport, MapBlock
    from attneval.matching.items import Items

MEAN = -1
"""In place of a channel: the mean of all channels' maps."""


def channels_to_score(export: AttentionExport) -> list[int]:
    """The mean of an export's channels and, if there are several, each of them."""
    return [MEAN, *range(len(export.channel))] if len(export.channel) > 1 else [MEAN]


class Weights(TypingProtocol):
    """A source of the weights of items."""

    def read(self, chosen: NDArray[np.int64], channel: int) -> NDArray[np.float64]:
        """The rows f8[m, n] of some items with equally many keys."""


class NoWeights:
    """The weights of items of which none has any."""

    def read(self, chosen: NDArray[np.int64], channel: int) -> NDArray[np.float64]:  # noqa: ARG002 - see `Weights`
        """Rows without keys."""
        return np.zeros((len(chosen), 0))


@dataclass(frozen=True, eq=False)
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
        channels = range(len(export.channel)) if channel == MEAN else [channel]
        weights = (self._word_rows if self.direction == "t2i" else self._region_rows)(channels, chosen)
        if self.protocol.normalize in {"sum", "none"} and weights.min(initial=0) < 0:
            caption = int(self.items.caption[int(chosen[np.argmax(weights.min(axis=1) < 0)])])
            raise ProtocolError(
                f"{export.path}: caption {name_of_caption(self.captions.truth, caption)} has negative weights, "
                f"which normalize={self.protocol.normalize} cannot read as attention",
                hint="pass --normalize softmax or --normalize minmax",
            )
        return weights

    def _word_rows(self, channels: Sequence[int], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        items, tokens = self.items, self.captions.tokens
        count = np.diff(items.entry_offset)[chosen]
        entry = ranges(items.entry_offset[chosen], count)
        if self.protocol.pool == "last":
            entry, count = entry[np.cumsum(count) - 1], np.ones_like(count)
        token = items.entry[entry]
        caption = self._caption_of_token[token]
        group, n = np.repeat(items.group[chosen], count), int(items.key_count[chosen[0]])
        starts = (self._row_start(a, caption, token - tokens.offset[caption]) for a in channels)
        # The mean map over channels is what is scored. Its sum is divided last, and once: rounding before would break
        # ties.
        rows = _added([self._gather(start, group, n) for start in starts])
        divisor = len(channels) * items.divisor[chosen]
        if self.captions.defined is not None:
            # The mean over channels is that of the defined rows; undefined ones are zeros.
            rows = rows / self.captions.defined[list(channels)][:, token].sum(axis=0)[:, None]
            divisor = items.divisor[chosen]
        if len(rows) > len(chosen):
            first = offsets_of(count)[:-1]
            if self.protocol.pool == "max":
                rows = np.maximum.reduceat(rows, first)
            else:
                rows *= items.share[entry][:, None]
                rows = np.add.reduceat(rows, first)
        return rows if (divisor == 1).all() else rows / divisor[:, None]

    def _region_rows(self, channels: Sequence[int], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        items, tokens, keys, regions = self.items, self.captions.tokens, self.captions.keys, self.captions.regions
        n = int(items.key_count[chosen[0]])
        row = self.captions.alignment.row[items.caption[chosen]]
        token = keys.token[keys.offset[row][:, None] + np.arange(n)]
        starts = (self._row_start(a, row[:, None], token - tokens.offset[row][:, None]) for a in channels)
        region = items.entry[items.entry_offset[chosen]]
        column = regions.column[regions.offset[items.image[chosen]] + region]
        rows = _added([np.asarray(self.maps.flat[start + column[:, None]], np.float64) for start in starts])
        return rows if len(channels) == 1 else rows / len(channels)

    def _row_start(self, channel: int, row: NDArray[np.int64], token: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the weights of a token start, for rows of the block's captions and tokens counted within them."""
        tokens = np.diff(self.captions.tokens.offset)[row]
        # Groups are images, or the exported captions themselves.
        windows = self.captions.export.caption_region is not None
        width = self.captions.regions.stored[row if windows else self.captions.image[row]]
        return np.asarray(self.maps.start[row] + (channel * tokens + token) * width)

    def _gather(self, start: NDArray[np.int64], group: NDArray[np.int64], n: int) -> NDArray[np.float64]:
        """The weights f8[m, n] of the real regions in rows that start somewhere."""
        flat, regions = self.maps.flat, self.captions.regions
        if not regions.padded and len(flat) % n == 0 and not (start % n).any():
            return np.asarray(flat.reshape(-1, n)[start // n], np.float64)
        column = regions.column[regions.offset[group][:, None] + np.arange(n)]
        return np.asarray(flat[start[:, None] + column], np.float64)

    @cached_property
    def _caption_of_token(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.captions.rows)), np.diff(self.captions.tokens.offset))


def read_maps(export: AttentionExport, rows: NDArray[np.int64], direction: str) -> MapBlock:
    """The maps of some captions, checked.

    Args:
        export: The export.
        rows: i8[c], the captions.
        direction: `t2i` or `i2t`.

    Raises:
        ExportError: They break the format, or the export has none in this direction.
    """
    maps, header = export.maps, export.header
    name = direction
    if direction not in maps:
        # Scores of pairs have no direction, and weights over tokens are region-to-word weights.
        undirected = header.kind != "attention" and header.normalised_over == "none"
        if header.normalised_over != "tokens" and not undirected:
            raise ExportError(
                f"{export.path} has no region-to-word maps",
                hint="direction i2t needs attention_i2t (attn_i2t), or weights normalised over tokens",
            )
        name = "t2i"
    block = maps[name].take(rows)
    report = FileProblems(export.path)
    check_maps(report, export, name, rows, block)
    report.stop_if_broken()
    return block


def _added(channels: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return channels[0] if len(channels) == 1 else np.asarray(np.sum(channels, axis=0))
