"""Strings on their way into an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


@record
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
        length = lengths(texts)
        if len(data) == len(whole):
            return cls(data, length, length)
        return cls(data, lengths([text.encode("utf-8") for text in texts]), length)

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


def lengths(values: Sequence[Any]) -> NDArray[np.int64]:
    """i8[n], the length of each of some sequences."""
    return np.fromiter(map(len, values), np.int64, len(values))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
