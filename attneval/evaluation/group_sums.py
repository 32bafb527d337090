"""Sums of items by group: phrase types, box areas, lengths and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.config.breakdowns import AREAS, LENGTHS
from attneval.metrics.floors import breakdown_columns
from attneval.metrics.totals import in_units
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
    resampled = [name for name in breakdown_columns() if name in table]
    totals: Totals = {}
    sums: GroupSums = {}
    images = int(items.image.max(initial=0)) + 1
    for kind, groups in _groups(items, types).items():
        by_name: Totals = {}
        sums[kind] = {}
        totals[kind] = by_name
        if not groups:
            continue
        # The items of one group after those of the other, and of each group those of one image after the other's.
        rows = np.concatenate([*groups.values()])
        of_group = np.repeat(np.arange(len(groups)) * images, [len(members) for members in groups.values()])
        key, place = np.unique(of_group + items.image[rows], return_inverse=True)
        first = np.searchsorted(key, np.arange(len(groups) + 1) * images)
        per_image = {
            name: np.asarray(np.bincount(place, values[rows], len(key)), np.float64) for name, values in table.items()
        }
        exact = [np.add.reduceat(in_units(values), first[:-1]).tolist() for values in per_image.values()]
        for group, start, stop, each in zip(groups, first, first[1:], zip(*exact, strict=True), strict=False):
            by_name[group] = dict(zip(per_image, each, strict=True))
            kept = {name: per_image[name][start:stop] for name in resampled}
            sums[kind][group] = ImageRows(key[start:stop] % images, kept)
    return totals, sums
