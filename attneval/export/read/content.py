"""An opened export: small columns in memory, text and maps read by blocks of captions."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.export.read.byte_level import is_byte_level
from attneval.export.read.tokens import spans_of_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.arrays.strings import Strings
    from attneval.export.read.regions import Regions
    from attneval.export.read.text_source import TextSource

KINDS = ("attention", "similarity", "relevance", "logit")
NORMALISED_OVER = ("regions", "tokens", "none")


@record
class Header:
    """Statements of a model's owner about the maps.

    Attributes:
        kind: `attention` (never negative), `similarity`, `relevance` or `logit`.
        normalised_over: The axis over which weights sum to 1: `regions`, `tokens` or `none`.
        weights_dtype: The type that the weights had when their rows were normalised, if it was coarser than the one
            they are stored in; empty if that is not known.
        about: The other keys: model, checkpoint, aggregation, preprocess, writer and whatever else was written.
    """

    kind: str = "attention"
    normalised_over: str = "none"
    weights_dtype: str = ""
    about: dict[str, Any] = field(default_factory=dict)


class MapSource(Protocol):
    """The maps of all captions in one direction, read piece by piece.

    Attributes:
        name: The member that holds them, for messages.
        size: i8[N], elements of each caption's block, padding included.
        itemsize: Bytes of an element.
    """

    @property
    def name(self) -> str:
        """The member's name."""

    @property
    def size(self) -> NDArray[np.int64]:
        """Elements of each block."""

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""

    def take(self, rows: NDArray[np.int64]) -> MapBlock:
        """The blocks of captions i8[k]."""


@record
class MapBlock:
    """The maps of some captions.

    Attributes:
        flat: The weights, as stored.
        start: i8[k], where each caption's [A, T, R] block starts in `flat`; never descending.
    """

    flat: NDArray[np.floating]
    start: NDArray[np.int64]


class StoredMatrix(Protocol):
    """A matrix that is read by rows.

    Attributes:
        shape: Images and captions.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Images and captions."""

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        """f[stop - start, N], the scores of some images."""


@record
class TokenBlock:
    """The tokens of some captions, as spans of a text.

    Attributes:
        text: The text of each caption that the spans point into.
        offset: i8[k+1], first token of each caption.
        span: i8[sum T, 2], half-open code points into the caption's text; (-1, -1) for special tokens.
        unknown: b[sum T], tokens that stand for a word outside the model's vocabulary.
    """

    text: Strings
    offset: NDArray[np.int64]
    span: NDArray[np.int64]
    unknown: NDArray[np.bool_]


def caption_name(
    image_id: Sequence[str], caption_image: NDArray[np.int64], caption_index: NDArray[np.int64], row: int
) -> str:
    """The name of a caption of an export: ``36979#2``, or ``36979#?`` if it has no number.

    Args:
        image_id: The ids of the images.
        caption_image: i8[N], the image of each caption.
        caption_index: i8[N], the number of each caption, -1 if unknown.
        row: The caption.
    """
    index = int(caption_index[row])
    return f"{image_id[int(caption_image[row])]}#{'?' if index == -1 else index}"


@record
class AttentionExport:
    """An opened attention export of I images, N captions and A channels.

    Attributes:
        path: The file.
        header: What its writer says of it.
        image_id: The images' ids.
        image_size: i8[I, 2], width and height; None if the file leaves them out.
        regions: The regions of each image; without geometry if the file has none.
        caption_image: i8[N], row of each caption's image.
        caption_index: i8[N], which of its image's captions it is, -1 if unknown.
        caption_text: The captions' texts, if the file has them.
        token_offset: i8[N+1], first token of each caption.
        token_span: Code point spans into `caption_text`, or None.
        token_text: The tokens' texts, or None.
        channel: i8[A, 2], layer and head of each channel, -1 where reduced over.
        maps: The maps by direction, `t2i` and `i2t`; empty for an export of similarities alone.
        similarity: Scores of every image with every caption, or None.
        warnings: What is allowed but probably not meant.
        channel_name: The channels' names, if layer and head do not say it all.
        mass: What each row of the `t2i` maps summed to before it was normalised over the regions: A * T values of a
            caption in the order of its rows; None if that is not known.
        caption_region: i8[N, 2], each caption's window of its image's regions, as first region and number; None if
            every caption has all of them.
        averaged: The channels whose mean is the headline; None for all.
        files: The shards, if there are several.
        file_bound: i8[F+1], first caption of each shard.
        image_file: i8[I], which of the shards describes each image.
    """

    path: Path
    header: Header
    image_id: list[str]
    image_size: NDArray[np.int64] | None
    regions: Regions
    caption_image: NDArray[np.int64]
    caption_index: NDArray[np.int64]
    caption_text: TextSource | None
    token_offset: NDArray[np.int64]
    token_span: NDArray[np.integer] | None
    token_text: TextSource | None
    channel: NDArray[np.int64]
    maps: Mapping[str, MapSource]
    similarity: StoredMatrix | None
    warnings: tuple[str, ...] = ()
    channel_name: tuple[str, ...] | None = None
    mass: MapSource | None = None
    caption_region: NDArray[np.int64] | None = None
    averaged: tuple[int, ...] | None = None
    files: tuple[Path, ...] = ()
    file_bound: NDArray[np.int64] | None = None
    image_file: NDArray[np.int64] | None = None

    def image_names(self, rows: NDArray[np.int64]) -> list[str]:
        """The names of images i8[k] in messages: their ids, and the file they are in if there are several."""
        if self.image_file is None:
            return [self.image_id[row] for row in rows.tolist()]
        return [f"{self.files[self.image_file[row]]}: {self.image_id[row]}" for row in rows.tolist()]

    def caption_name(self, row: int) -> str:
        """The name of a caption in messages: ``36979#2``, and the file it is in if there are several."""
        name = caption_name(self.image_id, self.caption_image, self.caption_index, row)
        if self.file_bound is None:
            return name
        return f"{self.files[int(np.searchsorted(self.file_bound, row, side='right')) - 1]}: {name}"

    @cached_property
    def byte_level(self) -> bool:
        """True if the tokens are of a vocabulary that writes bytes as characters."""
        return self.token_text is not None and is_byte_level(self.token_text, self.token_offset)

    @property
    def headline_channels(self) -> list[int]:
        """The channels whose mean is the headline."""
        return list(range(len(self.channel)) if self.averaged is None else self.averaged)

    @property
    def channel_names(self) -> list[str]:
        """The channels' names, each once: what they are called, or else `L3H5` for layer 3, head 5."""
        if self.channel_name is not None:
            return list(self.channel_name)
        return [_channel_name(number, layer, head) for number, (layer, head) in enumerate(self.channel.tolist())]

    def window(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The regions that the maps of some captions are over.

        Args:
            rows: i8[k], captions.

        Returns:
            i8[k], the first of them, counted from their image's first region; i8[k], how many there are. Without
            windows of captions that is 0 and all regions of their image.
        """
        if self.caption_region is not None:
            first, count = self.caption_region[rows].T
            return first, count
        image = self.caption_image[rows]
        count = self.regions.offset[image + 1] - self.regions.offset[image]
        return np.zeros(len(rows), np.int64), count

    def row_mass(self, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """The sum of each row of some captions' `t2i` maps before it was normalised over the regions.

        Args:
            rows: i8[k], captions.

        Returns:
            f8[sum A*T], in the order of their rows: by caption, channel and token; a row of mass 0 is undefined. None
            if the file does not say: then all rows are defined.
        """
        return None if self.mass is None else np.asarray(self.mass.take(rows).flat, np.float64)

    def tokens(self, rows: NDArray[np.int64]) -> TokenBlock:
        """The tokens of captions i8[k]."""
        count = self.token_offset[rows + 1] - self.token_offset[rows]
        offset = offsets_of(count)
        token = ranges(self.token_offset[rows], count)
        if self.token_span is not None and self.caption_text is not None:
            span = np.asarray(self.token_span[token], np.int64)
            return TokenBlock(self.caption_text.take(rows), offset, span, np.zeros(len(token), np.bool_))
        if self.token_text is None:
            raise ValueError("an export of similarities alone has no tokens")
        return TokenBlock(*spans_of_tokens(self.token_text.take(token), offset, byte_level=self.byte_level))


def _channel_name(number: int, layer: int, head: int) -> str:
    name = (f"L{layer}" if layer >= 0 else "") + (f"H{head}" if head >= 0 else "")
    return name or f"channel {number}"
