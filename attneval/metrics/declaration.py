"""A metric as one declaration, which says everything that anybody has to know of it.

Every metric is computed in two steps. *Columns* give each item, or each query of retrieval, a number, and are summed
per image; the *value* is a function of summed columns. Resampling images, comparing systems and merging runs only ever
need the sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from attneval.arrays.records import record
from attneval.metrics.populations import REACHED, SCORED

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol

CEILING = "ceiling"
"""The group of what limits others: how many items have a relevant key at all."""
ATTENTION = ("attention", "companion", CEILING)
"""The groups that are measured on attention maps."""
RETRIEVAL, RELEVANCE = SIMILARITY = ("retrieval", "relevance")
"""The groups that are measured on similarities: over what belongs together, and with relevance sets."""
FAITHFULNESS = "faithfulness"
"""The group that is measured on the scores of perturbed images."""
GROUPS = (*ATTENTION, *SIMILARITY, FAITHFULNESS)
"""The groups of metrics, in the order of tables, which draw a line between two of them."""
QUESTIONS = SET, ORDER, PEAK, AMOUNT, WORD, USE, SPREAD = ("set", "order", "peak", "amount", "word", "use", "spread")
"""What one asks of attention, each with a table on the page of a result: is the attended set right, do relevant keys
rank first, is the largest weight right, how much weight is right, does it depend on the word, does the model's score
follow it, how far is it spread. What stands first answers the question where there is room for one number."""
TABLES = ("breakdown", "channels", "heads", "page breakdown", "page channels", *QUESTIONS)
"""Tables that show some metrics only: by group of items, by channel and direction, and by head, where there are many
channels and these metrics alone are kept of each; on the page of a result, by group and by channel, and by question."""
Sums = Mapping[str, "NDArray[np.float64]"]
"""Columns summed over images: f8[], or f8[b] for b resamples of the images."""
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
        page: Its name on the page of a result; `title` by default.
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
        difference_to: What it is a difference to, so that its floor is 0; empty for what is no difference.
        group_floor: The floor that groups of items are held against on the page of a result.
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
    page: str = ""
    mark: str = ""
    aliases: tuple[str, ...] = ()
    headline: str = ""
    main: bool = False
    tables: Mapping[str, int] = field(default_factory=dict)
    compared: bool = False
    family: bool = False
    lift_of: str = ""
    difference_to: str = ""
    group_floor: str = "uniform"
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

    @property
    def on_page(self) -> str:
        """Its name on the page of a result."""
        return self.page or self.title

    @property
    def of_sets(self) -> bool:
        """True for what is measured on attended sets; even attention attends to everything there."""
        return bool(self.headline)

    def has_oracle(self, protocol: Protocol) -> bool:
        """Tell whether attention to exactly the relevant keys has a value that is known."""
        return self.oracle is not None and all(getattr(protocol, name) == value for name, value in self.oracle.items())
