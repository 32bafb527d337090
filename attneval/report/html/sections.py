"""The sections between the verdict and the items: breakdowns, errors, channels, retrieval."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.metrics.declaration import FAITHFULNESS, RETRIEVAL
from attneval.metrics.floors import CHANCE
from attneval.metrics.registry import ceiling, find_metric, in_table, main_of, metrics
from attneval.report.html.names import is_of_sets, metric_title
from attneval.report.html.number import Number
from attneval.report.html.view import Channel, Floor, Lift, Measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.report.html.model import Source
    from attneval.report.html.number import Sentence
    from attneval.results.items import ItemTable

BREAKDOWN_TITLES = {"type": "Phrase type", "area": "Box area, share of the image", "length": "Words in the phrase"}
GROUP_TITLES = {"small": "small, < 5 %", "medium": "medium", "large": "large, \u2265 25 %"}
MEANINGS = {
    "right": "exactly the relevant regions",
    "narrow": "only relevant regions, not all of them",
    "spilled": "relevant regions and others",
    "wrong entity": "another entity of the caption",
    "wrong instance": "another entity of the same type",
    "missed": "none of these",
    "unreachable": "no region is relevant",
}
BINS = 20
FEW_IMAGES, FEW_ITEMS = 30, 100
"""Below so many images, or where their number is not known items, a group has no state."""


@dataclass(frozen=True)
class GroupRow:
    """A group of items in a breakdown, and its metrics.

    Attributes:
        name: The group.
        items: How many items it has.
        images: How many images they are of; None where the result does not tell.
        few: Whether too few images stand behind it to judge it.
        measures: One per column of the breakdown.
    """

    name: str
    items: Number
    images: Number | None
    few: bool
    measures: tuple[Measure, ...]


@record
class Breakdown:
    """Groups of one kind, as annotated."""

    title: str
    rows: tuple[GroupRow, ...]


@dataclass(frozen=True)
class KindRow:
    """A kind of error.

    Attributes:
        name: The kind.
        meaning: What such an item attends to.
        items: How many there are.
        share: Of all items.
        gain: By how much the mean F1 would rise without it.
    """

    name: str
    meaning: str
    items: Number
    share: Number
    gain: Number


@dataclass(frozen=True)
class Errors:
    """The errors of the items, by kind.

    Attributes:
        kinds: In the order of the docs.
        bins: How many scored items have an F1 in each bin of 5 points.
        scored: How many items count in F1.
        mean: Their mean F1.
    """

    kinds: tuple[KindRow, ...]
    bins: tuple[int, ...]
    scored: Number
    mean: Number


@dataclass(frozen=True)
class Heads:
    """The channels of a result.

    Attributes:
        channels: In the order of the export.
        metrics: Name and title of the metrics that can be chosen, the first shown first.
        floors: By metric, the floor that all channels share, where one is known.
        headline: By metric, the value of the mean of the maps.
    """

    channels: tuple[Channel, ...]
    metrics: tuple[tuple[str, str], ...]
    floors: dict[str, Floor]
    headline: dict[str, Measure]


@dataclass(frozen=True)
class RetrievalDirection:
    """Recall@K in one direction."""

    title: str
    median: Number | None
    mean: Number | None
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Retrieval:
    """Retrieval in both directions."""

    directions: tuple[RetrievalDirection, ...]
    rsum: Measure | None
    facts: Sentence


def faithfulness(source: Source) -> tuple[tuple[Measure, Number], ...]:
    """The gaps that scores of perturbed images leave, each with the number of captions behind it."""
    measures = []
    for metric in metrics(FAITHFULNESS):
        measure = source.measure(metric.name)
        count = source.number("metrics", metric.name, "n", style="count")
        if measure is not None and count is not None:
            measures.append((measure, count))
    return tuple(measures)


def breakdowns(source: Source) -> tuple[Breakdown, ...]:
    """The groups of items that the result tells apart."""
    names, counted = [metric.name for metric in in_table("page breakdown")], ceiling().name
    made = []
    for kind, groups in (source.at("by") or {}).items():
        rows = []
        for group in groups:
            measures = [source.group_measure(kind, group, name) for name in names]
            shown = tuple(measure for measure in measures if measure is not None)
            items = source.number("by", kind, group, counted, "n", style="count")
            if shown and items is not None:
                images = source.number("by_images", kind, group, style="count")
                few = (items.value or 0) < FEW_ITEMS if images is None else (images.value or 0) < FEW_IMAGES
                rows.append(GroupRow(GROUP_TITLES.get(group, group), items, images, few, shown))
        if rows:
            made.append(Breakdown(BREAKDOWN_TITLES.get(kind, kind.capitalize()), tuple(rows)))
    return tuple(made)


def errors(table: ItemTable) -> Errors:
    """Kinds of errors with what they cost, and how F1 is spread over items."""
    from attneval.results.error_costs import costs

    total = max(len(table), 1)
    rows = []
    for cost in costs(table):
        place = f"items:/kinds/{cost.kind}"
        rows.append(
            KindRow(
                cost.kind,
                MEANINGS.get(cost.kind, ""),
                Number(cost.items, f"{place}/items", style="count"),
                Number(cost.items / total, f"{place}/share"),
                Number(cost.f1, f"{place}/gain", style="signed"),
            )
        )
    f1 = table.item_scores[table.scored, 2].astype(np.float64)
    bins, _ = np.histogram(f1, BINS, (0.0, 1.0))
    mean = float(f1.mean()) if len(f1) else None
    scored = Number(len(f1), "items:/scored", style="count")
    return Errors(tuple(rows), tuple(bins.tolist()), scored, Number(mean, "items:/f1"))


def heads(source: Source) -> Heads | None:
    """The channels, if the result holds several."""
    known = [metric.name for metric in in_table("page channels")]
    channels = source.channels(known)
    if not channels:
        return None
    names = [name for name in known if all(name in channel.measures for channel in channels)]
    if not names:
        return None
    floors: dict[str, Floor] = {}
    for name in names:
        best = channels[0].measures[name].best_floor
        if best is not None and (source.everything_known or not is_of_sets(name)):
            floors[name] = best
    headline = {name: m for name in names if (m := source.measure(name)) is not None}
    return Heads(tuple(channels), tuple((name, metric_title(name)) for name in names), floors, headline)


def retrieval(source: Source) -> Retrieval | None:
    """Recall@K in both directions, against the chance of an arbitrary order."""
    titles = {
        "i2t": "Image to text: one of the image\u2019s captions among the K best.",
        "t2i": "Text to image: the caption\u2019s image among the K best.",
    }
    chance = _chances(source)
    directions = []
    for direction, title in titles.items():
        asked = [metric for metric in metrics(RETRIEVAL) if metric.direction == direction]
        measures = [
            _against_chance(measure, metric.label, chance.get((direction, metric.k)))
            for metric in asked
            if metric.k and (measure := source.measure(metric.name)) is not None
        ]
        if measures:
            ranks = {
                bool(metric.median_of): source.number("metrics", metric.name, "value", style="rank")
                for metric in asked
                if metric.unit == "rank"
            }
            directions.append(RetrievalDirection(title, ranks.get(True), ranks.get(False), tuple(measures)))
    directions += _relevance_sets(source)
    if not directions:
        return None
    images = source.number("counts", "retrieval_images", style="count")
    captions = source.number("counts", "retrieval_captions", style="count")
    facts = (images, " images, ", captions, " captions. ") if images and captions else ()
    facts = (*facts, "The gallery is fixed; queries are resampled.")
    return Retrieval(tuple(directions), source.measure(main_of(RETRIEVAL).name), facts)


def _relevance_sets(source: Source) -> list[RetrievalDirection]:
    """The metrics of each relevance set in each direction, against chance."""
    asked = {"i2t": "image to text", "t2i": "text to image"}
    grouped: dict[tuple[str, str], list[Measure]] = {}
    for name in source.metric_names():
        metric = find_metric(name)
        measure = source.measure(name, floors=(CHANCE,)) if metric is not None and metric.relevance else None
        if metric is not None and measure is not None:
            grouped.setdefault((metric.relevance, metric.direction), []).append(replace(measure, title=metric.label))
    return [
        RetrievalDirection(f"Relevance set {name}, {asked[direction]}.", None, None, tuple(measures))
        for (name, direction), measures in grouped.items()
    ]


def _chances(source: Source) -> dict[tuple[str, int], float]:
    """Recall@K of an arbitrary order, where every query is ranked against the whole gallery."""
    lists: Sequence[Sequence[float]] = source.at("per_image", "t2i_ranks") or ()
    captions = [len(ranks) for ranks in lists if ranks]
    images, total = len(captions), sum(captions)
    if not images or source.protocol.folds != 1 or total != source.at("counts", "retrieval_captions"):
        return {}
    chances = {}
    for k in (1, 5, 10):
        chances["t2i", k] = min(k / images, 1.0)
        misses = [math.comb(total - count, k) / math.comb(total, k) if k <= total else 0.0 for count in captions]
        chances["i2t", k] = 1 - sum(misses) / images
    return chances


def _against_chance(measure: Measure, title: str, chance: float | None) -> Measure:
    if chance is None:
        return Measure(measure.name, title, measure.value, measure.low, measure.high)
    place = f"chance:/{measure.name}"
    floor = Floor("chance", "", "chance", Number(chance, place))

    def off(number: Number | None) -> Number | None:
        if number is None:
            return None
        return Number((number.value or 0.0) - chance, number.source, minus=place, style="signed")

    value = off(measure.value) or Number(None)
    lift = Lift(value, off(measure.low), off(measure.high), paired=True)
    state = "none"
    if lift.low is not None and lift.high is not None:
        state = "above" if (lift.low.value or 0.0) > 0 else "below" if (lift.high.value or 0.0) < 0 else "at"
    return Measure(measure.name, title, measure.value, measure.low, measure.high, (floor,), lift=lift, state=state)
