"""The channels of an export that is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.errors import ExportError
from attneval.export.read.packed import reason_against_name
from attneval.export.write.numbers import numbers
from attneval.export.write.texts import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Channels:
    """Layer and head of each channel, and names where these do not say it all.

    Args:
        path: The file, for messages.
        pairs: Layer and head of each, -1 where reduced over.
        names: Their names.

    Raises:
        ExportError: There is none, two cannot be told apart, or a name is none.
    """

    def __init__(self, path: Path, pairs: Sequence[tuple[int, int]], names: Sequence[str] | None) -> None:
        self._pairs = numbers(pairs, np.int16, f"{path}: channels")
        if self._pairs.shape[1:] != (2,) or not len(self._pairs):
            raise ExportError(f"{path}: channels have shape {self._pairs.shape}, expected (layer, head) of each")
        self._names = None if names is None else _checked_names(path, names, len(self._pairs))
        listed = [tuple(pair) for pair in self._pairs.tolist()]
        if self._names is None and len(set(listed)) < len(listed):
            twice = next(pair for row, pair in enumerate(listed) if pair in listed[:row])
            raise ExportError(f"{path}: two channels are {twice}", hint="tell them apart by channel_names")

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def named(self) -> bool:
        """True if they have names."""
        return self._names is not None

    def members(self) -> dict[str, NDArray[Any]]:
        """The members that describe them."""
        names = {} if self._names is None else self._names.members("channel_name")
        return {"channel": self._pairs, **names}


def _checked_names(path: Path, names: Sequence[str], count: int) -> Text:
    text = Text.from_texts(names, lambda row: f"{path}: channel_names {row}")
    if len(names) != count or len(set(names)) < count:
        raise ExportError(f"{path}: {count} channels need as many different channel_names, not {list(names)}")
    unusable = next((name for name in names if reason_against_name(name)), None)
    if unusable is not None:
        raise ExportError(f"{path}: channel_names has {unusable!r}: {reason_against_name(unusable)}")
    return text
