"""What a metric is: one declaration with its name, its meaning and how it comes out of sums over items.

Every metric of attention is computed in two steps. *Columns* give each item a number, and are summed per image; the
*value* is a function of summed columns. Resampling images, comparing systems and merging runs only ever need the sums.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sums = Mapping[str, "NDArray[np.float64]"]
"""Columns summed over images: f8[], or f8[b] for b resamples of the images."""

REGISTRY: dict[str, Metric] = {}
GROUPS = ("attention", "companion", "ceiling", "retrieval")
"""The groups of metrics, in the order of tables."""
_MODULES = ("attention", "retrieval")


@dataclass(frozen=True)
class Column:
    """A number for each item.

    Attributes:
        of: From judged items to f8[p]; for retrieval, from ranks to one number per image.
        over: Which items count: `scored` (those with a relevant key, or all under `unreachable=zero`) or `items`.
        against: Which sets of keys items are judged against: `relevant`, or `pointing` for what the protocol's
            pointing game accepts.
        counts_keys: Whether it is a number of keys; attention to exactly the relevant ones then has as many as are
            relevant. Of the others it has 1.
        of_set_alone: Whether it only depends on the set, so that items without weights have it too. Of the others
            they have 0.
    """

    of: Callable[[Any], NDArray[np.float64]]
    over: str = "scored"
    against: str = "relevant"
    counts_keys: bool = False
    of_set_alone: bool = False


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: The name in results and on the command line.
        title: The name in tables.
        group: `attention`, `companion`, `ceiling` or `retrieval`; tables keep groups together.
        higher_is_better: The direction.
        definition: What it is, in a paragraph, with its edge cases.
        value: From summed columns to the metric; NaN where it is undefined.
        columns: The columns it needs beside the counts of items that are always there.
        per: The column that counts what it is a mean over.
        citation: Where it comes from.
        upper: The largest value it can take.
        lower: The smallest.
        resampled: Whether it has an interval; a number tuned on its own data has none.
        unit: `share`, `rank` or `nats`.
        baseline: Whether it says something about the baselines.
    """

    name: str
    title: str
    group: str
    higher_is_better: bool
    definition: str
    value: Callable[[Sums], NDArray[np.float64]]
    columns: Mapping[str, Column] = field(default_factory=dict)
    per: str = "scored"
    citation: str = ""
    upper: float = 1.0
    lower: float = 0.0
    resampled: bool = True
    unit: str = "share"
    baseline: bool = True


def register(metric: Metric) -> Metric:
    """Add a metric to the table."""
    if metric.name in REGISTRY:
        raise ValueError(f"metric {metric.name} is declared twice")
    REGISTRY[metric.name] = metric
    return metric


def metrics(*groups: str) -> list[Metric]:
    """All metrics, or those of some groups, by group and then in the order of declaration."""
    for module in _MODULES:
        importlib.import_module(f"attneval.metrics.{module}")
    found = (metric for metric in REGISTRY.values() if not groups or metric.group in groups)
    return sorted(found, key=lambda metric: GROUPS.index(metric.group))


def columns(*groups: str) -> dict[str, Column]:
    """The columns that some groups of metrics need."""
    return {name: column for metric in metrics(*groups) for name, column in metric.columns.items()}


def ratio(part: str, whole: str) -> Callable[[Sums], NDArray[np.float64]]:
    """The value that is one summed column over another."""

    def value(sums: Sums) -> NDArray[np.float64]:
        return divided(sums[part], sums[whole])

    return value


def divided(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part / whole`, NaN where `whole` is not positive."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0))
