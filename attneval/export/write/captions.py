"""Captions on their way into an export: what the reader would refuse about them is refused here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.errors import ExportError
from attneval.export.checks import spans_outside
from attneval.export.read.packed import LAST_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray


def caption_called(path: Path, image_ids: Sequence[str], indices: Sequence[int] | None, row: int) -> str:
    """Where a caption is, for messages."""
    number = -1 if indices is None else indices[row]
    return f"{path}: caption {image_ids[row]}#{'?' if number == -1 else number}"


def numbers(values: ArrayLike, dtype: Any, what: str) -> NDArray[Any]:
    """Numbers as an array of a type.

    Raises:
        ExportError: They are none, of unequal lengths, or too large for it.
    """
    wanted = np.dtype(dtype)
    try:
        given = np.asarray(values)
        if given.dtype.kind in "fiu" and np.can_cast(given.dtype, wanted):
            return given.astype(wanted, copy=False)
        if given.size and given.dtype.kind not in ("iu" if wanted.kind == "i" else "fiu"):
            raise ExportError(f"{what}: holds {given.dtype}, expected {wanted}")
        if wanted.kind == "f":
            with np.errstate(over="raise"):
                return given.astype(wanted)
        array = given.astype(wanted)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ExportError(f"{what}: cannot be stored as {wanted} ({error})") from None
    if not (given == array).all():
        raise ExportError(f"{what}: {given[given != array][0]} does not fit into {wanted}")
    return array


@dataclass(frozen=True, eq=False)
class Text:
    """Strings that can be stored.

    Attributes:
        data: All of them, one after the other, as UTF-8.
        size: i8[S], how many bytes each has.
        length: i8[S], how many code points each has.
    """

    data: bytes
    size: NDArray[np.int64]
    length: NDArray[np.int64]

    @classmethod
    def from_texts(cls, texts: Sequence[str], called: Callable[[int], str]) -> Text:
        """Check strings.

        Args:
            texts: The strings.
            called: Where one of them is, for messages.

        Raises:
            ExportError: One of them is no string, or holds lone surrogates.
        """
        try:
            whole = "".join(texts)
            data = whole.encode("utf-8")
        except (TypeError, UnicodeEncodeError):
            row = next(row for row, text in enumerate(texts) if not _is_text(text))
            raise ExportError(f"{called(row)}: {texts[row]!r} is no text") from None
        length = _lengths(texts)
        if len(data) == len(whole):
            return cls(data, length, length)
        return cls(data, _lengths([text.encode("utf-8") for text in texts]), length)

    @classmethod
    def joined(cls, parts: Sequence[Text]) -> Text:
        """Strings one after the other."""
        return cls(
            b"".join([part.data for part in parts]),
            np.concatenate([part.size for part in parts]),
            np.concatenate([part.length for part in parts]),
        )

    def members(self, name: str) -> dict[str, NDArray[Any]]:
        """The strings as a member of UTF-8 bytes, and its offsets."""
        return {name: np.frombuffer(self.data, np.uint8), f"{name}_offset": offsets_of(self.size)}


def _lengths(values: Sequence[Any]) -> NDArray[np.int64]:
    return np.fromiter(map(len, values), np.int64, len(values))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


@dataclass(frozen=True, eq=False)
class Captions:
    """B captions as they are stored, but for their maps.

    Attributes:
        image: i8[B], the rows of their images.
        index: i8[B], which of its image's captions each is, -1 if unknown.
        length: i8[B], how many tokens each has.
        text: Their texts: the given ones, or else their tokens with spaces between; or None.
        token: All tokens' texts, or None.
        span: i4[sum T, 2], all tokens' spans, or None.
    """

    image: NDArray[np.int64]
    index: NDArray[np.int64]
    length: NDArray[np.int64]
    text: Text | None
    token: Text | None
    span: NDArray[np.int32] | None

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
    ) -> Captions:
        """Check captions as `ExportWriter.add_captions` takes them.

        Args:
            image: i8[B], the rows of their images.
            called: Where one of them is, for messages.
            indices: Which of its image's captions each is.
            texts: Their texts.
            spans: Per caption i[T_c, 2].
            tokens: Per caption the texts of its T_c tokens.

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
            length = _lengths(tokens)
            token = Text.from_texts(
                [text for own in tokens for text in own],
                lambda row: f"{called(int(np.searchsorted(np.cumsum(length), row, side='right')))}: token",
            )
            texts = [" ".join(own) for own in tokens] if texts is None else texts
        text = None if texts is None else Text.from_texts(texts, lambda row: f"{called(row)}: text")
        if spans is not None and text is not None:
            pairs, length = _pairs(spans, called)
            _refuse_outside(pairs, length, text, called)
            span = pairs.astype(np.int32, copy=False)
        return cls(image, index, length, text, token, span)

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
        found = set(keys)
        if len(found) < len(keys) or not known.isdisjoint(found):
            row = next(row for row, key in enumerate(keys) if key in known or key in keys[:row])
            raise ExportError(f"{called(int(numbered[row]))} is added twice")
        return found

    @classmethod
    def joined(cls, parts: Sequence[Captions]) -> Captions:
        """Captions that were described alike, one after the other."""
        none = np.zeros(0, np.int64)
        texts = [part.text for part in parts if part.text is not None]
        tokens = [part.token for part in parts if part.token is not None]
        spans = [part.span for part in parts if part.span is not None]
        return cls(
            np.concatenate([none, *(part.image for part in parts)]),
            np.concatenate([none, *(part.index for part in parts)]),
            np.concatenate([none, *(part.length for part in parts)]),
            Text.joined(texts) if texts else None,
            Text.joined(tokens) if tokens else None,
            np.concatenate(spans) if spans else None,
        )


def _pairs(spans: Sequence[ArrayLike], called: Callable[[int], str]) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """The spans i[sum T, 2] of some captions, one after the other, and how many each has."""
    try:
        joined = np.concatenate(spans)
    except (TypeError, ValueError):
        joined = np.zeros(0)
    if joined.ndim != 2 or joined.shape[1] != 2 or joined.dtype.kind != "i":
        # Captions without tokens look like anything; what is wrong is known of each caption alone.
        pairs = [_pairs_of_one(own, f"{called(row)}: spans") for row, own in enumerate(spans)]
        return np.concatenate([*pairs, np.zeros((0, 2), np.int64)]), _lengths(pairs)
    return joined, _lengths(spans)


def _pairs_of_one(spans: ArrayLike, what: str) -> NDArray[np.int64]:
    found = numbers(spans, np.int64, what)
    if found.size and (found.ndim != 2 or found.shape[1] != 2):
        raise ExportError(f"{what}: have shape {found.shape}, expected (tokens, 2)")
    return found.reshape(-1, 2)


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


def real_weights(
    maps: NDArray[np.floating], length: NDArray[np.int64], regions: NDArray[np.int64], channels: int, what: str
) -> NDArray[np.floating]:
    """The weights of a padded batch that are no padding.

    Args:
        maps: f[B, T, R], or f[B, A, T, R] with several channels.
        length: i8[B], each caption's tokens.
        regions: i8[B], the regions of its image.
        channels: A.
        what: The file, the member and the captions, for messages.

    Returns:
        Each caption as [A, T_c, R_i], one after the other in any shape.

    Raises:
        ExportError: The maps have another shape.
    """
    if maps.ndim == 3 and channels == 1:
        maps = maps[:, None]
    longest, most = length.max(), regions.max()
    fits = maps.ndim == 4 and maps.shape[:2] == (len(length), channels)
    if not fits or maps.shape[2] < longest or maps.shape[3] < most:
        raise ExportError(
            f"{what} has shape {maps.shape}, expected {len(length)} captions x {channels} channels x "
            f"{longest} tokens x {most} regions"
        )
    keep = np.arange(maps.shape[2]) < np.repeat(length, channels)[:, None]
    data = maps.reshape(keep.size, maps.shape[3]).compress(keep.ravel(), axis=0)
    if regions.min() < maps.shape[3]:
        own = np.repeat(regions, length * channels)
        data = data[np.arange(maps.shape[3]) < own[:, None]]
    return data
