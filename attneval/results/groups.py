"""Tables of the groups of a breakdown, measured when they are asked for.

There may be thousands of groups, of which a page shows a few: those are measured alone. Whoever looks at any other way
of one, or goes through all of them, has all of them measured together, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from attneval.arrays.records import record

if TYPE_CHECKING:
    from attneval.results.scores import Measured

T = TypeVar("T")


@record
class MeasuredGroups(Mapping[str, T]):
    """A mapping by group whose values are made when they are asked for.

    Attributes:
        counts: How many items each group has.
        measure: Makes the values of some groups.
    """

    counts: dict[str, int]
    measure: Callable[[Sequence[str]], dict[str, T]]

    @cached_property
    def _every(self) -> dict[str, T]:
        return self.measure(list(self.counts))

    def __getitem__(self, group: str) -> T:
        return self._every[group]

    def __contains__(self, group: object) -> bool:
        return group in self.counts

    def __iter__(self) -> Iterator[str]:
        return iter(self.counts)

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        return repr(self._every)


def some_groups(tables: Mapping[str, T], groups: Sequence[str]) -> dict[str, T]:
    """Take the tables of those of some groups that have one, and measure no others."""
    there = [name for name in groups if name in tables]
    if isinstance(tables, MeasuredGroups) and len(there) < len(tables):
        return tables.measure(there)
    return {name: tables[name] for name in there}


def item_counts(tables: Mapping[str, Mapping[str, Measured]]) -> dict[str, int]:
    """Count the items of each group."""
    if isinstance(tables, MeasuredGroups):
        return tables.counts
    # Metrics over all items, reachable or not, have most.
    return {name: max((measured.n for measured in table.values()), default=0) for name, table in tables.items()}
