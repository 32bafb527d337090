"""Breakdowns: metrics of groups of items and what floors score on them, computed when they are asked for."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from attneval.metrics.declaration import ATTENTION
from attneval.metrics.floors import FLOORS, floor_sums
from attneval.metrics.populations import ITEMS
from attneval.metrics.registry import metrics
from attneval.results.groups import MeasuredGroups
from attneval.results.scores import Measured
from attneval.statistics.bootstrap import percentile_bounds_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.metrics.declaration import Metric, Sums
    from attneval.metrics.totals import GroupTotals
    from attneval.statistics.group_draws import GroupDraws

    Bounds = tuple[float, float] | None


def measured_groups(kind: str, totals: GroupTotals, draws: GroupDraws) -> MeasuredGroups[dict[str, Measured]]:
    """Give the metrics of each group, with intervals where its columns were resampled.

    Args:
        kind: The breakdown.
        totals: The totals of its groups.
        draws: What draws groups.
    """
    return MeasuredGroups(_counts(totals), partial(_measured, kind, totals, draws))


def floors_of_groups(totals: GroupTotals) -> MeasuredGroups[dict[str, dict[str, Measured]]]:
    """Give what floors score on the items of each group, by floor and metric.

    Args:
        totals: The totals of the groups of a breakdown.
    """
    return MeasuredGroups(_counts(totals), partial(_floors, totals))


def _counts(totals: GroupTotals) -> dict[str, int]:
    """The number of items of each group."""
    counts = totals.sums().get(ITEMS)
    return dict.fromkeys(totals, 0) if counts is None else dict(zip(totals, map(round, counts.tolist()), strict=True))


def _measured(
    kind: str, totals: GroupTotals, draws: GroupDraws, groups: Sequence[str]
) -> dict[str, dict[str, Measured]]:
    chosen = [metric for metric in metrics(*ATTENTION) if metric.resampled]
    bounds = _bounds(chosen, kind, draws, groups)
    sums = totals.chosen(groups).sums()
    shown: dict[str, dict[str, Measured]] = {name: {} for name in groups}
    for metric in chosen:
        of_metric = bounds.get(metric.name, {})
        for name, value, n in _values(metric, groups, sums):
            shown[name][metric.name] = Measured(value, n, of_metric.get(name))
    return shown


def _bounds(
    chosen: Sequence[Metric], kind: str, draws: GroupDraws, groups: Sequence[str]
) -> dict[str, dict[str, Bounds]]:
    """The intervals of groups by metric, as far as their columns were resampled."""
    bounds: dict[str, dict[str, Bounds]] = {}
    for names, drawn in draws.of(kind, groups):
        for metric in chosen:
            try:
                each = percentile_bounds_each(metric.value(drawn)) if metric.per in drawn else []
            except KeyError:
                continue  # its columns were not resampled
            bounds.setdefault(metric.name, {}).update(zip(names, each, strict=False))
    return bounds


def _floors(totals: GroupTotals, groups: Sequence[str]) -> dict[str, dict[str, dict[str, Measured]]]:
    chosen = [metric for metric in metrics(*ATTENTION) if metric.floored]
    sums = totals.chosen(groups).sums()
    floors: dict[str, dict[str, dict[str, Measured]]] = {name: {} for name in groups}
    for floor in FLOORS:
        for metric in chosen:
            pair = floor_sums(metric, floor, sums)
            for name, value, n in () if pair is None else _values(metric, groups, pair[1]):
                floors[name].setdefault(floor, {})[metric.name] = Measured(value, n)
    return floors


def _values(metric: Metric, groups: Sequence[str], sums: Sums) -> list[tuple[str, float | None, int]]:
    """A metric of groups and what it is a mean over, with their names; nothing where sums lack its columns."""
    try:
        values, counts = metric.value(sums).tolist(), sums[metric.per].tolist()
    except KeyError:
        return []
    return [
        (name, value if math.isfinite(value) else None, round(count))
        for name, value, count in zip(groups, values, counts, strict=True)
    ]
