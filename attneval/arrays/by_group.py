"""Tables whose parts belong to named groups, as mappings by the name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")


class ByGroup(Mapping[str, T]):
    """A mapping by group, of which there may be thousands; who derives from it gets a group's part from its place.

    Attributes:
        groups: Their names, in the order of the table.
    """

    groups: list[str]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.groups)}

    def __contains__(self, group: object) -> bool:
        return group in self._place

    def __iter__(self) -> Iterator[str]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def places(self, groups: Sequence[str]) -> NDArray[np.int64]:
        """Find the places of some groups, i8[c]."""
        return np.array([self._place[name] for name in groups], np.int64)
