"""Sets of names as the bits of whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_NAMES = 62
"""Names that can be told apart."""


def bits_type(count: int) -> type[np.signedinteger[Any]]:
    """The type that holds one bit for each of some names: i4 as long as all are below its sign, else i8.

    Args:
        count: The names, at most `MOST_NAMES`.
    """
    return np.int32 if count < 32 else np.int64


def moved_bits(bits: NDArray[np.int64], old_names: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """Bits i8[n] that stand for some names, as bits that stand for others."""
    if tuple(old_names) == tuple(names):
        return bits
    moved = np.zeros_like(bits)
    for bit, name in enumerate(old_names):
        moved |= ((bits >> bit) & 1) << list(names).index(name)
    return moved
