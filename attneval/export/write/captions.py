"""Captions on their way into an export: what the reader would refuse about them is refused here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.errors import ExportError
from attneval.export.checks import spans_outside
from attneval.export.read.caption_ids import LAST_INDEX
from attneval.export.write.numbers import numbers
from attneval.export.write.texts import Text, lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray


def caption_name(image_ids: Sequence[Any], indices: Sequence[int] | None, row: int) -> str:
    """The name of a caption in messages: ``36979#2``, or ``36979#?`` if it has no number."""
    number = -1 if indices is None else indices[row]
    return f"{image_ids[row]}#{'?' if number == -1 else number}"


@record
class Captions:
    """B captions as they are stored, but for their maps.

    Attributes:
        image: i8[B], the rows of their images.
        index: i8[B], which of its image's captions each is, -1 if unknown.
        length: i8[B], how many tokens each has.
        text: Their texts: the given ones, or else their tokens with spaces between; or None.
        token: All tokens' texts, or None.
        span: i4[sum T, 2], all tokens' spans, or None.
        window: i8[B, 2], (first, count) of the regions of its image that each one's map is over, or None.
    """

    image: NDArray[np.int64]
    index: NDArray[np.int64]
    length: NDArray[np.int64]
    text: Text | None
    token: Text | None
    span: NDArray[np.int32] | None
    window: NDArray[np.int64] | None = None

    @classmethod
    def from_arguments(
        cls,
        image: NDArray[np.int64],
        called: Callable[[int], str],
        *,
        indices: Sequence[int] | None,
        texts: Sequence[str] | None,
        spans: Sequence[ArrayLike] | None,
        tokens: Sequence[Sequence[str]] | None,
        window: NDArray[np.int64] | None = None,
    ) -> Captions:
        """Check captions as `ExportWriter.add_captions` takes them.

        Args:
            image: i8[B], the rows of their images.
            called: Where one of them is, for messages.
            indices: Which of its image's captions each is.
            texts: Their texts.
            spans: Per caption i[T_c, 2].
            tokens: Per caption the texts of its T_c tokens.
            window: i8[B, 2], the window of its image's regions that each one's map is over.

        Raises:
            ExportError: A number, a text or a span cannot be stored, or would be refused when it is read.
        """
        if indices is None:
            index = np.full(len(image), -1, np.int64)
        else:
            index = numbers(indices, np.int64, f"{called(0)}, ...: indices")
        if index.min() < -1 or index.max() > LAST_INDEX:
            row = int(np.argmax((index < -1) | (index > LAST_INDEX)))
            raise ExportError(f"{called(row)}: index {index[row]} is not between -1 and {LAST_INDEX}")
        length, token, span = np.zeros(len(image), np.int64), None, None
        if tokens is not None:
            length = lengths(tokens)
            token = Text.from_texts(
                [text for each in tokens for text in each],
                lambda row: f"{called(int(np.searchsorted(np.cumsum(length), row, side='right')))}: token",
            )
            texts = [" ".join(each) for each in tokens] if texts is None else texts
        text = None if texts is None else Text.from_texts(texts, lambda row: f"{called(row)}: text")
        if spans is not None and text is not None:
            pairs, length = _pairs(spans, called)
            _refuse_outside(pairs, length, text, called)
            span = pairs.astype(np.int32, copy=False)
        return cls(image, index, length, text, token, span, window)

    def keys_beside(self, known: set[int], called: Callable[[int], str]) -> set[int]:
        """A key for each caption that has a number within its image.

        Args:
            known: The keys of other captions.
            called: Where one of these is, for messages.

        Raises:
            ExportError: One of them is among the others, or twice among these.
        """
        numbered = np.flatnonzero(self.index >= 0)
        keys: list[int] = (self.image * (LAST_INDEX + 1) + self.index)[numbered].tolist()
        result = set(keys)
        if len(result) < len(keys) or not known.isdisjoint(result):
            row = next(row for row, key in enumerate(keys) if key in known or key in keys[:row])
            raise ExportError(f"{called(int(numbered[row]))} is added twice")
        return result

    def members(self) -> dict[str, NDArray[Any]]:
        """The members that describe the captions."""
        text = {} if self.text is None else self.text.members("caption_text")
        return {"caption_image": self.image.astype(np.int32), "caption_index": self.index.astype(np.int16), **text}

    def token_members(self) -> dict[str, NDArray[Any]]:
        """The members that describe their tokens, and the windows that their maps are over."""
        members: dict[str, NDArray[Any]] = {"token_offset": offsets_of(self.length)}
        if self.token is not None:
            members |= self.token.members("token_text")
        elif self.span is not None:
            members["token_span"] = self.span
        if self.window is not None:
            members["caption_region"] = self.window
        return members

    @classmethod
    def joined(cls, parts: Sequence[Captions]) -> Captions:
        """Captions that were described alike, one after the other."""
        none = np.zeros(0, np.int64)
        texts = [part.text for part in parts if part.text is not None]
        tokens = [part.token for part in parts if part.token is not None]
        spans = [part.span for part in parts if part.span is not None]
        windows = [part.window for part in parts if part.window is not None]
        return cls(
            np.concatenate([none, *(part.image for part in parts)]),
            np.concatenate([none, *(part.index for part in parts)]),
            np.concatenate([none, *(part.length for part in parts)]),
            Text.joined(texts) if texts else None,
            Text.joined(tokens) if tokens else None,
            np.concatenate(spans) if spans else None,
            np.concatenate(windows) if windows else None,
        )


def _pairs(spans: Sequence[ArrayLike], called: Callable[[int], str]) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """The spans i[sum T, 2] of some captions, one after the other, and how many each has."""
    try:
        joined = np.concatenate(spans)
    except (TypeError, ValueError):
        joined = np.zeros(0)
    if joined.ndim != 2 or joined.shape[1] != 2 or joined.dtype.kind != "i":
        # Captions without tokens look like anything; what is wrong is known of each caption alone.
        pairs = [_pairs_of_one(each, f"{called(row)}: spans") for row, each in enumerate(spans)]
        return np.concatenate([*pairs, np.zeros((0, 2), np.int64)]), lengths(pairs)
    return joined, lengths(spans)


def _pairs_of_one(spans: ArrayLike, what: str) -> NDArray[np.int64]:
    result = numbers(spans, np.int64, what)
    if result.size and (result.ndim != 2 or result.shape[1] != 2):
        raise ExportError(f"{what}: have shape {result.shape}, expected (tokens, 2)")
    return result.reshape(-1, 2)


def _refuse_outside(
    span: NDArray[np.integer], length: NDArray[np.int64], text: Text, called: Callable[[int], str]
) -> None:
    bad = spans_outside(span, np.repeat(text.length, length))
    if bad.any():
        token = int(np.argmax(bad))
        offset = offsets_of(length)
        row = int(np.searchsorted(offset, token, side="right")) - 1
        raise ExportError(
            f"{called(row)}: token {token - int(offset[row])} has the span {span[token].tolist()}, but the text has "
            f"{text.length[row]} code points"
        )
