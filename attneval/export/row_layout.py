"""The division of maps that stand one after the other into rows of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport, MapBlock


@record
class RowLayout:
    """The rows of weights of k captions: one per caption, channel and token, A channels each.

    The padded layout also stores rows that belong to no token; they are not `real`.

    Attributes:
        tokens: i8[k], of each caption.
        regions: i8[k], of each caption: the width of its rows.
        channels: A.
        caption: i8[n], the caption of each row, 0..k-1.
        number: i8[n], of each row within its caption.
        start: i8[n], where each row starts, in elements.
        real: b[n], rows of tokens.
        called: How a caption is called in messages.
    """

    tokens: NDArray[np.int64]
    regions: NDArray[np.int64]
    channels: int
    caption: NDArray[np.int64]
    number: NDArray[np.int64]
    start: NDArray[np.int64]
    real: NDArray[np.bool_]
    called: Callable[[int], str]

    @classmethod
    def from_block(cls, export: AttentionExport, direction: str, rows: NDArray[np.int64], block: MapBlock) -> RowLayout:
        """Lay out a block of an export's maps, of captions i8[c]."""
        return cls.from_sizes(
            export.token_offset[rows + 1] - export.token_offset[rows],
            export.window(rows)[1],
            len(export.channel),
            lambda k: export.caption_name(int(rows[k])),
            start=block.start,
            size=export.maps[direction].size[rows],
        )

    @classmethod
    def from_sizes(
        cls,
        tokens: NDArray[np.int64],
        regions: NDArray[np.int64],
        channels: int,
        called: Callable[[int], str],
        *,
        start: NDArray[np.int64] | None = None,
        size: NDArray[np.int64] | None = None,
    ) -> RowLayout:
        """Lay out maps of captions by their numbers of tokens and regions.

        Args:
            tokens: i8[k].
            regions: i8[k].
            channels: A.
            called: How a caption is called in messages.
            start: i8[k], where each caption's block starts; by default they stand one after the other.
            size: i8[k], elements of each block; by default there is nothing behind its A * T rows.
        """
        size = channels * tokens * regions if size is None else size
        start = offsets_of(size)[:-1] if start is None else start
        stored = size // np.maximum(regions, 1)
        caption = np.repeat(np.arange(len(tokens)), stored)
        number = np.arange(len(caption)) - np.repeat(offsets_of(stored)[:-1], stored)
        real = number < (channels * tokens)[caption]
        return cls(tokens, regions, channels, caption, number, start[caption] + number * regions[caption], real, called)

    def name(self, row: int) -> str:
        """The name of a row in messages."""
        caption = int(self.caption[row])
        return f"{self.called(caption)} token {int(self.number[row]) % int(self.tokens[caption])}"

    def name_with(self, flat: NDArray[np.floating], bad: NDArray[np.bool_], row: int) -> str:
        """The name of a row and the first of its weights, of all f[n], that is bad, b[n]."""
        start = int(self.start[row])
        width = int(self.regions[self.caption[row]])
        first = start + int(np.argmax(bad[start : start + width]))
        return f"{self.name(row)} has {flat[first]:.4g}"

    def of_tokens(self, values: NDArray[Any]) -> NDArray[Any]:
        """Spread values [sum T] of the captions' tokens to the rows [n]; rows of no token get any of them."""
        offset = offsets_of(self.tokens)
        token = self.number % np.maximum(self.tokens, 1)[self.caption] + offset[:-1][self.caption]
        return values[np.minimum(token, max(len(values) - 1, 0))] if len(values) else np.zeros(len(token), values.dtype)

    def of_rows(self, values: NDArray[Any], fill: Any) -> NDArray[Any]:
        """Spread values [sum A*T] of the captions' rows to the rows [n] with those of no token, which get `fill`."""
        spread = np.full(len(self.real), fill, values.dtype)
        spread[self.real] = values
        return spread

    def over_tokens(self, values: NDArray[Any], keep: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Sum values over each caption's tokens, by caption, channel and region.

        Args:
            values: Elements, as the rows are laid out.
            keep: b[n], rows that count; all by default.
        """
        first = self._bound()[self.caption] + self._channel() * self.regions[self.caption]
        real = np.flatnonzero(self.real if keep is None else self.real & keep)
        width = self.regions[self.caption[real]]
        column, place = ranges(first[real], width), ranges(self.start[real], width)
        sums = np.bincount(column, values[place].astype(np.float64), int(self._bound()[-1]))
        return np.asarray(sums, np.float64)

    def columns_of(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The columns, by caption, channel and region, of captions and channels that have one of some rows b[n]."""
        copies = self.channels * np.arange(len(self.tokens))[self.caption] + self._channel()
        marked = np.zeros(self.channels * len(self.tokens), np.bool_)
        marked[copies[rows & self.real]] = True
        return np.repeat(marked, np.repeat(self.regions, self.channels))

    def columns_of_regions(self, real: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The columns, by caption, channel and region, of regions b[sum R] that are real and captions with tokens."""
        start = np.repeat(offsets_of(self.regions)[:-1], self.channels)
        width = np.repeat(self.regions, self.channels)
        return real[ranges(start, width)] & np.repeat(np.repeat(self.tokens > 0, self.channels), width)

    def column_name(self, column: int) -> str:
        """The name of a column in messages."""
        caption = int(np.searchsorted(self._bound(), column, side="right")) - 1
        region = (column - int(self._bound()[caption])) % int(self.regions[caption])
        return f"{self.called(caption)} region {region}"

    def _channel(self) -> NDArray[np.int64]:
        return self.number // np.maximum(self.tokens, 1)[self.caption]

    def _bound(self) -> NDArray[np.int64]:
        """First column of each caption."""
        return offsets_of(self.channels * self.regions)
