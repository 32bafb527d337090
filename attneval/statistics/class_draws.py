"""`class_sums` of what `GroupDraws` draws of all classes, to rounding, where there are thousands of them.

Most classes have items in one image alone. However often that is drawn, the mean of the class is the same, so that all
these classes are one product: of whether an image is drawn, with the means of its classes. The others are products of
their images' sums, as in `GroupDraws`, but of the columns alone that are averaged, and of each class one quotient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.metrics.class_means import AVERAGED, CLASSES, PREFIX
from attneval.metrics.populations import SCORED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Sums
    from attneval.statistics.group_sums import GroupedRows
    from attneval.statistics.resamples import Resamples, Times

AT_ONCE = 128
"""Images of classes that are drawn together: few enough for the cache, with as many resamples as there are mostly."""


def resampled_class_sums(classes: GroupedRows, resamples: Resamples) -> Sums:
    """Add up the means of classes over resampled images: f8[b] by name, see `class_sums`.

    Args:
        classes: The sums of classes.
        resamples: The resamples, of which there are some.
    """
    names = [name for name in AVERAGED if name in classes.columns]
    numbers = classes.numbers[[classes.columns.index(name) for name in (SCORED, *names)]]
    added = _added(classes, numbers, resamples.by_image)
    return dict(zip((CLASSES, *(PREFIX + name for name in names)), added, strict=True))


def _added(classes: GroupedRows, numbers: NDArray[np.float64], blocks: Iterable[Times]) -> NDArray[np.float64]:
    """The number of classes that have an item, and the sums of their means: f8[c, b].

    Args:
        classes: The classes.
        numbers: f8[c, k], how many items there are and the sums of c - 1 columns.
        blocks: How often each image counts in some of the resamples, [I, b].
    """
    tables = list(_by_size(classes, numbers))
    parts = []
    for times in blocks:
        added = np.zeros((len(numbers), times.shape[1]))
        for row, sums in tables:
            if row.shape[1] == 1:
                added += _drawn_alone(row[:, 0], sums[..., 0], times)
                continue
            drawn = sums @ times[row].astype(np.float64)
            there = drawn[:, 0] > 0
            drawn[:, 1:] *= np.divide(1, drawn[:, 0], out=np.zeros(there.shape), where=there)[:, None]
            drawn[:, 0] = there
            added += drawn.sum(axis=0)
        parts.append(added)
    return np.concatenate(parts, axis=1)


def _by_size(
    classes: GroupedRows, numbers: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield some classes with equally many images: the rows of these i8[g, n], and their numbers f8[g, c, n]."""
    for size in distinct_values(classes.sizes).tolist():
        first = classes.offset[:-1][classes.sizes == size]
        step = len(first) if size == 1 else max(AT_ONCE // size, 1)
        for chosen in (first[start : start + step] for start in range(0, len(first), step)):
            place = chosen[:, None] + np.arange(size)
            yield classes.row[place], np.ascontiguousarray(np.moveaxis(numbers[:, place], 0, 1))


def _drawn_alone(row: NDArray[np.int64], numbers: NDArray[np.float64], times: Times) -> NDArray[np.float64]:
    """What classes add that have items in one image each, whose rows are i8[g] and whose numbers f8[g, c]: f8[c, b]."""
    count = numbers[:, :1]
    means = np.divide(numbers, count, out=np.zeros(numbers.shape), where=count > 0)  # 1 for the class itself
    table = [np.bincount(row, column, len(times)) for column in means.T]
    return np.asarray(np.array(table) @ (times > 0).astype(np.float64))
