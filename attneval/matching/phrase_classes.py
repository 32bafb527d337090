"""Classes of phrases that annotations with categories tell apart, for breakdowns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.config.breakdowns import INSTANCES, NUMBERS, THINGS
from attneval.groundtruth.columns import PLURAL, SINGULAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth


@record
class Classes:
    """One way to tell phrases or items apart.

    Attributes:
        names: The names of the classes.
        row: i8[n], the class of each, or -1.
    """

    names: tuple[str, ...]
    row: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Classes:
        """The classes of phrases i8[k], in that order."""
        return Classes(self.names, self.row[rows])


def phrase_classes(truth: GroundTruth) -> dict[str, Classes]:
    """Find the classes of all phrases, by the name of the breakdown; none for annotations without categories."""
    if not truth.categories:
        return {}
    # What is indexed with -1, the class of no category, is the last entry.
    category = truth.phrase_category
    groups = tuple(dict.fromkeys(name for name in truth.category_groups if name))
    group = np.array([*(groups.index(name) if name else -1 for name in truth.category_groups), -1], np.int64)
    thing = np.append(np.where(truth.category_things < 0, -1, 1 - truth.category_things), -1)
    number = np.select([(truth.phrase_flags & SINGULAR) > 0, (truth.phrase_flags & PLURAL) > 0], [0, 1], -1)
    boxes = np.append(np.diff(truth.box_offset), 0)[truth.phrase_entity]
    return {
        "category": Classes(truth.categories, category),
        "supercategory": Classes(groups, group[category]),
        "thing": Classes(THINGS, thing[category]),
        "number": Classes(NUMBERS, number),
        "instances": Classes(INSTANCES, np.where(boxes > 0, np.minimum(boxes, 2) - 1, -1)),
    }
