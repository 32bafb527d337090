"""Floors: what attention that knows nothing of the item would score, and the columns that sum it by image.

- `uniform`: even attention; as a set all keys, as a ranking all tied;
- `center`: all weight on the regions nearest the centre of the image;
- `shuffled`: the model's attention held against the other entities of the image.

Retrieval with relevance sets has one floor, whose columns are declared with its metrics:

- `chance`: an order that knows nothing, all answers tied.

Of the metrics that are `floored` each image keeps, beside the model's sums, those of every floor, and the model's over
the items that shuffled attention has a score for (`paired`), so that differences can be resampled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.metrics.declaration import ATTENTION
from attneval.metrics.populations import COUNTED, SCORED, SHUFFLED
from attneval.metrics.registry import columns, metrics

if TYPE_CHECKING:
    from attneval.metrics.declaration import Metric, Sums

UNIFORM, CENTER, SHUFFLED_ATTENTION = FLOORS = ("uniform", "center", "shuffled")
"""The floors of attention, in the order of tables."""
CHANCE = "chance"
"""The floor of retrieval with relevance sets."""


def floor_column(floor: str, column: str) -> str:
    """Name the column that sums what a floor scores."""
    return f"{floor}_{column}"


def paired_column(column: str) -> str:
    """Name the column that sums what the model scores on the items that shuffled attention has a score for."""
    return f"paired_{column}"


def floored_columns() -> list[str]:
    """List the columns of which each image keeps the sums of every floor."""
    return list(dict.fromkeys(name for metric in metrics(*ATTENTION) if metric.floored for name in metric.columns))


def breakdown_columns() -> list[str]:
    """List the columns that groups keep by image: those of what breakdowns show, and the floors of the main metric."""
    shown = [metric for metric in metrics(*ATTENTION) if "breakdown" in metric.tables]
    names = [name for metric in shown for name in metric.columns] + list(COUNTED)
    for name in [name for metric in shown if metric.main for name in metric.columns]:
        names += [*(floor_column(floor, name) for floor in FLOORS), paired_column(name)]
    return list(dict.fromkeys(names))


def floor_bounds() -> dict[str, tuple[str, ...]]:
    """List the columns of floors, each with the columns that it cannot exceed."""
    specs = columns(*ATTENTION)
    bounds: dict[str, tuple[str, ...]] = {}
    for name in floored_columns():
        for floor in FLOORS:
            of_floor = {most: floor_column(floor, most) for most in specs[name].bounds}
            over = SHUFFLED if floor == SHUFFLED_ATTENTION else SCORED
            bounds[floor_column(floor, name)] = tuple(over if m == SCORED else each for m, each in of_floor.items())
        of_paired = {most: paired_column(most) for most in specs[name].bounds}
        bounds[paired_column(name)] = tuple(SHUFFLED if m == SCORED else each for m, each in of_paired.items())
    return bounds


def floor_sums(metric: Metric, floor: str, sums: Sums) -> tuple[Sums, Sums] | None:
    """Choose the sums of a metric's columns, of the model and of a floor over the same items.

    Args:
        metric: A metric that is `floored`.
        floor: One of `FLOORS`, or `CHANCE`.
        sums: Columns summed over images: f8[...] by name.

    Returns:
        The model's sums and the floor's; None where there is no such floor.
    """
    if floor == CHANCE:
        scored = {name: other for name in metric.columns if (other := floor_column(CHANCE, name)) in metric.columns}
        if not scored or not all(name in sums for name in metric.columns):
            return None
        return sums, {**sums, **{name: sums[other] for name, other in scored.items()}}
    names = {name: floor_column(floor, name) for name in metric.columns}
    needed = [*names.values(), *(map(paired_column, metric.columns) if floor == SHUFFLED_ATTENTION else ())]
    if not all(name in sums for name in needed):
        return None
    of_floor = {**sums, **{name: sums[other] for name, other in names.items()}}
    if floor != SHUFFLED_ATTENTION:
        return sums, of_floor
    over = {SCORED: sums[SHUFFLED]}
    return {**sums, **{name: sums[paired_column(name)] for name in metric.columns}, **over}, {**of_floor, **over}


def highest_floor(metric: Metric, sums: Sums) -> str | None:
    """Find the floor with the best value of a metric; None where it has none.

    Args:
        metric: A metric.
        sums: Columns summed over images: f8[] by name.
    """
    values: dict[str, float] = {}
    for floor in (*FLOORS, CHANCE) if metric.floored else ():
        pair = floor_sums(metric, floor, sums)
        value = float("nan") if pair is None else float(metric.value(pair[1]))
        if value == value:  # noqa: PLR0124 - NaN is not itself
            values[floor] = value
    best = max if metric.higher_is_better else min
    return best(values, key=values.__getitem__) if values else None
