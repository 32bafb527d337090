"""The JSON form of scores and of the sums that they were computed from."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.metrics.ranks import DIRECTIONS
from attneval.metrics.registry import find_metric
from attneval.metrics.totals import GroupTotals
from attneval.results.fields import NUMBERS, check_numbers, check_whole
from attneval.results.scores import Curve, FloorGap, Measured, Scores
from attneval.statistics.group_sums import GroupedRows, ImageRows
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from attneval.metrics.totals import Totals

GROUPS, ROW = "by", "row"
"""Sums over the items of groups, and the rows of the images that have some."""


RANKS, FOLDS = "ranks", "folds"
"""Lists of each image's queries, whose names in a file begin with a direction."""


def scores_to_dict(scores: Scores) -> dict[str, Any]:
    """Give scores as JSON values."""
    return {
        "metrics": table_to_dict(scores.metrics),
        "baselines": {base: table_to_dict(table) for base, table in scores.baselines.items()},
        "by": {
            kind: {group: table_to_dict(table) for group, table in groups.items()} for kind, groups in scores.by.items()
        },
        "by_baselines": {
            kind: {
                group: {base: table_to_dict(table) for base, table in floors.items()}
                for group, floors in groups.items()
            }
            for kind, groups in scores.by_baselines.items()
        },
        "by_images": scores.by_images,
        "curve": None if scores.curve is None else vars(scores.curve),
        "per_image": _sums_to_dict(scores.sums),
        "totals": _totals_to_dict(scores.totals),
    }


def _totals_to_dict(totals: Totals) -> dict[str, Any]:
    by: Any = totals.get("by", {})
    tables = {kind: groups.to_dict() if isinstance(groups, GroupTotals) else groups for kind, groups in by.items()}
    return {name: tables if name == "by" else values for name, values in totals.items()}


def scores_from_dict(values: dict[str, Any]) -> Scores:
    """Make scores from JSON values."""
    return Scores(
        metrics=table_from_dict(values["metrics"]),
        baselines={base: table_from_dict(table) for base, table in values["baselines"].items()},
        by={
            kind: {group: table_from_dict(table) for group, table in groups.items()}
            for kind, groups in values["by"].items()
        },
        by_baselines={
            kind: {
                group: {base: table_from_dict(table) for base, table in floors.items()}
                for group, floors in groups.items()
            }
            for kind, groups in values.get("by_baselines", {}).items()
        },
        by_images={
            kind: {group: check_whole(f"by_images {kind} {group}", count) for group, count in groups.items()}
            for kind, groups in values.get("by_images", {}).items()
        },
        curve=None if values["curve"] is None else _curve(**values["curve"]),
        sums=_sums_from_dict(values["per_image"]),
        totals=values["totals"],
    )


def table_to_dict(table: dict[str, Measured]) -> dict[str, Any]:
    """Give a table of metrics as JSON values."""
    return {name: _measured_to_dict(name, measured) for name, measured in table.items()}


def _measured_to_dict(name: str, measured: Measured) -> dict[str, Any]:
    metric = find_metric(name)
    values: dict[str, Any] = {
        "value": measured.value,
        "ci": None if measured.ci is None else list(measured.ci),
        "n": measured.n,
        "higher_is_better": measured.higher_is_better if metric is None else metric.higher_is_better,
    }
    gap = measured.above_floor
    if gap is not None:
        ci = None if gap.ci is None else list(gap.ci)
        values["above_floor"] = {"floor": gap.floor, "difference": gap.difference, "ci": ci}
    return values


def table_from_dict(table: dict[str, Any]) -> dict[str, Measured]:
    """Metrics by name; what stands in an older file under an alias, too, is left out."""
    known = {name: find_metric(name) for name in table}
    return {
        name: measured_from_dict(name, values)
        if known[name]
        else replace(measured_from_dict(name, values), higher_is_better=_direction(values))
        for name, values in table.items()
        if not ((metric := known[name]) and metric.name != name and metric.name in table)
    }


def _direction(values: dict[str, Any]) -> bool:
    return bool(values["higher_is_better"])


def measured_from_dict(name: str, values: dict[str, Any]) -> Measured:
    """Make a measured value from JSON values.

    Args:
        name: What it is of, for refusals.
        values: The JSON object.

    Raises:
        ValueError: Its numbers are none.
    """
    value, ci = values["value"], values["ci"]
    if value is not None:
        value = _finite(value)
    return Measured(
        value, check_whole(f"{name} n", values["n"]), _interval(ci), above_floor=_gap(values.get("above_floor"))
    )


def _interval(ci: list[float] | None) -> tuple[float, float] | None:
    return None if ci is None else (_finite(ci[0]), _finite(ci[1]))


def _gap(values: dict[str, Any] | None) -> FloorGap | None:
    if values is None:
        return None
    return FloorGap(str(values["floor"]), _finite(values["difference"]), _interval(values["ci"]))


def _curve(rule: str, **lists: list[float]) -> Curve:
    return Curve(str(rule), **{name: [_finite(value) for value in values] for name, values in lists.items()})


def _finite(value: float) -> float:
    if type(value) not in NUMBERS or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _sums_to_dict(sums: ImageSums) -> dict[str, Any]:
    """Columns as lists, and the ranks and folds of each image's queries as lists of lists."""
    table: dict[str, Any] = {"image_id": sums.image_id}
    table |= {name: column.tolist() for name, column in sums.columns.items()}
    for direction, ranks in sums.ranks.items():
        # A single fold goes without saying.
        kinds = ((RANKS, ranks.rank), (FOLDS, ranks.fold))[: 1 + bool(ranks.fold.any())]
        for kind, values in kinds:
            order = np.argsort(ranks.image, kind="stable")
            bound = np.searchsorted(ranks.image[order], np.arange(len(sums.image_id) + 1)).tolist()
            listed = values[order].tolist()
            table[f"{direction}_{kind}"] = [listed[a:b] for a, b in itertools.pairwise(bound)]
    if sums.by:
        table[GROUPS] = {
            kind: {
                group: {ROW: rows.row.tolist(), **{name: column.tolist() for name, column in rows.columns.items()}}
                for group, rows in groups.items()
            }
            for kind, groups in sums.by.items()
        }
    return table


def _sums_from_dict(table: dict[str, Any]) -> ImageSums:
    image_id = [str(name) for name in table["image_id"]]
    ranks = {}
    for direction in DIRECTIONS:
        if f"{direction}_{RANKS}" in table:
            lists = table[f"{direction}_{RANKS}"]
            folds = table.get(f"{direction}_{FOLDS}", [[0] * len(values) for values in lists])
            counts = [len(values) for values in lists]
            if len(lists) != len(image_id) or counts != [len(values) for values in folds]:
                raise ValueError(f"per_image {direction}_{RANKS} and its folds do not fit {len(image_id)} images")
            ranks[direction] = RankTable(
                np.repeat(np.arange(len(lists)), counts),
                np.array([_finite(rank) for values in lists for rank in values], np.float64),
                np.array(_folds(f"per_image {direction}_{FOLDS}", folds), np.int64),
            )
    lists_of_queries = {f"{direction}_{kind}" for direction in DIRECTIONS for kind in (RANKS, FOLDS)}
    columns = {}
    for name, column in table.items():
        if name not in {"image_id", GROUPS, *lists_of_queries}:
            columns[name] = check_numbers(f"per_image {name}", column)
            if len(columns[name]) != len(image_id):
                raise ValueError(f"per_image {name} has {len(columns[name])} entries for {len(image_id)} images")
    by = {
        kind: GroupedRows.of(
            {group: _rows_from_dict(f"{kind} {group}", values, len(image_id)) for group, values in groups.items()}
        )
        for kind, groups in table.get(GROUPS, {}).items()
    }
    return ImageSums(image_id, columns, ranks, by)


def _folds(where: str, folds: list[list[int]]) -> list[int]:
    """The folds of all queries, of which there are no more than queries."""
    listed = [check_whole(where, fold) for values in folds for fold in values]
    if listed and max(listed) >= len(listed):
        raise ValueError(f"{where} has fold {max(listed)} of {len(listed)} queries")
    return listed


def _rows_from_dict(where: str, values: dict[str, Any], images: int) -> ImageRows:
    """The sums of a group."""
    row = np.array([check_whole(f"per_image {GROUPS} {where} {ROW}", each) for each in values[ROW]], np.int64)
    if (len(row) and not 0 <= row[0] <= row[-1] < images) or (np.diff(row) <= 0).any():
        raise ValueError(f"per_image {GROUPS} {where} {ROW} does not ascend within {images} images")
    columns = {
        name: check_numbers(f"per_image {GROUPS} {where} {name}", column)
        for name, column in values.items()
        if name != ROW
    }
    for name, column in columns.items():
        if column.shape != row.shape:
            raise ValueError(f"per_image {GROUPS} {where} {name} is no list of {len(row)} numbers")
    return ImageRows(row, columns)
