"""From sums to scores: the one place where sums become values, floors, ceilings, breakdowns and curves.

A metric whose columns are not among the sums, since another attneval made them, has no value there.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.config.breakdowns import ALWAYS, BREAKDOWNS
from attneval.metrics.class_means import AVERAGED, class_sums
from attneval.metrics.declaration import ATTENTION, RELEVANCE
from attneval.metrics.floors import CHANCE, FLOORS, UNIFORM, floor_sums, highest_floor
from attneval.metrics.populations import SCORED
from attneval.metrics.registry import columns, metrics
from attneval.metrics.sweep import CURVES, grid
from attneval.metrics.totals import UNIT
from attneval.results.scores import Curve, FloorGap, Measured, Scores
from attneval.statistics.bootstrap import draw_with_groups, intervals, percentile_bounds, percentile_bounds_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from attneval.config.protocol import Protocol
    from attneval.metrics.declaration import Metric, Sums
    from attneval.metrics.totals import Totals
    from attneval.statistics.image_sums import ImageSums

ORACLE = "oracle"
"""What attention to exactly the relevant keys scores."""
AT_ONCE = 64
"""Groups of items that are measured together: few enough for their resamples to stay in the cache."""
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
    totals = _in_order(totals)
    # Nothing may depend on which block met which group first.
    by = {kind: {name: sums.by[kind][name] for name in _ordered(kind, sums.by[kind])} for kind in sums.by}
    sums = replace(sums, by=by)
    drawn, groups = draw_with_groups(sums, resamples=resamples, seed=seed) if with_intervals else (None, {})
    total = _totalled(sums, totals)
    if protocol.average == "class":
        total = {**total, **class_sums(_class_totals(totals))}
    values = measure_all(metrics(), total)
    wanted = [metric for metric in metrics() if metric.name in values]
    if drawn is not None and protocol.average == "class":
        drawn = {**drawn, **class_sums(group for (kind, _), group in groups.items() if kind == "category")}
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
        by=_breakdown(totals, groups),
        by_baselines=_floors_of_groups(totals),
        by_images={kind: {name: len(rows.row) for name, rows in named.items()} for kind, named in sums.by.items()},
        curve=curve,
        sums=sums,
        totals=totals,
    )


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


def _class_totals(totals: Totals) -> list[Sums]:
    """The sums of each category, as far as means over classes need them."""
    by: Any = totals.get("by", {})
    return [
        {name: np.asarray(table[name] / UNIT) for name in (SCORED, *AVERAGED) if name in table}
        for table in by.get("category", {}).values()
    ]


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


def _breakdown(totals: Totals, drawn: Mapping[tuple[str, str], Sums]) -> dict[str, dict[str, dict[str, Measured]]]:
    """The metrics of each group, with intervals where its columns were resampled."""
    chosen = [metric for metric in metrics(*ATTENTION) if metric.resampled]
    shown: dict[str, dict[str, dict[str, Measured]]] = {}
    for kind, tables in _groups(totals).items():
        shown[kind] = {name: {} for name in tables}
        for names, stacked in _stacked(tables):
            resampled = _stacked_draws([drawn.get((kind, name), {}) for name in names])
            for metric in chosen:
                bounds = _bounds_each(metric, resampled) or [None] * len(names)
                for (name, value), ci in zip(_measured_each(metric, names, stacked), bounds, strict=False):
                    shown[kind][name][metric.name] = value if ci is None else Measured(value.value, value.n, ci)
    return shown


def _stacked_draws(drawn: Sequence[Sums]) -> Sums:
    """Resampled sums of groups that have the same columns, f8[g, b] by name; nothing where a group has none."""
    return {name: np.stack([table[name] for table in drawn]) for name in drawn[0]} if all(drawn) else {}


def _bounds_each(metric: Metric, resampled: Sums) -> list[tuple[float, float] | None]:
    """The intervals of a metric of groups, from f8[g, b] by name; nothing where its columns were not resampled."""
    with suppress(KeyError):
        return percentile_bounds_each(metric.value(resampled)) if metric.per in resampled else []
    return []


def _floors_of_groups(totals: Totals) -> dict[str, dict[str, dict[str, dict[str, Measured]]]]:
    """What floors score on the items of each group."""
    chosen = [metric for metric in metrics(*ATTENTION) if metric.floored]
    floors: dict[str, dict[str, dict[str, dict[str, Measured]]]] = {}
    for kind, tables in _groups(totals).items():
        floors[kind] = {name: {} for name in tables}
        for names, stacked in _stacked(tables):
            pairs = [(floor, metric, floor_sums(metric, floor, stacked)) for floor in FLOORS for metric in chosen]
            for floor, metric, pair in pairs:
                for name, value in () if pair is None else _measured_each(metric, names, pair[1]):
                    floors[kind][name].setdefault(floor, {})[metric.name] = value
    return floors


def _groups(totals: Totals) -> dict[str, dict[str, dict[str, int]]]:
    """The totals of columns over the items of each group, by kind and name."""
    by: Any = totals.get("by", {})
    groups: dict[str, dict[str, dict[str, int]]] = by
    return groups


def _stacked(tables: dict[str, dict[str, int]]) -> list[tuple[list[str], Sums]]:
    """Some groups that have the same columns, and these, f8[g] by name: a metric is computed of them together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, table in tables.items():
        alike.setdefault(tuple(table), []).append(name)
    return [
        (some, {column: np.array([tables[name][column] / UNIT for name in some]) for column in columns_of})
        for columns_of, names in alike.items()
        for some in (names[first : first + AT_ONCE] for first in range(0, len(names), AT_ONCE))
    ]


def _measured_each(metric: Metric, names: Sequence[str], sums: Sums) -> list[tuple[str, Measured]]:
    """A metric of groups, each with its name; nothing where its columns are not among the sums."""
    try:
        values, counts = metric.value(sums).tolist(), sums[metric.per].tolist()
    except KeyError:
        return []
    return [
        (name, Measured(value if math.isfinite(value) else None, round(count)))
        for name, value, count in zip(names, values, counts, strict=True)
    ]


def _in_order(totals: Totals) -> Totals:
    """The same totals with groups in the order of tables, in whatever order blocks met them."""
    by: Any = totals.get("by")
    if by is None:
        return totals
    # Breakdowns that only some annotations have are left out where no phrase has a group.
    kinds = [kind for kind in BREAKDOWNS if kind in by and (kind in ALWAYS or by[kind])]
    return totals | {"by": {kind: {name: by[kind][name] for name in _ordered(kind, by[kind])} for kind in kinds}}


def _ordered(kind: str, groups: Iterable[str]) -> list[str]:
    """The groups of a breakdown in the order of tables; of an unknown one as they are."""
    return BREAKDOWNS[kind].ordered(set(groups)) if kind in BREAKDOWNS else list(groups)


def _measured(chosen: Sequence[Metric], columns: Any) -> dict[str, Measured]:
    """Some metrics from exact totals of columns."""
    sums = {name: np.asarray(value / UNIT) for name, value in columns.items()}
    return measure_all(chosen, sums)
