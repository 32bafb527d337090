"""Sums of groups of items over resampled images: of all groups where they are few, of those asked for where many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.config.options import RESAMPLES, SEED
from attneval.statistics.bootstrap import repeats_in_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Sums
    from attneval.statistics.group_sums import GroupedRows
    from attneval.statistics.image_sums import ImageSums

MANY = 64
"""Above so many groups of a kind each is drawn from its own images alone, when it is asked for."""
KEPT = 2**26
"""Bytes of resamples that are kept while many groups are drawn; more are drawn anew for every few groups."""
AT_ONCE, MORE_AT_ONCE = 64, 512
"""Groups whose sums are held together: few enough for the cache, and as many as bounded memory allows for."""


@record
class GroupDraws:
    """Sums of groups of items over resampled images, the same resamples for all.

    Attributes:
        sums: The sums of images.
        resamples: How many resamples.
        seed: Their seed.
        few: f8[g, c, b] by kind, what was drawn of groups that are few.
    """

    sums: ImageSums
    resamples: int
    seed: int
    few: dict[str, NDArray[np.float64]]

    def __bool__(self) -> bool:
        """False where there is nothing to resample."""
        return len(self.sums.image_id) >= 2 and self.resamples >= 1

    def of(self, kind: str, groups: Sequence[str]) -> Iterator[tuple[Sequence[str], Sums]]:
        """Yield some of the groups and their sums, f8[g, b] by column; of no group where there is nothing to resample.

        Args:
            kind: The kind of the groups.
            groups: The groups; those without sums are left out.
        """
        rows = self.sums.by.get(kind)
        if not self or rows is None:
            return
        groups = [name for name in groups if name in rows]
        if kind in self.few:
            place = {name: number for number, name in enumerate(rows.groups)}
            drawn = self.few[kind][[place[name] for name in groups]]
            yield groups, {name: drawn[:, number] for number, name in enumerate(rows.columns)}
            return
        images = len(self.sums.image_id)
        kept = [*self.times()] if images * self.resamples <= KEPT else []
        at_once = AT_ONCE if kept else MORE_AT_ONCE
        for first in range(0, len(groups), at_once):
            names = groups[first : first + at_once]
            yield names, _drawn(rows.chosen(names), kept or self.times())

    def times(self) -> Iterator[NDArray[np.integer]]:
        """Yield how often each image counts in some of the resamples, in as few bytes as it takes: u1 or u2[I, b]."""
        for block in repeats_in_blocks(len(self.sums.image_id), self.resamples, self.seed, KEPT // 8):
            # So that the images of a group are rows.
            yield np.ascontiguousarray(block.T, np.uint8 if block.max(initial=0) < 2**8 else np.uint16)


def _drawn(rows: GroupedRows, blocks: Iterable[NDArray[np.integer]]) -> Sums:
    """The sums of groups, each from its own images alone."""
    parts: list[list[NDArray[np.float64]]] = [[] for _ in rows.groups]
    for times in blocks:
        for part, start, stop in zip(parts, rows.offset.tolist(), rows.offset[1:].tolist(), strict=False):
            numbers = np.ascontiguousarray(rows.numbers[:, start:stop])
            part.append(numbers @ times[rows.row[start:stop]].astype(np.float64))
    drawn = np.stack([np.concatenate(part, axis=1) for part in parts])
    return {name: drawn[:, number] for number, name in enumerate(rows.columns)}


def draw_with_groups(
    sums: ImageSums, *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[Sums | None, GroupDraws]:
    """Sum the columns over resampled images, see `draw`, and those of groups over the same resamples.

    Returns:
        f8[resamples] by name, None where there is nothing to resample; and what draws groups.
    """
    few = {kind: rows for kind, rows in sums.by.items() if len(rows) <= MANY}
    draws = GroupDraws(sums, resamples, seed, {})
    if not draws:
        return None, draws
    # Few groups have items in many images, and many groups each in few.
    listed = [
        (rows.row[images], column[images])
        for rows in few.values()
        for images in map(slice, rows.offset.tolist(), rows.offset[1:].tolist())
        for column in rows.numbers
    ]
    beside = {str(number): each for number, each in enumerate(listed)}
    drawn = dict(sums.resampled_in_blocks(repeats_in_blocks(len(sums.image_id), resamples, seed), beside))
    of_groups = iter([drawn.pop(name) for name in beside])
    for kind, rows in few.items():
        shape = len(rows), len(rows.columns), resamples
        draws.few[kind] = np.reshape([next(of_groups) for _ in range(shape[0] * shape[1])], shape)
    return drawn, draws
