"""A second implementation of everything that is measured: slow, obvious, and sharing no code with the package.

It follows docs/metrics.md sentence by sentence, one item, one region, one threshold at a time. Items, sets and sums
are plain Python lists; nothing is vectorised and nothing is clever. Here are sums, floors and scores; words, boxes,
heat maps, rows of weights, items and retrieval have modules of their own, `*_reference.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from heat_reference import pixels_of
from item_reference import Item, items_of
from row_reference import Target, judge

if TYPE_CHECKING:
    from reference_inputs import Choices, Export, Row, Truth

Values = dict[str, "float | None"]  # metrics by name, None where undefined

Pairing = tuple["Row | None", Target]  # weights, and what they are held against


class Scored(NamedTuple):
    values: Values
    baselines: dict[str, Values]
    gaps: dict[str, dict[str, float]]
    by: dict[str, dict[str, Values]]
    floors_by: dict[str, dict[str, dict[str, Values]]]
    images_by: dict[str, dict[str, int]]
    items: int
    scored: int


# Means over the items that are scored, and means over all items.
SCORED = ("precision", "recall", "f1", "ap", "pointing", "mass", "rank_accuracy")

ALL = ("r@1", "r@5", "r@10", "area_mass")

SUMMED = ("tp", "attended", "relevant")

# Of enlarged maps: means over all items whose shapes have a pixel, and over all items.
MAPS = ("map_iou", "map_precision", "map_recall")

MAP_N, BOX = "map_n", "box_accuracy"

SOMETIMES = ("entropy", "auc")

LIFTS = {"f1_lift": "f1", "ap_lift": "ap"}

FLOORED = (
    *("precision", "recall", "f1", "ap", "pointing", "mass"),
    *("micro_precision", "micro_recall", "micro_f1"),
)


def absent(target: Target) -> dict[str, float]:
    """How an item without weights is judged: nothing is attended, ranked or hit."""
    return dict.fromkeys((*SCORED, *ALL, *SUMMED), 0.0) | {"relevant": float(len(target.relevant))}


def held(row: Row | None, target: Target, p: Choices) -> dict[str, float]:
    return judge(row, target, p["threshold"]) if row else absent(target)


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def means(items: list[list[Pairing]], p: Choices) -> Values:
    """Every metric over some items, each of which is the mean over its pairings of a row with sets of keys."""
    of_all: list[dict[str, float]] = []
    of_scored: list[dict[str, float]] = []
    for pairings in items:
        judged = [(held(row, target, p), target) for row, target in pairings]
        for j, target in judged:
            j.setdefault(MAP_N, float(bool(target.heat and pixels_of(target.heat.picture))))
        usable = [j for j, target in judged if target.relevant or p["unreachable"] == "zero"]
        if judged:
            names = (*ALL, *MAPS, MAP_N, BOX)
            of_all.append({name: sum(j.get(name, 0.0) for j, _ in judged) / len(judged) for name in names})
        if usable:
            item = {name: sum(j[name] for j in usable) / len(usable) for name in (*SCORED, *SUMMED)}
            for name in SOMETIMES:
                # An item counts by the share of its pairings that have a value.
                item[name] = sum(j.get(name, 0.0) for j in usable) / len(usable)
                item[f"{name}_n"] = sum(name in j for j in usable) / len(usable)
            of_scored.append(item)
    values: Values = {name: mean([item[name] for item in of_scored]) for name in SCORED}
    for name in SOMETIMES:
        having = sum(item[f"{name}_n"] for item in of_scored)
        values[name] = sum(item[name] for item in of_scored) / having if having else None
    values |= {name: mean([item[name] for item in of_all]) for name in (*ALL, BOX)}
    shaped = sum(item[MAP_N] for item in of_all)
    values |= {name: sum(item[name] for item in of_all) / shaped if shaped else None for name in MAPS}
    values |= dict.fromkeys(("micro_precision", "micro_recall", "micro_f1"))
    if of_scored:
        tp, attended_keys, relevant_keys = (sum(item[name] for item in of_scored) for name in SUMMED)
        values["micro_precision"] = tp / attended_keys if attended_keys else 0.0
        values["micro_recall"] = tp / relevant_keys if relevant_keys else 0.0
        values["micro_f1"] = 2 * tp / (attended_keys + relevant_keys) if attended_keys + relevant_keys else 0.0
    return values


def evenly(item: Item) -> Row | None:
    return [1 / item.keys] * item.keys if item.keys else None


def lifts(items: list[Item], rows: list[Row | None], p: Choices) -> Values:
    """What rows score beyond even attention, item by item."""
    pairs = [
        (held(row, item.target, p), held(evenly(item), item.target, p))
        for row, item in zip(rows, items, strict=True)
        if is_scored(item, p)
    ]
    return {lift: mean([own[name] - even[name] for own, even in pairs]) for lift, name in LIFTS.items()}


def of_rows(items: list[Item], rows: list[Row | None], p: Choices) -> Values:
    values = means([[(row, item.target)] for row, item in zip(rows, items, strict=True)], p)
    return values | lifts(items, rows, p)


def floors(items: list[Item], p: Choices) -> dict[str, Values]:
    table = {"uniform": of_rows(items, [evenly(item) for item in items], p)}
    if p["direction"] == "t2i":
        table["center"] = of_rows(items, [item.center for item in items], p)
    return table | {"shuffled": shuffled(items, p)}


def model(items: list[Item], table: dict[str, Values], p: Choices) -> Values:
    values = of_rows(items, [item.row for item in items], p)
    values["coverage"] = mean([float(bool(item.target.relevant)) for item in items])
    if values["f1"] is not None and table["shuffled"]["f1"] is not None:
        values["specificity"] = values["f1"] - table["shuffled"]["f1"]
    return values


def gaps(items: list[Item], values: Values, table: dict[str, Values], p: Choices) -> dict[str, dict[str, float]]:
    """By metric and floor, the difference over the items that have that floor."""
    compared = [item for item in items if any(is_target_scored(other, p) for other in item.others)]
    paired = means([[(i.row, i.target)] for i in compared if i.row and is_scored(i, p)], p)
    found: dict[str, dict[str, float]] = {}
    for name in FLOORED:
        found[name] = {}
        for floor, of_floor in table.items():
            own, base = (paired if floor == "shuffled" else values)[name], of_floor[name]
            if own is not None and base is not None:
                found[name][floor] = own - base
    return found


def score(truth: Truth, export: Export, p: Choices, channel: int | None = None) -> Scored:
    """Every metric of attention, its baselines and breakdown, for one direction and channel (None: their mean)."""
    items = items_of(truth, export, p, channel)
    baselines = floors(items, p)
    values = model(items, baselines, p)
    by: dict[str, dict[str, Values]] = {"type": {}, "area": {}, "length": {}}
    floors_by: dict[str, dict[str, dict[str, Values]]] = {"type": {}, "area": {}, "length": {}}
    images_by: dict[str, dict[str, int]] = {"type": {}, "area": {}, "length": {}}
    for item in items:
        for kind, names in (("type", item.types), ("area", [item.area]), ("length", [item.length])):
            for name in names:
                if name and name not in by[kind]:
                    members = [i for i in items if name in (*i.types, i.area, i.length)]
                    floors_by[kind][name] = floors(members, p)
                    by[kind][name] = model(members, floors_by[kind][name], p)
                    images_by[kind][name] = len({i.image for i in members})
    return Scored(
        values,
        baselines,
        gaps(items, values, baselines, p),
        by,
        floors_by,
        images_by,
        len(items),
        sum(is_scored(item, p) for item in items),
    )


def is_scored(item: Item, p: Choices) -> bool:
    return is_target_scored(item.target, p)


def is_target_scored(target: Target, p: Choices) -> bool:
    return bool(target.relevant) or bool(p["unreachable"] == "zero")


def shuffled(items: list[Item], p: Choices) -> Values:
    """Each item against the other entities; of what is scored, only items that are scored themselves."""
    given = [item for item in items if item.row]
    values = means([[(i.row, other) for other in i.others] for i in given if is_scored(i, p)], p)
    everything = means([[(i.row, other) for other in i.others] for i in given], p)
    return values | {name: everything[name] for name in (*ALL, *MAPS, BOX)}


def curve(truth: Truth, export: Export, p: Choices, thresholds: list[str]) -> list[dict[str, float]]:
    """Precision, recall and F1 at each threshold."""
    items = [item for item in items_of(truth, export, p, None) if is_scored(item, p)]
    points = []
    for threshold in thresholds:
        judged = [judge(i.row, i.target, threshold) if i.row else absent(i.target) for i in items]
        points.append({name: sum(j[name] for j in judged) / len(items) for name in ("precision", "recall", "f1")})
    return points
