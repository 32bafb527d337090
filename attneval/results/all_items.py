"""A result over all items: what can be compared although systems attend to different regions.

Which items are reachable depends on the regions. Over all items an unreachable one scores 0, which most sums of scored
items already say: only the count that they are divided by is another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import MismatchError
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.floors import FLOORS, SHUFFLED_ATTENTION, floor_column, floored_columns, paired_column
from attneval.metrics.populations import ITEMS, SCORED, SHUFFLED, SHUFFLED_F1
from attneval.metrics.ranks import TEXT_TO_IMAGE
from attneval.metrics.registry import columns, metrics
from attneval.results.scores import Measured
from attneval.results.summary import measure_all
from attneval.statistics.image_sums import ImageSums

if TYPE_CHECKING:
    from attneval.results.result import Result


def over_all_items(result: Result) -> Result:
    """Take a result's headline over all items, unreachable ones scoring 0.

    What the sums of scored items cannot give is undefined: it depends on what unreachable items attend to (micro
    precision and F1, entropy), on the items that have a value (auc), or on the other entities that regions reach
    (specificity). A result under `unreachable=zero` is over all items already.

    Raises:
        MismatchError: Its items are regions, so that other regions are other items.
    """
    sums = result.scores.sums
    if not result.scores.has_attention:
        return result
    if result.protocol.directions[0] != TEXT_TO_IMAGE:
        raise MismatchError(
            f"{result.name} has direction {result.protocol.directions[0]}, whose items are regions: systems with "
            "different regions have no items in common",
            hint=f"score with direction {TEXT_TO_IMAGE}",
        )
    if np.array_equal(sums.columns[SCORED], sums.columns[ITEMS]):
        return result
    unknown = _unknown()
    kept = {name: column for name, column in sums.columns.items() if name not in unknown}
    every = ImageSums(sums.image_id, kept | {SCORED: sums.columns[ITEMS]}, sums.ranks)
    measured = measure_all(metrics(), every.total())
    values = {name: measured.get(name, Measured(None, 0)) for name in result.metrics}
    return replace(result, scores=replace(result.scores, sums=every, metrics=values))


def _unknown() -> set[str]:
    """The columns whose sums over scored items say nothing of all items."""
    names = {name for name, column in columns(*ATTENTION).items() if not column.zero_if_unreached}
    floors = {make(name) for name in floored_columns() for make in (_shuffled_column, paired_column)}
    floors |= {floor_column(floor, name) for name in names for floor in FLOORS}
    return names | floors | {SHUFFLED, SHUFFLED_F1}


def _shuffled_column(name: str) -> str:
    return floor_column(SHUFFLED_ATTENTION, name)
