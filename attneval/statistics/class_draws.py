"""`class_sums` of what `GroupDraws` draws of all classes, to rounding, where there are thousands of them.

Most classes have items in one image alone. However often that is drawn, the mean of the class is the same, so that all
these classes are one product: of whether an image is drawn, with the means of its classes. The others are products of
their images' sums, as in `GroupDraws`, but of the columns alone that are averaged, and of each class one quotient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.class_means import AVERAGED, CLASSES, PREFIX, class_sums
from attneval.metrics.populations import SCORED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Sums
    from attneval.statistics.group_draws import GroupDraws
    from attneval.statistics.group_sums import GroupedRows

KIND = "category"
"""The breakdown whose groups are the classes."""


def resampled_class_sums(draws: GroupDraws) -> Sums:
    """Add up the means of classes over resampled images: f8[b] by name, see `class_sums`.

    Args:
        draws: What draws the classes.

    Returns:
        As `class_sums` does.
    """
    classes = draws.sums.by.get(KIND)
    if not draws or classes is None or not len(classes):
        return {}
    if KIND in draws.few:
        _, drawn = next(draws.of(KIND, classes.groups))
        return class_sums(drawn)
    names = [name for name in AVERAGED if name in classes.columns]
    numbers = classes.numbers[[classes.columns.index(name) for name in (SCORED, *names)]]
    added = _added(classes, numbers, draws.times())
    return dict(zip((CLASSES, *(PREFIX + name for name in names)), added, strict=True))


def _added(
    classes: GroupedRows, numbers: NDArray[np.float64], blocks: Iterable[NDArray[np.integer]]
) -> NDArray[np.float64]:
    """The number of classes that have an item, and the sums of their means: f8[c, b].

    Args:
        classes: The classes.
        numbers: f8[c, k], how many items there are and the sums of c - 1 columns.
        blocks: How often each image counts in some of the resamples, [I, b].
    """
    alone = classes.offset[:-1][classes.sizes == 1]
    several = [
        (slice(start, stop), np.ascontiguousarray(numbers[:, start:stop]))
        for start, stop in zip(classes.offset.tolist(), classes.offset[1:].tolist(), strict=False)
        if stop - start > 1
    ]
    count = numbers[0, alone]
    # 1 for the class itself, and its means.
    of_images = [np.where(count > 0, column / np.where(count > 0, count, 1), 0) for column in numbers[:, alone]]
    parts = []
    for times in blocks:
        table = [np.asarray(np.bincount(classes.row[alone], column, len(times)), np.float64) for column in of_images]
        added = np.matmul(np.array(table), (times > 0).astype(np.float64))
        for images, own in several:
            drawn = own @ times[classes.row[images]].astype(np.float64)
            there = drawn[0] > 0
            drawn *= np.divide(1, drawn[0], out=np.zeros(len(there)), where=there)
            drawn[0] = there
            added += drawn
        parts.append(added)
    return np.concatenate(parts, axis=1)
