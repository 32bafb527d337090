"""Per-image sums over the items of groups: what the uncertainty of breakdowns is computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.by_group import ByGroup
from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@record
class ImageRows:
    """Sums of some images.

    Attributes:
        row: i8[k], rows of images, ascending.
        columns: f8[k] by name, sums over some of the items of each.
    """

    row: NDArray[np.int64]
    columns: dict[str, NDArray[np.float64]]


@record
class GroupedRows(ByGroup[ImageRows]):
    """Sums of the groups of a breakdown, of each over the images that have items of it: a mapping by group.

    There may be thousands of groups with few images each, so that all of them stand in one table, one group after the
    other. They have their columns in common.

    Attributes:
        groups: The names of g groups.
        offset: i8[g+1], where the images of each group begin.
        row: i8[k], rows of images, ascending within a group.
        columns: The names of c columns.
        numbers: f8[c, k], sums over the items that an image has of a group.
    """

    groups: list[str]
    offset: NDArray[np.int64]
    row: NDArray[np.int64]
    columns: list[str]
    numbers: NDArray[np.float64]

    @classmethod
    def of(cls, named: Mapping[str, ImageRows]) -> GroupedRows:
        """Make them of the sums of each group, of the columns that all of them have."""
        parts = list(named.values())
        columns = [name for name in (parts[0].columns if parts else ()) if all(name in p.columns for p in parts)]
        numbers = [np.concatenate([part.columns[name] for part in parts]) for name in columns]
        row = np.concatenate([part.row for part in parts]) if parts else np.zeros(0, np.int64)
        return cls(
            list(named),
            offsets_of([len(part.row) for part in parts]),
            row,
            columns,
            np.array(numbers, np.float64).reshape(len(columns), len(row)),
        )

    def __getitem__(self, group: str) -> ImageRows:
        place = self._place[group]
        images = slice(self.offset[place], self.offset[place + 1])
        return ImageRows(self.row[images], dict(zip(self.columns, self.numbers[:, images], strict=True)))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """i8[g], how many images have items of each group."""
        return np.diff(self.offset)

    @property
    def slices(self) -> list[slice]:
        """The images of each group in the table."""
        bounds = self.offset.tolist()
        return list(map(slice, bounds[:-1], bounds[1:]))

    def chosen(self, groups: Sequence[str]) -> GroupedRows:
        """Take some groups, in that order."""
        place = self.places(groups)
        size = self.sizes[place]
        images = ranges(self.offset[place], size)
        return GroupedRows(
            list(groups), offsets_of(size), self.row[images], self.columns, self.numbers.take(images, axis=1)
        )

    def moved(self, place: NDArray[np.int64]) -> GroupedRows:
        """Give the same sums where image i stands in row `place[i]`: i8[I]."""
        if np.array_equal(place, np.arange(len(place))):
            return self
        return self._sorted(np.repeat(np.arange(len(self.groups)), self.sizes), place[self.row])

    def _sorted(self, group: NDArray[np.int64], row: NDArray[np.int64]) -> GroupedRows:
        """The same numbers i8[k] of groups and rows of images, in their order."""
        order = np.lexsort((row, group))
        offset = np.searchsorted(group[order], np.arange(len(self.groups) + 1))
        return GroupedRows(self.groups, offset, row[order], self.columns, self.numbers.take(order, axis=1))

    @classmethod
    def joined(cls, parts: Sequence[GroupedRows]) -> GroupedRows:
        """Put the sums of different images together, of the columns that all parts have; rows are those of all."""
        if len(parts) == 1:
            return parts[0]
        groups = list(dict.fromkeys(name for part in parts for name in part.groups))
        place = {name: number for number, name in enumerate(groups)}
        columns = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
        numbers = [part.numbers[[part.columns.index(name) for name in columns]] for part in parts]
        places = (np.array([place[name] for name in part.groups], np.int64) for part in parts)
        group = np.concatenate([np.repeat(place_of, part.sizes) for place_of, part in zip(places, parts, strict=True)])
        row = np.concatenate([part.row for part in parts])
        # The offsets are those of what is sorted.
        unsorted = cls(groups, np.zeros(0, np.int64), row, columns, np.concatenate(numbers, axis=1))
        return unsorted._sorted(group, row)


GroupSums = dict[str, GroupedRows]
"""By kind of group, the sums of the images that have items of each."""


def joined_groups(parts: Sequence[GroupSums]) -> GroupSums:
    """Put the group sums of different images together; rows are those of all images. Kinds without groups go."""
    kinds = dict.fromkeys(kind for part in parts for kind, groups in part.items() if len(groups))
    return {kind: GroupedRows.joined([part[kind] for part in parts if len(part.get(kind, ()))]) for kind in kinds}
