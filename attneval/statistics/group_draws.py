"""Sums of groups of items over resampled images: of all groups where they are few, of those asked for where many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.statistics.resamples import TOGETHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Sums
    from attneval.statistics.group_sums import GroupedRows, GroupSums
    from attneval.statistics.image_sums import ImageSums
    from attneval.statistics.resamples import Resamples, Times

MANY = 64
"""Above so many groups of a kind each is drawn from its own images alone, when it is asked for."""
AT_ONCE, MORE_AT_ONCE = 64, 256
"""Groups that are drawn together: few enough for the cache, and as many as bounded memory allows for."""


@record
class GroupDraws:
    """Sums of groups of items over resampled images, the same resamples for all.

    Attributes:
        by: The sums of groups.
        resamples: The resamples.
        few: f8[g, c, b] by kind, what was drawn of groups that are few.
    """

    by: GroupSums
    resamples: Resamples
    few: dict[str, NDArray[np.float64]]

    def of(self, kind: str, groups: Sequence[str]) -> Iterator[tuple[Sequence[str], Sums]]:
        """Yield some of the groups and their sums, f8[g, b] by column; of no group where there is nothing to resample.

        Args:
            kind: The kind of the groups.
            groups: The groups; those without sums are left out.
        """
        rows = self.by.get(kind)
        if not self.resamples or rows is None:
            return
        groups = [name for name in groups if name in rows]
        if kind in self.few:
            yield groups, _by_column(rows, self.few[kind][rows.places(groups)])
            return
        small = self.resamples.images * self.resamples.number <= TOGETHER
        blocks = list(self.resamples.by_image) if small else []
        # Where resamples are drawn anew for every few groups, these are not so few.
        at_once = AT_ONCE if small else MORE_AT_ONCE
        for first in range(0, len(groups), at_once):
            names = groups[first : first + at_once]
            yield names, _by_column(rows, _drawn(rows.chosen(names), blocks or self.resamples.by_image))


def _by_column(rows: GroupedRows, drawn: NDArray[np.float64]) -> Sums:
    """Sums f8[g, c, b] by the columns that they are of."""
    return {name: drawn[:, number] for number, name in enumerate(rows.columns)}


def _drawn(rows: GroupedRows, blocks: Iterable[Times]) -> NDArray[np.float64]:
    """The sums f8[g, c, b] of groups, each from its own images alone."""
    parts: list[list[NDArray[np.float64]]] = [[] for _ in rows.groups]
    for times in blocks:
        for part, images in zip(parts, rows.slices, strict=True):
            numbers = np.ascontiguousarray(rows.numbers[:, images])
            part.append(numbers @ times[rows.row[images]].astype(np.float64))
    return np.stack([np.concatenate(part, axis=1) for part in parts])


def draw_with_groups(sums: ImageSums, resamples: Resamples) -> tuple[Sums | None, GroupDraws]:
    """Sum the columns over resampled images, see `draw`, and those of groups over the same resamples.

    Returns:
        f8[b] by name, None where there is nothing to resample; and what draws groups.
    """
    few = {kind: rows for kind, rows in sums.by.items() if len(rows) <= MANY}
    draws = GroupDraws(sums.by, resamples, {})
    if not resamples:
        return None, draws
    # Few groups have items in many images, and many groups each in few.
    listed = [
        (rows.row[images], column[images]) for rows in few.values() for images in rows.slices for column in rows.numbers
    ]
    beside = {str(number): each for number, each in enumerate(listed)}
    drawn = dict(sums.resampled_in_blocks(resamples.in_rows, beside))
    of_groups = iter([drawn.pop(name) for name in beside])
    for kind, rows in few.items():
        shape = len(rows), len(rows.columns), resamples.number
        draws.few[kind] = np.reshape([next(of_groups) for _ in range(shape[0] * shape[1])], shape)
    return drawn, draws
