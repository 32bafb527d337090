"""Sums of items by group: phrase types, box areas, lengths and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.config.breakdowns import AREAS, LENGTHS
from attneval.metrics.floors import breakdown_columns
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


def sums_of_groups(items: Items, table: Table, types: Sequence[str]) -> tuple[Totals, GroupSums]:
    """Sum columns over the items of each group.

    Args:
        items: m items.
        table: f8[m] by column.
        types: The names of the bits of `items.types`.

    Returns:
        By kind and name of a group: exact totals by column, and the sums of each image that has items of it, of the
        columns that breakdowns resample.
    """
    resampled = breakdown_columns()
    totals: Totals = {}
    sums: GroupSums = {}
    for kind, groups in _groups(items, types).items():
        by_name: Totals = {}
        sums[kind] = {}
        for group, rows in groups.items():
            image, place = np.unique(items.image[rows], return_inverse=True)
            per_image = {
                name: np.asarray(np.bincount(place, values[rows], len(image)), np.float64)
                for name, values in table.items()
            }
            by_name[group] = {name: exact_total(values) for name, values in per_image.items()}
            sums[kind][group] = ImageRows(image, {name: per_image[name] for name in resampled if name in per_image})
        totals[kind] = by_name
    return totals, sums
