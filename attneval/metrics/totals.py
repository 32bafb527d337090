"""Exact totals: sums over images as whole multiples of a small unit, the same in any order of adding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.by_group import ByGroup
from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from numpy.typing import NDArray

    Table = dict[str, NDArray[np.float64]]
    """Columns of numbers by name."""
    Totals = dict[str, "int | list[int] | Totals | GroupTotals"]
    """Sums over images as whole multiples of 1 / UNIT, nested by what they are sums of."""


UNIT = 2**32
"""Totals are whole multiples of 1 / UNIT, so that adding them up gives the same in any order."""
SAFE = 2**62
"""Whole numbers below it can be added in pairs without leaving their 64 bits."""


@record
class GroupTotals(ByGroup[dict[str, int]]):
    """Exact totals of the groups of a breakdown, which have columns in common: a mapping by group, then by column.

    There may be thousands of groups, so that their numbers are kept, joined and handed to other processes in one table.

    Attributes:
        groups: The names of g groups.
        columns: The names of c columns.
        numbers: [g, c], whole multiples of 1 / UNIT: i8, or numbers of Python where they need more.
    """

    groups: list[str]
    columns: list[str]
    numbers: NDArray[Any]

    @classmethod
    def of(cls, tables: Mapping[str, Mapping[str, int]]) -> GroupTotals:
        """Make them of tables by group, of the columns that all of them have."""
        if isinstance(tables, GroupTotals):
            return tables
        listed = list(tables.values())
        columns = [name for name in (listed[0] if listed else ()) if all(name in table for table in listed)]
        exact = [[table[name] for name in columns] for table in listed]
        most = max((abs(number) for row in exact for number in row), default=0)
        numbers = np.array(exact, np.int64 if most < SAFE else object).reshape(len(listed), len(columns))
        return cls(list(tables), columns, numbers)

    def __getitem__(self, group: str) -> dict[str, int]:
        return dict(zip(self.columns, self.numbers[self._place[group]].tolist(), strict=True))

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Give the totals of all groups."""
        return {
            name: dict(zip(self.columns, row, strict=True))
            for name, row in zip(self.groups, self.numbers.tolist(), strict=True)
        }

    def chosen(self, groups: Sequence[str]) -> GroupTotals:
        """Take some groups, in that order."""
        return GroupTotals(list(groups), self.columns, self.numbers[self.places(groups)])

    def with_columns(self, names: Container[str]) -> GroupTotals:
        """Leave out all columns but some."""
        kept = [place for place, name in enumerate(self.columns) if name in names]
        return GroupTotals(self.groups, [self.columns[place] for place in kept], self.numbers[:, kept])

    def sums(self) -> Table:
        """Give them as numbers: f8[g] by column."""
        # A division of Python is as exact as that of an array.
        values = np.asarray(self.numbers / UNIT, np.float64)
        return {name: values[:, place] for place, name in enumerate(self.columns)}

    def plus(self, other: GroupTotals) -> GroupTotals:
        """Add others to them, of the columns that both have; a group that only one of them has is kept."""
        if not self.groups or not other.groups:
            return self if self.groups else other
        groups = list(dict.fromkeys((*self.groups, *other.groups)))
        place = {name: row for row, name in enumerate(groups)}
        columns = [name for name in self.columns if name in other.columns]
        mine, others = (part.with_columns(columns) for part in (self, other))
        rows = [place[name] for name in other.groups]
        order = [others.columns.index(name) for name in columns]
        kind = np.int64 if _are_safe(mine.numbers) and _are_safe(others.numbers) else object
        numbers = np.zeros((len(groups), len(columns)), kind)
        numbers[: len(mine.groups)] = mine.numbers
        numbers[rows] += others.numbers[:, order]
        return GroupTotals(groups, columns, numbers)


def _are_safe(numbers: NDArray[Any]) -> bool:
    return numbers.dtype != object and bool((np.abs(numbers) < SAFE).all())


def exact_total(per_image: NDArray[np.generic]) -> int:
    """An exact sum of numbers [n]: what each image adds is rounded to a multiple of 1 / UNIT first."""
    return int(in_units(per_image.astype(np.float64, copy=False)).sum())


def in_units(per_image: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers f8[n] as whole multiples of 1 / UNIT."""
    return np.rint(per_image * UNIT).astype(np.int64)


def add_totals(mine: Totals, other: Totals) -> Totals:
    """Add exact totals; what only one of them has is kept."""
    joined: Totals = dict(mine)
    for name, value in other.items():
        total = joined.get(name)
        if total is None:
            joined[name] = value
        elif isinstance(value, GroupTotals) or isinstance(total, GroupTotals):
            joined[name] = GroupTotals.of(_tables(total)).plus(GroupTotals.of(_tables(value)))
        elif isinstance(value, dict) and isinstance(total, dict):
            joined[name] = add_totals(total, value)
        elif isinstance(value, list) and isinstance(total, list):
            joined[name] = [a + b for a, b in zip(total, value, strict=True)]
        elif isinstance(value, int) and isinstance(total, int):
            joined[name] = total + value
    return joined


def _tables(totals: Any) -> Mapping[str, Mapping[str, int]]:
    """The totals of groups, however they are kept."""
    tables: Mapping[str, Mapping[str, int]] = totals
    return tables
