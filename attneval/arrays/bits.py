"""IndexSets of names as the bits of whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def moved_bits(bits: NDArray[np.int64], old_names: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """Bits i8[n] that stand for some names, as bits that stand for others."""
    if tuple(old_names) == tuple(names):
        return bits
    moved = np.zeros_like(bits)
    for bit, name in enumerate(old_names):
        moved |= ((bits >> bit) & 1) << list(names).index(name)
    return moved
