"""The door for metrics: one declaration says everything that anybody has to know of a metric.

Every metric is computed in two steps. *Columns* give each item, or each query of retrieval, a number, and are summed
per image; the *value* is a function of summed columns. Resampling images, comparing systems and merging runs only ever
need the sums. Tables, gates, comparisons, charts and whatever checks a result file ask the registry, and know no
metric by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Container, Mapping
from dataclasses import field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.records import record
from attneval.errors import ProtocolError, suggestion
from attneval.metrics.populations import REACHED, SCORED

if TYPE_CHECKING:
    import re

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol

Sums = Mapping[str, "NDArray[np.float64]"]
"""Columns summed over images: f8[], or f8[b] for b resamples of the images."""

REGISTRY: dict[str, Metric] = {}
FAMILIES: list[Family] = []
ATTENTION = ("attention", "companion", "ceiling")
"""The groups that are measured on attention maps."""
RETRIEVAL, RELEVANCE = SIMILARITY = ("retrieval", "relevance")
"""The groups that are measured on similarities: over what belongs together, and with relevance sets."""
FAITHFULNESS = "faithfulness"
"""The group that is measured on the scores of perturbed images."""
GROUPS = (*ATTENTION, *SIMILARITY, FAITHFULNESS)
"""The groups of metrics, in the order of tables, which draw a line between two of them."""
TABLES = ("breakdown", "channels", "heads")
"""Tables that show some metrics only: by group of items, by channel and direction, and by head, where there are many
channels and these metrics alone are kept of each."""
RANKED_BY = "f1_lift"
"""The metric that channels are ranked by unless another is named."""
_MODULES = ("attention", "class_means", "spatial", "heat_maps", "retrieval", "relevance", "faithfulness")
PIXELS, BOX = "pixels", "box"
"""What columns may need beside ranked weights: the pixels of enlarged maps, and boxes taken from them."""


@record
class Column:
    """A number for each item, for each query of retrieval, or for each perturbed caption.

    Attributes:
        values: From the `Hits` of p items to f8[p]; for retrieval from the `Ranks` of q queries to f8[q], with
            relevance sets from their `RankedAnswers`; for faithfulness from the curves f[N, K+1] of N captions by name
            to f8[N].
        over: The population it is summed over, `scored` or `items`; for the others the column that counts queries or
            captions.
        against: The sets of keys that items are held against: `relevant`, or `pointing` for what the protocol's
            pointing game accepts.
        at_most: The columns that its sums cannot exceed; the one it is summed over by default.
        oracle: The column whose sums it has for attention to exactly the relevant keys: 1 for each item with a
            relevant key by default.
        signed: True if it may be negative.
        zero_if_unreached: True if an item without a relevant key adds 0, so that its sum over scored items is that over
            all items.
        of_set_alone: True for a number that only depends on the set, so that items without weights have it too. Of
            other columns they have 0.
        needs: `PIXELS` or `BOX`, if it is only computed where the protocol asks for them; empty for always.
    """

    values: Callable[[Any], NDArray[np.float64]]
    over: str = SCORED
    against: str = "relevant"
    at_most: tuple[str, ...] | None = None
    oracle: str = REACHED
    signed: bool = False
    zero_if_unreached: bool = True
    of_set_alone: bool = False
    needs: str = ""

    @property
    def bounds(self) -> tuple[str, ...]:
        """The columns that its sums cannot exceed."""
        return (self.over,) if self.at_most is None else self.at_most


@record
class Metric:
    """A metric, declared.

    Attributes:
        name: The name in results and on the command line.
        title: The name in the table of all metrics.
        group: `attention`, `companion`, `ceiling`, `retrieval`, `relevance` or `faithfulness`; tables keep groups
            together.
        higher_is_better: The direction of what is good.
        definition: A paragraph of what it is, with its edge cases.
        value: From summed columns to the metric; NaN where it is undefined.
        columns: The columns it needs beside the counts of items that are always there.
        beside: Columns of images that are no sums over items, each with the columns that it cannot exceed.
        per: The column that counts what it is a mean over.
        citation: Its source.
        upper: The largest value it can take.
        lower: The smallest.
        unit: `share`, `rank` or `nats`.
        short: Its name in tables where space is short; `name` by default.
        paper: Its name in tables of papers; `title` by default.
        mark: The character of its curve over thresholds; empty if it has none.
        aliases: Other names under which flags and look-ups find it. Tables and files never show them.
        headline: The value of the protocol's `average` under which it is a headline, set in bold; empty for never.
        main: True for the number that stands for its group: never left out where space is short, and what channels
            are compared by.
        tables: By table of `TABLES` that it stands in, its place among the columns, ascending.
        compared: True if comparisons show it unless told otherwise.
        floored: True if each image keeps the sums of every floor, so that the difference to the highest has an
            interval.
        floor_noted: True if results note that it is not significantly above its highest floor where it is a headline;
            metrics of the family are noted everywhere.
        family: True for the headline metrics that make up the family of Holm's adjustment unless metrics are named.
        lift_of: The metric whose difference to what even attention scores on the same items it is.
        by_image: True if single images can be compared by it, and wins, ties and losses mean something.
        resampled: False for a number tuned on its own data, which has no interval.
        tuned: The curve over thresholds whose largest value it is; tables then name the threshold.
        direction: Of retrieval, `i2t` or `t2i`; empty for neither or both.
        k: Of a Recall@K, the K; 0 for other metrics.
        relevance: The relevance set that it holds rankings against; empty for none.
        median_of: The direction whose queries' ranks it is the median of, which is no function of sums.
        baseline: True if it says something about attention that is the same for all items.
        oracle: The fields of the protocol, with their values, under which it says something about attention to exactly
            the relevant keys; None for never.
        perturbed: Of faithfulness, the curve that it is of, `deletion` or `insertion`.
    """

    name: str
    title: str
    group: str
    higher_is_better: bool
    definition: str
    value: Callable[[Sums], NDArray[np.float64]]
    columns: Mapping[str, Column] = field(default_factory=dict)
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    per: str = SCORED
    citation: str = ""
    upper: float = 1.0
    lower: float = 0.0
    unit: str = "share"
    short: str = ""
    paper: str = ""
    mark: str = ""
    aliases: tuple[str, ...] = ()
    headline: str = ""
    main: bool = False
    tables: Mapping[str, int] = field(default_factory=dict)
    compared: bool = False
    family: bool = False
    lift_of: str = ""
    floored: bool = False
    floor_noted: bool = False
    by_image: bool = True
    resampled: bool = True
    tuned: str = ""
    direction: str = ""
    k: int = 0
    relevance: str = ""
    median_of: str = ""
    baseline: bool = True
    oracle: Mapping[str, str] | None = field(default_factory=dict)
    perturbed: str = ""

    def __post_init__(self) -> None:
        if self.group not in GROUPS or not set(self.tables) <= set(TABLES):
            raise ValueError(f"metric {self.name} stands in a group or table that does not exist")

    @property
    def label(self) -> str:
        """Its name where space is short."""
        return self.short or self.name

    @property
    def in_papers(self) -> str:
        """Its name in tables of papers."""
        return self.paper or self.title

    def has_oracle(self, protocol: Protocol) -> bool:
        """Tell whether attention to exactly the relevant keys has a value that is known."""
        return self.oracle is not None and all(getattr(protocol, name) == value for name, value in self.oracle.items())


@record
class Family:
    """Metrics that are declared once for things of any name, which begins the metric's.

    Attributes:
        kinds: By the metric's name without that of the thing, what makes the metric of a thing; in the order of tables.
        name: The form of a thing's name.
        example: What stands for the name where the family is explained.
        made: The metrics that were asked for so far, by name, each with its place in tables.
    """

    kinds: Mapping[str, Callable[[str], Metric]]
    name: re.Pattern[str]
    example: str
    made: dict[str, tuple[tuple[str, int], Metric]] = field(default_factory=dict)

    def find(self, name: str) -> Metric | None:
        """Make the metric of a name; None if it is none of the family's."""
        if name not in self.made:
            for place, (kind, make) in enumerate(self.kinds.items()):
                thing = name.removesuffix(f"_{kind}")
                if thing != name and self.name.fullmatch(thing):
                    self.made[name] = (thing, place), make(thing)
        return self.made[name][1] if name in self.made else None

    def examples(self) -> list[Metric]:
        """Make the metrics of what stands for a name."""
        return [make(self.example) for make in self.kinds.values()]


def register_family(family: Family) -> Family:
    """Add a family to the table."""
    FAMILIES.append(family)
    return family


def family_members(family: Family, thing: str) -> list[Metric]:
    """List all metrics of a family for one thing, in the order of tables."""
    return [metric for kind in family.kinds if (metric := family.find(f"{thing}_{kind}")) is not None]


def families() -> list[Family]:
    """List all families."""
    _declare()
    return FAMILIES


def register(metric: Metric) -> Metric:
    """Add a metric to the table.

    Raises:
        ValueError: One of its names is taken.
    """
    taken = {name for other in REGISTRY.values() for name in (other.name, *other.aliases)}
    twice = taken.intersection((metric.name, *metric.aliases))
    if twice:
        raise ValueError(f"metric {min(twice)} is declared twice")
    REGISTRY[metric.name] = metric
    return metric


def metrics(*groups: str) -> list[Metric]:
    """List all metrics, or those of some groups, by group and then in the order of declaration.

    Of families those are there that anything was asked of before, by name: whoever holds a number of a metric has.
    """
    _declare()
    made = [metric for family in FAMILIES for _, metric in sorted(family.made.values(), key=itemgetter(0))]
    chosen = (metric for metric in (*REGISTRY.values(), *made) if not groups or metric.group in groups)
    return sorted(chosen, key=lambda metric: GROUPS.index(metric.group))


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


def is_computable(metric: Metric, sums: Sums) -> bool:
    """Tell whether sums have all columns that a metric and what it is a mean over are computed from."""
    return metric.per in sums and columns_used(metric, sums) is not None


def columns_used(metric: Metric, sums: Sums) -> set[str] | None:
    """Find the columns that a metric's value is computed from; None if the sums lack any of them."""
    asked = _Asked(sums)
    try:
        metric.value(asked)
    except KeyError:
        return None
    return asked.names


class _Asked(dict[str, "NDArray[np.float64]"]):
    """Sums that remember which columns a metric looked at."""

    def __init__(self, sums: Sums) -> None:
        super().__init__(sums)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        self.names.add(name)
        return super().__getitem__(name)


def ratio(part: str, whole: str) -> Callable[[Sums], NDArray[np.float64]]:
    """Make the value that is one summed column over another."""

    def value(sums: Sums) -> NDArray[np.float64]:
        return divided(sums[part], sums[whole])

    return value


def divided(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute `part / whole`, f8[...] each, NaN where `whole` is not positive."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0))
