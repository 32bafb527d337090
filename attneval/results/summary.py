"""From sums to scores: the one place where sums become values, floors, ceilings, breakdowns and curves.

A metric whose columns are not among the sums, since another attneval made them, has no value there.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.beside import Beside
from attneval.config.breakdowns import ALWAYS, BREAKDOWNS
from attneval.metrics.class_means import class_sums
from attneval.metrics.declaration import ATTENTION, RELEVANCE
from attneval.metrics.floors import CHANCE, FLOORS, UNIFORM, floor_sums, highest_floor
from attneval.metrics.populations import SCORED
from attneval.metrics.registry import columns, metrics
from attneval.metrics.sweep import CURVES, grid
from attneval.metrics.totals import UNIT, GroupTotals
from attneval.results.breakdown import floors_of_groups, measured_groups
from attneval.results.scores import Curve, FloorGap, Measured, Scores
from attneval.statistics.bootstrap import intervals, percentile_bounds
from attneval.statistics.class_draws import resampled_class_sums
from attneval.statistics.group_draws import MANY, draw_with_groups
from attneval.statistics.resamples import Resamples

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attneval.config.protocol import Protocol
    from attneval.metrics.declaration import Metric, Sums
    from attneval.metrics.totals import Totals
    from attneval.statistics.image_sums import ImageSums

CLASSES_OF = "category"
"""The breakdown whose groups are the classes that are averaged over."""
ORACLE = "oracle"
"""What attention to exactly the relevant keys scores."""
BASELINES = (*FLOORS, ORACLE)


def summarise(
    sums: ImageSums, totals: Totals, protocol: Protocol, *, resamples: int, seed: int, with_intervals: bool = True
) -> Scores:
    """Compute scores from per-image sums and totals.

    Args:
        sums: Per-image sums of attention, of retrieval, or of both.
        totals: Sums over all images: `sweep`, the curves; the floors, each with its columns; `by`, columns by kind and
            name of a group of items. Empty without attention.
        protocol: What they were computed under.
        resamples: How many bootstrap resamples the intervals take.
        seed: Of the resamples.
        with_intervals: False to compute no intervals at all.
    """
    groups = _in_order(totals)
    totals = totals | {"by": dict(groups)} if "by" in totals else totals
    # Nothing may depend on which block met which group first.
    sums = replace(sums, by={kind: rows.chosen(_ordered(kind, rows)) for kind, rows in sums.by.items()})
    repeated = Resamples(len(sums.image_id), resamples if with_intervals else 0, seed)
    of_classes = _class_draws(sums, repeated) if protocol.average == "class" else None
    drawn, draws = draw_with_groups(sums, repeated)
    total = _totalled(sums, totals)
    if protocol.average == "class" and CLASSES_OF in groups:
        total = {**total, **class_sums(groups[CLASSES_OF].sums())}
    values = measure_all(metrics(), total)
    wanted = [metric for metric in metrics() if metric.name in values]
    if drawn is not None and protocol.average == "class":
        few = (class_sums(table) for _, table in draws.of(CLASSES_OF, list(sums.by.get(CLASSES_OF, ()))))
        drawn = {**drawn, **(next(few, {}) if of_classes is None else of_classes.result())}
        wanted = [metric for metric in wanted if metric.per in drawn]
    bounds = intervals(wanted, drawn)
    gaps = {metric.name: _above_floor(metric, total, drawn) for metric in wanted if metric.floored}
    curve = None
    if totals and total[SCORED] > 0:
        sweep = {name: (total[f"sweep_{name}"] / total[SCORED]).tolist() for name in CURVES}
        curve = Curve(protocol.rule.rule, grid(protocol.rule).tolist(), **sweep)
    return Scores(
        metrics={
            name: replace(measured, ci=bounds.get(name), above_floor=gaps.get(name))
            for name, measured in values.items()
        },
        baselines=_baselines(total, totals, protocol),
        by={kind: measured_groups(kind, table, draws) for kind, table in groups.items()},
        by_baselines={kind: floors_of_groups(table) for kind, table in groups.items()},
        by_images={kind: dict(zip(rows, rows.sizes.tolist(), strict=True)) for kind, rows in sums.by.items()},
        curve=curve,
        sums=sums,
        totals=totals,
    )


def _class_draws(sums: ImageSums, resamples: Resamples) -> Beside[Sums] | None:
    """Begin to draw the means of many classes, beside everything else; None where there are few."""
    classes = sums.by.get(CLASSES_OF, ())
    if not resamples or len(classes) <= MANY:
        return None
    return Beside(partial(resampled_class_sums, sums.by[CLASSES_OF], resamples)).start()


def _above_floor(metric: Metric, total: Sums, drawn: Sums | None) -> FloorGap | None:
    """The difference of a metric to the highest of its floors, over the items that have that floor."""
    floor = highest_floor(metric, total)
    pair = None if floor is None else floor_sums(metric, floor, total)
    if floor is None or pair is None:
        return None
    difference = float(metric.value(pair[0]) - metric.value(pair[1]))
    if not math.isfinite(difference):
        return None
    resampled = None if drawn is None else floor_sums(metric, floor, drawn)
    if resampled is None:
        return FloorGap(floor, difference)
    return FloorGap(floor, difference, percentile_bounds(metric.value(resampled[0]) - metric.value(resampled[1])))


def _totalled(sums: ImageSums, totals: Totals) -> Sums:
    """Columns summed over all images, and with totals the curves, as `sweep_f1` and so on."""
    sweep: Any = totals.get("sweep", {})
    return {**sums.total(), **{f"sweep_{name}": np.array(values) / UNIT for name, values in sweep.items()}}


def measure_all(chosen: Iterable[Metric], sums: Sums) -> dict[str, Measured]:
    """Compute those of some metrics whose columns are among the sums, by name."""
    measured: dict[str, Measured] = {}
    for metric in chosen:
        with suppress(KeyError):
            value = float(metric.value(sums))
            count = round(float(sums[metric.per]))
            measured[metric.name] = Measured(value if math.isfinite(value) else None, count)
    return measured


def _baselines(total: Sums, totals: Totals, protocol: Protocol) -> dict[str, dict[str, Measured]]:
    floors = _floors_of_maps(totals, protocol) if totals else {}
    against_chance = _held_against_chance(total)
    if against_chance:
        floors[CHANCE] = {metric.name: measure_all([metric], sums)[metric.name] for metric, sums in against_chance}
    # Attending to exactly the relevant regions, and ranking the relevant answers first, is right wherever there is one.
    specs = columns(*ATTENTION, RELEVANCE).items()
    perfect = dict(total) | {name: total[spec.oracle] for name, spec in specs if {name, spec.oracle} <= total.keys()}
    bounded = [m for m in metrics(*ATTENTION) if totals and m.baseline and m.has_oracle(protocol)]
    bounded += [metric for metric, _ in against_chance]
    return floors | ({ORACLE: measure_all(bounded, perfect)} if bounded else {})


def _held_against_chance(total: Sums) -> list[tuple[Metric, Sums]]:
    """The metrics of relevance sets whose columns are there, each with the sums of chance."""
    pairs = [(metric, floor_sums(metric, CHANCE, total)) for metric in metrics(RELEVANCE)]
    return [(metric, pair[1]) for metric, pair in pairs if pair is not None]


def _floors_of_maps(totals: Totals, protocol: Protocol) -> dict[str, dict[str, Measured]]:
    """What floors of attention score."""
    comparable = [metric for metric in metrics(*ATTENTION) if metric.baseline]
    floors = {name: _measured(comparable, totals[name]) for name in FLOORS if name in totals}
    if protocol.definitions == 1 and UNIFORM in floors:
        # As a set even attention was nothing then.
        floors[UNIFORM] = {
            m.name: floors[UNIFORM][m.name] for m in comparable if not m.headline and m.name in floors[UNIFORM]
        }
    return floors


def _in_order(totals: Totals) -> dict[str, GroupTotals]:
    """The totals of groups by kind, groups in the order of tables, in whatever order blocks met them."""
    by: Any = totals.get("by", {})
    # Breakdowns that only some annotations have are left out where no phrase has a group.
    kinds = [kind for kind in BREAKDOWNS if kind in by and (kind in ALWAYS or by[kind])]
    return {kind: GroupTotals.of(by[kind]).chosen(_ordered(kind, by[kind])) for kind in kinds}


def _ordered(kind: str, groups: Iterable[str]) -> list[str]:
    """The groups of a breakdown in the order of tables; of an unknown one as they are."""
    return BREAKDOWNS[kind].ordered(set(groups)) if kind in BREAKDOWNS else list(groups)


def _measured(chosen: Sequence[Metric], columns: Any) -> dict[str, Measured]:
    """Some metrics from exact totals of columns."""
    sums = {name: np.asarray(value / UNIT) for name, value in columns.items()}
    return measure_all(chosen, sums)
