"""IndexSets of row numbers, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class IndexSets:
    """IndexSets of keys, one after the other.

    Attributes:
        offset: i8[E+1], first member of each set.
        member: i8[n], the members, ascending within each set.
    """

    offset: NDArray[np.int64]
    member: NDArray[np.int64]

    @property
    def size(self) -> NDArray[np.int64]:
        """i8[E], how many members each set has."""
        return np.diff(self.offset)
