"""Entities whose images have equally many regions, so that boxes and regions form tables."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAIRS_AT_ONCE = 2**16
"""Box-region pairs that are worked on together, so that the intermediate arrays stay in the cache."""


@dataclass(frozen=True, eq=False)
class BoxGroup:
    """Some entities whose images have equally many regions.

    Attributes:
        place: i8[e], each entity's image in the table of regions.
        box: f8[b, 4], pixels, their boxes; where they add up they no longer overlap one another.
        offset: i8[e+1], first box of each entity; every entity has at least one.
        add_up: Whether an entity's boxes count together, or else the best one alone.
    """

    place: NDArray[np.int64]
    box: NDArray[np.float64]
    offset: NDArray[np.int64]
    add_up: bool

    def chunks(self, width: int) -> Iterator[BoxGroup]:
        """The entities in chunks of about `PAIRS_AT_ONCE` pairs of a box and one of `width` regions."""
        pairs = self.offset[1:] * width // PAIRS_AT_ONCE
        bound = [0, *(np.flatnonzero(np.diff(pairs)) + 1).tolist(), len(self.place)]
        return itertools.starmap(self._chunk, itertools.pairwise(bound))

    def _chunk(self, first: int, last: int) -> BoxGroup:
        start, stop = self.offset[[first, last]].tolist()
        return replace(
            self,
            place=self.place[first:last],
            box=self.box[start:stop],
            offset=self.offset[first : last + 1] - start,
        )

    @property
    def place_of_box(self) -> NDArray[np.int64]:
        """i8[b], the image of each box."""
        alone = len(self.place) == len(self.box)
        return self.place if alone else np.repeat(self.place, np.diff(self.offset))

    def by_entity(self, by: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
        """Put values [b, ...] of boxes together by entity: [e, ...]."""
        first = self.offset[:-1]
        return np.asarray(by.reduceat(values, first)) if len(first) < len(values) else values
