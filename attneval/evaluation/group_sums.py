"""Sums of items by group: phrase types, box areas, lengths and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.config.breakdowns import AREAS, LENGTHS
from attneval.metrics.floors import breakdown_columns
from attneval.metrics.totals import GroupTotals, in_units
from attneval.statistics.group_sums import GroupedRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.matching.items import Items
    from attneval.metrics.totals import Table, Totals
    from attneval.statistics.group_sums import GroupSums


@record
class _Members:
    """The items of the groups of a breakdown that have any.

    Attributes:
        groups: The names of g groups.
        rows: i8[n], rows of items, group by group.
        sizes: i8[g], how many each has.
    """

    groups: list[str]
    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of_classes(cls, names: Sequence[str], classes: NDArray[np.int64]) -> _Members:
        """Items by the class i8[m] of each; -1 for none."""
        rows = np.flatnonzero(classes >= 0)
        rows = rows[np.argsort(classes[rows], kind="stable")]
        there, sizes = np.unique(classes[rows], return_counts=True)
        return cls([names[k] for k in there.tolist()], rows, sizes)


def _members(items: Items, types: Sequence[str]) -> dict[str, _Members]:
    """The items of every breakdown."""
    of_type = {name: np.flatnonzero((items.types >> bit) & 1) for bit, name in enumerate(types)}
    of_type = {name: rows for name, rows in of_type.items() if len(rows)}
    sizes = np.array([len(rows) for rows in of_type.values()], np.int64)
    typed = _Members(list(of_type), np.concatenate([np.zeros(0, np.int64), *of_type.values()]), sizes)
    classes = {kind: _Members.of_classes(classes.names, classes.row) for kind, classes in items.classes.items()}
    areas, lengths = _Members.of_classes(AREAS, items.area), _Members.of_classes(LENGTHS, items.length)
    return {"type": typed, "area": areas, "length": lengths} | classes


def sums_of_groups(items: Items, table: Table, types: Sequence[str]) -> tuple[Totals, GroupSums]:
    """Sum columns over the items of each group.

    Args:
        items: m items.
        table: f8[m] by column.
        types: The names of the bits of `items.types`.

    Returns:
        By kind of group: exact totals by group and column, and the sums of each image that has items of a group, of
        the columns that breakdowns resample.
    """
    columns = list(table)
    kept = [name for name in breakdown_columns() if name in table]
    resampled = [columns.index(name) for name in kept]
    totals: Totals = {}
    sums: GroupSums = {}
    images = int(items.image.max(initial=0)) + 1
    for kind, members in _members(items, types).items():
        # The items of one group after those of the other, and of each group those of one image after the other's.
        groups, rows = members.groups, members.rows
        of_group = np.repeat(np.arange(len(groups)) * images, members.sizes)
        key, place = np.unique(of_group + items.image[rows], return_inverse=True)
        numbers = np.zeros((len(columns), len(key)))
        for column, values in zip(numbers, table.values(), strict=True):
            column[:] = np.bincount(place, values[rows], len(key))
        offset = np.searchsorted(key, np.arange(len(groups) + 1) * images)
        exact = np.add.reduceat(in_units(numbers), offset[:-1], axis=1).T if groups else np.zeros((0, len(columns)))
        totals[kind] = GroupTotals(groups, columns, np.ascontiguousarray(exact, np.int64))
        sums[kind] = GroupedRows(groups, offset, key % images, kept, numbers[resampled])
    return totals, sums
