"""From sums to scores: the one place where sums become values, floors, ceilings, breakdowns and curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.config.breakdowns import AREAS, LENGTHS, TYPES
from attneval.metrics.registry import columns, metrics
from attneval.metrics.sweep import CURVES, grid
from attneval.metrics.totals import UNIT
from attneval.results.scores import Curve, Measured, Scores
from attneval.statistics.bootstrap import intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.config.protocol import Protocol
    from attneval.metrics.registry import Metric, Sums
    from attneval.metrics.totals import Totals
    from attneval.statistics.image_sums import ImageSums

ATTENTION = ("attention", "companion", "ceiling")
"""The groups of metrics that need maps; the others need similarities."""
BASELINES = ("uniform", "center", "shuffled", "oracle")


def summarise(
    sums: ImageSums, totals: Totals, protocol: Protocol, *, resamples: int, seed: int, with_intervals: bool = True
) -> Scores:
    """Compute scores from per-image sums and totals.

    Args:
        sums: Per-image sums of attention, of retrieval, or of both.
        totals: As in `attneval.evaluation.sum_items.Scored`; empty without attention.
        protocol: What they were computed under.
        resamples: How many bootstrap resamples the intervals take.
        seed: Of the resamples.
        with_intervals: Whether to compute intervals at all.
    """
    wanted = [metric for metric in metrics() if ("items" if metric.group in ATTENTION else "i2t_n") in sums.columns]
    totals = _in_order(totals)
    total = _totalled(sums, totals)
    bounds = intervals(wanted, sums, resamples=resamples, seed=seed) if with_intervals else {}
    curve = None
    if totals and total["scored"] > 0:
        sweep = {name: (total[f"sweep_{name}"] / total["scored"]).tolist() for name in CURVES}
        curve = Curve(protocol.rule.rule, grid(protocol.rule).tolist(), **sweep)
    return Scores(
        metrics={metric.name: measure(metric, total, bounds.get(metric.name)) for metric in wanted},
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


def measure(metric: Metric, sums: Sums, ci: tuple[float, float] | None = None) -> Measured:
    """One metric from summed columns."""
    value = float(metric.value(sums))
    count = round(float(sums[metric.per]))
    return Measured(value if math.isfinite(value) else None, count, ci)


def _baselines(total: Sums, totals: Totals, protocol: Protocol) -> dict[str, dict[str, Measured]]:
    if not totals:
        return {}
    comparable = [metric for metric in metrics(*ATTENTION) if metric.baseline]
    found = {name: _measured(comparable, totals[name]) for name in BASELINES if name in totals}
    # Attending to exactly the relevant regions is right wherever there is one. How evenly it does is not said, nor
    # whether the centres of relevant regions lie in boxes.
    specs = columns(*ATTENTION)
    sums = dict(total) | {name: total["relevant" if spec.counts_keys else "reached"] for name, spec in specs.items()}
    unsaid = {"entropy"} if protocol.pointing == "region" else {"entropy", "pointing"}
    perfect = {metric.name: measure(metric, sums) for metric in comparable if metric.name not in unsaid}
    return found | {"oracle": perfect}


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
    return {metric.name: measure(metric, sums) for metric in chosen}
