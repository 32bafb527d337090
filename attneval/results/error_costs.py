"""The costs of each kind of error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attneval.metrics.set_scores import F1, RECALL
from attneval.results.items import KINDS, SPILLED, UNREACHABLE, ItemTable


@dataclass(frozen=True)
class Cost:
    """The cost of one kind of error.

    Attributes:
        kind: One of `KINDS`.
        items: The number of items that have it.
        f1: The gain in mean F1 without it; None for what no attention could repair.
    """

    kind: str
    items: int
    f1: float | None


def costs(table: ItemTable) -> list[Cost]:
    """Compute what each kind of error costs in F1, fixing one kind at a time.

    A spilled item is fixed by attending to nothing else (its recall stays), any other by attending to exactly the
    relevant regions. The costs do not add up to what is missing to 1 exactly, since F1 is no sum.
    """
    scored = table.scored
    count = max(int(scored.sum()), 1)
    recall, f1 = table.score(RECALL), table.score(F1)
    fixed = np.where(table.item_kind == SPILLED, 2 * recall / (1 + recall), 1.0)
    listed = []
    for number, kind in enumerate(KINDS):
        of_kind = table.item_kind == number
        gain = float(np.sum((fixed - f1)[of_kind & scored])) / count
        lost = number == UNREACHABLE and not (of_kind & scored).any()
        listed.append(Cost(kind, int(of_kind.sum()), None if lost else gain))
    return listed
