"""An opened export: small columns in memory, text and maps read by blocks of captions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.export.read.tokens import spans_of_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.arrays.strings import Strings
    from attneval.export.read.regions import Regions
    from attneval.storage.archive import Members

KINDS = ("attention", "similarity", "relevance", "logit")
NORMALISED_OVER = ("regions", "tokens", "none")


@dataclass(frozen=True)
class Header:
    """What a model's owner says about the maps.

    Attributes:
        kind: `attention` (never negative), `similarity`, `relevance` or `logit`.
        normalised_over: The axis over which weights sum to 1: `regions`, `tokens` or `none`.
        about: The other keys: model, checkpoint, aggregation, preprocess, writer and whatever else was written.
    """

    kind: str = "attention"
    normalised_over: str = "none"
    about: dict[str, Any] = field(default_factory=dict)


class TextSource(Protocol):
    """Strings that are decoded piece by piece."""

    def take(self, rows: NDArray[np.int64]) -> Strings:
        """The strings of some rows, in that order."""


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
        """The blocks of some captions."""


@dataclass(frozen=True, eq=False)
class MapBlock:
    """The maps of some captions.

    Attributes:
        flat: The weights, as stored.
        start: i8[k], where each caption's [A, T, R] block starts in `flat`; never descending.
    """

    flat: NDArray[np.floating]
    start: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Maps:
    """The maps of all captions in one direction.

    Attributes:
        members: Where they are stored.
        name: The member. Its first axis is either elements or captions.
        start: i8[N], first element of each caption's block.
        size: i8[N], elements of each caption's block, padding included.
    """

    members: Members
    name: str
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return int(self.members.dtype(self.name).itemsize)

    def take(self, rows: NDArray[np.int64]) -> MapBlock:
        """Read the blocks of some captions; one run of captions is mapped, several are copied together."""
        start, stop = self.start[rows], self.start[rows] + self.size[rows]
        if not len(rows):
            return MapBlock(self._elements(0, 0), start)
        breaks = np.flatnonzero(start[1:] != stop[:-1]) + 1
        first, last = np.concatenate(([0], breaks)), np.concatenate((breaks, [len(rows)])) - 1
        pieces = [self._elements(a, b) for a, b in zip(start[first].tolist(), stop[last].tolist(), strict=True)]
        flat = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return MapBlock(flat, offsets_of(stop - start)[:-1])

    def _elements(self, start: int, stop: int) -> NDArray[Any]:
        # Blocks never share an entry of the first axis, so both ends fall on one.
        width = int(np.prod(self.members.shape(self.name)[1:], dtype=np.int64)) or 1
        return self.members.window(self.name, start // width, -(-stop // width)).reshape(-1)


@dataclass(frozen=True, eq=False)
class Scores:
    """A stored matrix that is read by rows; each reading maps its rows alone.

    Attributes:
        members: Where it is stored.
        name: The member.
    """

    members: Members
    name: str

    @property
    def shape(self) -> tuple[int, int]:
        """Images and captions."""
        rows, columns = self.members.shape(self.name)
        return rows, columns

    def rows(self, start: int, stop: int) -> NDArray[np.floating]:
        """f[stop - start, N], the scores of some images."""
        return self.members.window(self.name, start, stop)


@dataclass(frozen=True, eq=False)
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
    """How a caption of an export is called: ``36979#2``, or ``36979#?`` if it has no number."""
    index = int(caption_index[row])
    return f"{image_id[int(caption_image[row])]}#{'?' if index == -1 else index}"


@dataclass(frozen=True, eq=False)
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
    similarity: Scores | None
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    file_bound: NDArray[np.int64] | None = None
    image_file: NDArray[np.int64] | None = None

    def image_names(self, rows: NDArray[np.int64]) -> list[str]:
        """How images are called in messages: by their ids, and the file they are in if there are several."""
        if self.image_file is None:
            return [self.image_id[row] for row in rows.tolist()]
        return [f"{self.files[self.image_file[row]]}: {self.image_id[row]}" for row in rows.tolist()]

    def caption_name(self, row: int) -> str:
        """How a caption is called in messages: ``36979#2``, and the file it is in if there are several."""
        name = caption_name(self.image_id, self.caption_image, self.caption_index, row)
        if self.file_bound is None:
            return name
        return f"{self.files[int(np.searchsorted(self.file_bound, row, side='right')) - 1]}: {name}"

    def tokens(self, rows: NDArray[np.int64]) -> TokenBlock:
        """The tokens of some captions."""
        count = self.token_offset[rows + 1] - self.token_offset[rows]
        offset = offsets_of(count)
        token = ranges(self.token_offset[rows], count)
        if self.token_span is not None and self.caption_text is not None:
            span = np.asarray(self.token_span[token], np.int64)
            return TokenBlock(self.caption_text.take(rows), offset, span, np.zeros(len(token), np.bool_))
        if self.token_text is None:
            raise ValueError("an export of similarities alone has no tokens")
        return TokenBlock(*spans_of_tokens(self.token_text.take(token), offset))
