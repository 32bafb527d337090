"""The resamples of a bootstrap, as tables of groups use them: image by image, in few bytes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.statistics.bootstrap import repeats_in_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Times = NDArray[np.unsignedinteger]

HELD = 2**23
"""Numbers of resamples that are held for as long as anybody may ask for them, 8 MB; more are drawn anew each time."""
TOGETHER = 2**26
"""Numbers of resamples that are in memory together: 64 MB."""


@record
class Resamples:
    """The number of times that each image counts in each resample; see `bootstrap_repeats`.

    Attributes:
        images: How many images there are.
        number: How many resamples.
        seed: Their seed.
    """

    images: int
    number: int
    seed: int

    def __bool__(self) -> bool:
        """False where there is nothing to resample."""
        return self.images >= 2 and self.number >= 1

    @property
    def in_rows(self) -> Iterator[NDArray[np.float64]]:
        """The resamples, some at a time: f8[b, I]."""
        return repeats_in_blocks(self.images, self.number, self.seed)

    @property
    def by_image(self) -> Iterator[Times]:
        """The resamples, as many at a time as memory is for: u1[I, b], or u2 where an image counts that often."""
        return iter(self._held) if self.images * self.number <= HELD else self._drawn()

    def __reduce__(self) -> tuple[type[Resamples], tuple[int, int, int]]:
        """Copies draw for themselves."""
        return Resamples, (self.images, self.number, self.seed)

    @cached_property
    def _held(self) -> list[Times]:
        return list(self._drawn())

    def _drawn(self) -> Iterator[Times]:
        # While they are drawn they take eight bytes each, several times.
        for block in repeats_in_blocks(self.images, self.number, self.seed, TOGETHER // 32):
            yield np.ascontiguousarray(block.T, np.uint8 if block.max(initial=0) < 2**8 else np.uint16)
