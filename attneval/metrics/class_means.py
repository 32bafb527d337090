"""Means over classes: of each class the mean over its items, so that frequent classes count no more than rare ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.metrics.declaration import SET, Metric
from attneval.metrics.populations import SCORED
from attneval.metrics.registry import registrar
from attneval.metrics.values import ratio

if TYPE_CHECKING:
    from attneval.metrics.declaration import Sums

register = registrar(__name__)

AVERAGED = {"precision": "Precision", "recall": "Recall", "f1": "F1", "pointing": "pointing game"}
"""The metrics that are averaged over classes, with their titles."""
_IN_SET = {"precision": 20, "recall": 30, "f1": 10}
CLASSES = "classes"
"""The column that counts classes with a scored item."""
PREFIX = "class_"


def class_sums(classes: Sums) -> Sums:
    """Add up the means of classes, one after the other.

    Args:
        classes: The sums of each class, f8[g] or f8[g, b] by column.

    Returns:
        The sums over classes of their means, and how many classes have a scored item, f8[] or f8[b]; nothing without
        any class.
    """
    count = classes.get(SCORED, np.zeros(0))
    if not len(count):
        return {}
    there = count > 0
    added = {CLASSES: np.asarray(there.sum(axis=0), np.float64)}
    for name in AVERAGED:
        if name in classes:
            mean = np.divide(classes[name], count, out=np.zeros(count.shape), where=there)
            # numpy's sum would add up in another order.
            added[PREFIX + name] = np.asarray(np.cumsum(mean, axis=0)[-1])
    return added


for _name, _title in AVERAGED.items():
    register(
        Metric(
            name=PREFIX + _name,
            title=f"class mean {_title}",
            headline="class" if _name in _IN_SET else "",
            tables={SET: _IN_SET[_name]} if _name in _IN_SET else {},
            group="attention",
            higher_is_better=True,
            definition=f"The mean over classes of the mean of {_name} over the items of a class: a phrase's category, "
            "or what --classes says of its last word, or else that word. Computed under average=class.",
            citation="Zhou et al., Grounded Video Description, CVPR 2019",
            value=ratio(PREFIX + _name, CLASSES),
            per=CLASSES,
            by_image=False,
            baseline=False,
        )
    )
