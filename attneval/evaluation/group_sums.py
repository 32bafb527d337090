"""Sums of items by group: phrase types, box areas, lengths and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.config.breakdowns import AREAS, LENGTHS
from attneval.metrics.floors import (
    breakdown_columns,
)
from attneval.metrics.totals import exact_total
from attneval.statistics.image_sums import ImageRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.matching.items import Items
    from attneval.metrics.totals import Table, Totals
    from attneval.statistics.image_sums import GroupSums


def _groups(items: Items, types: Sequence[str]) -> dict[str, dict[str, NDArray[np.int64]]]:
    """The rows of the items of each group of every breakdown; groups without any are left out."""
    members = {
        "type": {name: (items.types >> bit) & 1 > 0 for bit, name in enumerate(types)},
        "area": {name: items.area == k for k, name in enumerate(AREAS)},
        "length": {name: items.length == k for k, name in enumerate(LENGTHS)},
    }
    for kind, classes in items.classes.items():
        there = distinct_values(classes.row[classes.row >= 0]).tolist()
        members[kind] = {classes.names[k]: classes.row == k for k in there}
    return {
        kind: {name: np.flatnonzero(member) for name, member in groups.items() if member.any()}
        for kind, groups in members.items()
    }


def totals_by_group(items: Items, table: Table, images: int, types: Sequence[str]) -> Totals:
    """Sum columns f8[m] over the items of each group, exactly, by kind and name of the group."""
    return {
        kind: {
            name: {
                column: exact_total(np.bincount(items.image[rows], values[rows], images))
                for column, values in table.items()
            }
            for name, rows in groups.items()
        }
        for kind, groups in _groups(items, types).items()
    }


def sums_by_group(items: Items, table: Table, types: Sequence[str]) -> GroupSums:
    """Sum columns f8[m] over the items that an image has of each group, those that breakdowns resample."""
    names = [name for name in breakdown_columns() if name in table]
    sums: GroupSums = {}
    for kind, groups in _groups(items, types).items():
        sums[kind] = {}
        for group, rows in groups.items():
            image, place = np.unique(items.image[rows], return_inverse=True)
            columns = {
                name: np.asarray(np.bincount(place, table[name][rows], len(image)), np.float64) for name in names
            }
            sums[kind][group] = ImageRows(image, columns)
    return sums
