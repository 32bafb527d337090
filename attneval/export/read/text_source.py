"""Texts of an export, read by windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attneval.arrays.strings import Strings


class TextSource(Protocol):
    """Strings that are decoded piece by piece."""

    def take(self, rows: NDArray[np.int64]) -> Strings:
        """The strings of rows i8[k], in that order."""
