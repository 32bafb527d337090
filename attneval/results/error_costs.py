"""What each kind of error costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attneval.results.items import KINDS, SPILLED, UNREACHABLE, ItemTable


@dataclass(frozen=True)
class Cost:
    """What one kind of error costs.

    Attributes:
        kind: One of `KINDS`.
        items: How many items have it.
        f1: How much higher the mean F1 would be without it; None for what no attention could repair.
    """

    kind: str
    items: int
    f1: float | None


def costs(table: ItemTable) -> list[Cost]:
    """What each kind of error costs in F1, fixing one kind at a time.

    A spilled item is fixed by attending to nothing else (its recall stays), any other by attending to exactly the
    relevant regions. The costs do not add up to what is missing to 1 exactly, since F1 is no sum.
    """
    scored = table.scored
    count = max(int(scored.sum()), 1)
    recall, f1 = table.item_scores[:, 1].astype(np.float64), table.item_scores[:, 2].astype(np.float64)
    fixed = np.where(table.item_kind == SPILLED, 2 * recall / (1 + recall), 1.0)
    found = []
    for number, kind in enumerate(KINDS):
        own = table.item_kind == number
        gain = float(np.sum((fixed - f1)[own & scored])) / count
        lost = number == UNREACHABLE and not (own & scored).any()
        found.append(Cost(kind, int(own.sum()), None if lost else gain))
    return found
