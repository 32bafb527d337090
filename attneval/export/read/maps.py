"""Stored maps and matrices, read by blocks of captions or by rows of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.export.read.content import MapBlock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.storage.archive import Members


@record
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
        """Read the blocks of captions i8[k]; one run of captions is mapped, several are copied together."""
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


@record
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
