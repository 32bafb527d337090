"""The table of all metrics, which tables, gates, comparisons, charts and checks of result files ask.

They know no metric by name. `declaration.py` says what a declaration holds; the modules named here make them.
"""

from __future__ import annotations

import importlib
from operator import itemgetter
from typing import TYPE_CHECKING

from attneval.errors import ProtocolError, suggestion
from attneval.metrics.declaration import ATTENTION, CEILING, GROUPS, SET, Column, Metric
from attneval.metrics.families import FAMILIES, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Container

REGISTRY: dict[str, Metric] = {}
RANKED_BY = "f1_lift"
"""The metric that channels are ranked by unless another is named."""
_PLACES: dict[str, int] = {}
"""The place of each metric's module."""
_MODULES = ("attention", "companions", "class_means", "spatial", "heat_maps", "retrieval", "relevance", "faithfulness")


def families() -> list[Family]:
    """List all families."""
    _declare()
    return FAMILIES


def registrar(module: str) -> Callable[[Metric], Metric]:
    """Get what adds the metrics of a module to the table.

    Args:
        module: Its name. Tables are in the order of `_MODULES`, whichever module is imported first.
    """
    return lambda metric: register(metric, module)


def register(metric: Metric, module: str = "") -> Metric:
    """Add a metric to the table.

    Args:
        metric: The metric.
        module: The name of the module that declares it; of others metrics come last in their group.

    Raises:
        ValueError: One of its names is taken.
    """
    taken = {name for other in REGISTRY.values() for name in (other.name, *other.aliases)}
    twice = taken.intersection((metric.name, *metric.aliases))
    if twice:
        raise ValueError(f"metric {min(twice)} is declared twice")
    REGISTRY[metric.name] = metric
    _PLACES[metric.name] = _MODULES.index(last) if (last := module.rpartition(".")[2]) in _MODULES else len(_MODULES)
    return metric


def metrics(*groups: str) -> list[Metric]:
    """List all metrics, or those of some groups, by group and then in the order of declaration.

    Of families those are there that anything was asked of before, by name: whoever holds a number of a metric has.
    """
    _declare()
    made = [metric for family in FAMILIES for _, metric in sorted(family.made.values(), key=itemgetter(0))]
    chosen = (metric for metric in (*REGISTRY.values(), *made) if not groups or metric.group in groups)
    return sorted(chosen, key=lambda metric: (GROUPS.index(metric.group), _PLACES.get(metric.name, len(_MODULES))))


def _declare() -> None:
    """Import what declares metrics."""
    for module in _MODULES:
        importlib.import_module(f"attneval.metrics.{module}")


def list_metrics(*groups: str) -> list[str]:
    """List the names of all metrics, or of those of some groups, in the order of tables.

    Those of relevance sets, which are named after sets of any name, are not among them.

    Args:
        groups: Any of `attention`, `companion`, `ceiling`, `retrieval` and `faithfulness`; none for all of them.
    """
    return [metric.name for metric in metrics(*groups) if metric.name in REGISTRY]


def in_table(table: str) -> list[Metric]:
    """List the metrics that stand in a table of `TABLES`, in the order of its columns."""
    return sorted((metric for metric in metrics() if table in metric.tables), key=lambda metric: metric.tables[table])


def headline_of(average: str) -> list[Metric]:
    """List the headline metrics of an average of the protocol: F1, precision, recall."""
    return [metric for metric in in_table(SET) if metric.headline == average]


def main_of(group: str) -> Metric:
    """Get the metric that stands for a group."""
    return next(metric for metric in metrics(group) if metric.main)


def ceiling() -> Metric:
    """Get the metric that says how many items have a relevant key at all."""
    return metrics(CEILING)[0]


def find_metric(name: str) -> Metric | None:
    """Find a metric by its name or an alias; None if this attneval has no such metric."""
    if name in REGISTRY:
        return REGISTRY[name]
    known = (metric for metric in metrics() if name == metric.name or name in metric.aliases)
    return next(known, None) or next((made for family in FAMILIES if (made := family.find(name))), None)


def metric_named(name: str) -> Metric:
    """Get a metric by its name or an alias.

    Raises:
        ProtocolError: There is no such metric.
    """
    metric = find_metric(name)
    if metric is None:
        names = [name for metric in metrics() for name in (metric.name, *metric.aliases)]
        hint = suggestion(name, names, "attneval explain lists all")
        raise ProtocolError(f"metric {name!r} does not exist", hint=hint)
    return metric


def columns(*groups: str) -> dict[str, Column]:
    """Gather the columns that some groups of metrics need, by name."""
    return {name: column for metric in metrics(*groups) for name, column in metric.columns.items()}


def beside_bounds() -> dict[str, tuple[str, ...]]:
    """List the columns of attention that are no sums over items, each with the columns that it cannot exceed."""
    return {name: bounds for metric in metrics(*ATTENTION) for name, bounds in metric.beside.items()}


def computable_columns(at_hand: Container[str]) -> dict[str, Column]:
    """Gather the columns of attention that need nothing beside ranked weights but what is at hand, by name.

    Args:
        at_hand: Some of `PIXELS` and `BOX`.
    """
    return {name: column for name, column in columns(*ATTENTION).items() if not column.needs or column.needs in at_hand}


def median_column(direction: str) -> str:
    """Name the place of a direction's median rank among sums, where it stands although it is no sum."""
    return f"{direction}_medr"
