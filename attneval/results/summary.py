"""From sums to scores: the one place where sums become values, floors, ceilings, breakdowns and curves.

A metric whose columns are not among the sums, since another attneval made them, has no value there.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.config.breakdowns import AREAS, LENGTHS, TYPES
from attneval.metrics.populations import SCORED
from attneval.metrics.registry import ATTENTION, columns, metrics
from attneval.metrics.sweep import CURVES, grid
from attneval.metrics.totals import UNIT
from attneval.results.scores import Curve, Measured, Scores
from attneval.statistics.bootstrap import intervals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attneval.config.protocol import Protocol
    from attneval.metrics.registry import Metric, Sums
    from attneval.metrics.totals import Totals
    from attneval.statistics.image_sums import ImageSums

FLOORS = ("uniform", "center", "shuffled")
"""The baselines whose columns are totals of a scoring."""
BASELINES = (*FLOORS, "oracle")


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
    total = _totalled(sums, totals)
    values = measure_all(metrics(), total)
    wanted = [metric for metric in metrics() if metric.name in values]
    bounds = intervals(wanted, sums, resamples=resamples, seed=seed) if with_intervals else {}
    curve = None
    if totals and total[SCORED] > 0:
        sweep = {name: (total[f"sweep_{name}"] / total[SCORED]).tolist() for name in CURVES}
        curve = Curve(protocol.rule.rule, grid(protocol.rule).tolist(), **sweep)
    return Scores(
        metrics={name: replace(measured, ci=bounds.get(name)) for name, measured in values.items()},
        baselines=_baselines(total, totals, protocol),
        by=_breakdown(totals),
        curve=curve,
        sums=sums,
        totals=totals,
    )


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
    if not totals:
        return {}
    comparable = [metric for metric in metrics(*ATTENTION) if metric.baseline]
    floors = {name: _measured(comparable, totals[name]) for name in FLOORS if name in totals}
    # Attending to exactly the relevant regions is right wherever there is one.
    specs = columns(*ATTENTION).items()
    perfect = dict(total) | {name: total[spec.oracle] for name, spec in specs if name in total}
    return floors | {"oracle": measure_all((m for m in comparable if m.has_oracle(protocol)), perfect)}


def _breakdown(totals: Totals) -> dict[str, dict[str, dict[str, Measured]]]:
    by: Any = totals.get("by", {})
    chosen = [metric for metric in metrics(*ATTENTION) if metric.resampled]
    return {kind: {name: _measured(chosen, columns) for name, columns in groups.items()} for kind, groups in by.items()}


def _in_order(totals: Totals) -> Totals:
    """The same totals with groups in the order of tables, in whatever order blocks met them."""
    by: Any = totals.get("by")
    if by is None:
        return totals
    known = [*TYPES, *AREAS, *LENGTHS]

    def place(item: tuple[str, Any]) -> tuple[int, str]:
        return (known.index(item[0]) if item[0] in known else len(known)), item[0]

    return totals | {"by": {kind: dict(sorted(groups.items(), key=place)) for kind, groups in by.items()}}


def _measured(chosen: Sequence[Metric], columns: Any) -> dict[str, Measured]:
    """Some metrics from exact totals of columns."""
    sums = {name: np.asarray(value / UNIT) for name, value in columns.items()}
    return measure_all(chosen, sums)
