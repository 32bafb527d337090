"""Sets of row numbers, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray


@record
class IndexSets:
    """Sets of keys, one after the other.

    Attributes:
        offset: i8[E+1], first member of each set.
        member: i8[n], the members, ascending within each set.
        value: f8[n], a number for each member, if they have one.
    """

    offset: NDArray[np.int64]
    member: NDArray[np.int64]
    value: NDArray[np.float64] | None = None

    @property
    def size(self) -> NDArray[np.int64]:
        """i8[E], how many members each set has."""
        return np.diff(self.offset)
