"""The JSON form of a result: written whole, and read back to the last bit.

A file says which metrics and columns it holds, and is checked against that. A metric that this attneval does not know
is kept as it is, so that writing the result again loses nothing; one that was declared since is simply not there.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.config.options import MOST_RESAMPLES
from attneval.config.protocol import Protocol
from attneval.errors import ProtocolError, ResultError
from attneval.metrics.ranks import DIRECTIONS
from attneval.metrics.registry import find_metric
from attneval.results.channel_sums import StoredChannels, channels_path
from attneval.results.held import held_against_sums, notes_on_left_out
from attneval.results.notes import SAID_BY_READERS, UNKNOWN_METRICS, Note, computed_notes, note_of
from attneval.results.scores import Curve, FloorGap, Input, Measured, Scores
from attneval.results.validation import (
    AUTO_FIELDS,
    REGION_KINDS,
    Holdings,
    check_choice,
    check_counts,
    check_digest,
    check_regions,
    check_scores,
    check_whole,
)
from attneval.statistics.image_sums import ImageRows, ImageSums
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from attneval.results.result import Result

SCHEMA = 1
"""Raised when those who read files have to change; a new metric or column is no such change."""
WRITING = "a result is written by attneval score -o result.json"
GROUPS, ROW = "by", "row"
"""Sums over the items of groups, and the rows of the images that have some."""
CHANNEL_SUMS = "channel_sums"
"""What a file says of the sums beside it."""
RANKS, FOLDS = "ranks", "folds"
"""Lists of each image's queries, whose names in a file begin with a direction."""


def result_to_dict(result: Result) -> dict[str, Any]:
    """Give a result as JSON values; docs/metrics.md has the schema."""
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "attneval": result.version,
        "name": result.name,
        "signature": result.signature,
        "protocol": result.protocol.to_dict(),
        "ground_truth": result.ground_truth,
        "auto": list(result.auto),
        "partial": result.partial,
        **({"channel": result.channel, "averaged": list(result.averaged)} if result.channel else {}),
        "model": result.model,
        "inputs": [vars(item) for item in result.inputs],
        "counts": result.counts,
        "region_kind": result.region_kind,
        "regions": result.regions,
        "bootstrap": {"resamples": result.resamples, "seed": result.seed, "confidence": 0.95},
        # What a reader was told of a file is not what the file says.
        "notes": [str(note) for note in result.notes if note.kind not in SAID_BY_READERS],
        **_items_of(result),
        "holds": {"metrics": list(result.scores.metrics), "columns": list(result.scores.sums.columns)},
    }
    channels = {
        name: scores_to_dict(scores) if scores.has_sums else {"metrics": _table_to_dict(scores.metrics)}
        for name, scores in result.channels.items()
    }
    kept = {} if result.channel_sums is None else {CHANNEL_SUMS: {"sha256": result.channel_sums.sha256}}
    return head | scores_to_dict(result.scores) | {"channels": channels} | kept


def _items_of(result: Result) -> dict[str, Any]:
    """The digest of a result's items, null without any; nothing of a result whose file did not say."""
    sha256 = result.items_sha256 if result.items is None else result.items.sha256()
    return {} if sha256 is None else {"items_sha256": sha256 or None}


def read_values(path: Path) -> dict[str, Any]:
    """Read the JSON values of a result file.

    Raises:
        ResultError: It cannot be read, or is no result of this schema.
    """
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}", hint=WRITING) from error
    except (ValueError, RecursionError) as error:
        raise ResultError(f"{path} is not JSON ({error})", hint=WRITING) from error
    if not isinstance(values, dict) or "schema" not in values or "per_image" not in values:
        raise ResultError(f"{path} is no attneval result", hint="write one with attneval score -o result.json")
    if values["schema"] != SCHEMA:
        raise ResultError(
            f"{path} has schema {values['schema']!r}, but this attneval reads {SCHEMA}",
            hint="score the export again with this version",
        )
    return values


def load_fields(path: Path) -> dict[str, Any]:
    """Read the fields of the `Result` that a file holds.

    Raises:
        ResultError: It cannot be read, is no result of this schema or does not hold what it says.
    """
    values = read_values(path)
    try:
        return fields_from_dict(values, path)
    except ValueError as error:
        raise ResultError(f"{path} is a damaged result: {error}", hint="score the export again") from error
    except (ProtocolError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
        raise ResultError(f"{path} is a damaged result ({error!r})", hint="score the export again") from error


def fields_from_dict(values: dict[str, Any], path: Path | None = None) -> dict[str, Any]:
    """Make the fields of a `Result` from JSON values.

    Args:
        values: The values.
        path: The file that they stand in, which the sums of many channels stand beside.

    Raises:
        ValueError: They contradict one another or what they say they hold; other errors of reading plain values are
            left to the caller.
    """
    protocol = Protocol.parse(values["signature"])
    if replace(Protocol.from_dict(values["protocol"]), definitions=protocol.definitions) != protocol:
        raise ValueError("signature and protocol differ")
    resamples, seed = (check_whole(f"bootstrap {name}", values["bootstrap"][name]) for name in ("resamples", "seed"))
    if resamples > MOST_RESAMPLES:
        raise ValueError(f"bootstrap resamples is {resamples}, more than {MOST_RESAMPLES}")
    scores = scores_from_dict(values)
    holdings = Holdings.of_file(values.get("holds"), scores)
    check_scores(scores, protocol, holdings)
    counts = values["counts"]
    check_counts(counts, scores)
    scores, left_out = held_against_sums(scores, protocol, resamples=resamples, seed=seed)
    computed = computed_notes(scores.metrics, counts, protocol)
    channels: dict[str, Scores] = {}
    for name, channel in values["channels"].items():
        where, read = f"channels {name} ", _channel_from_dict(channel)
        if not read.has_sums:
            channels[str(name)] = read
            continue
        check_scores(read, protocol, holdings.of_attention, where=where)
        channels[str(name)], _ = held_against_sums(
            read, protocol, resamples=resamples, seed=seed, intervals=False, where=where
        )
    notes = [note_of(str(text), computed) for text in values["notes"]]
    notes += _unknown(scores.metrics) + notes_on_left_out(left_out, protocol)
    return {
        "name": str(values["name"]),
        "protocol": protocol,
        "scores": scores,
        "counts": counts,
        "channels": channels,
        "channel": str(values.get("channel", "")),
        "averaged": tuple(map(str, values.get("averaged", ()))),
        "channel_sums": _channel_sums(values.get(CHANNEL_SUMS), path),
        "inputs": [Input(**item) for item in values["inputs"]],
        "model": dict(values["model"]),
        "notes": notes,
        "partial": bool(values["partial"]),
        "ground_truth": str(values["ground_truth"]),
        "resamples": resamples,
        "seed": seed,
        "version": str(values["attneval"]),
        "regions": check_regions(values.get("regions", {}), scores),
        "region_kind": check_choice("region_kind", values.get("region_kind", ""), REGION_KINDS),
        "items_sha256": check_digest(values["items_sha256"]) if "items_sha256" in values else None,
        "auto": tuple(check_choice("auto", name, AUTO_FIELDS) for name in values.get("auto", ())),
    }


def _channel_sums(values: dict[str, Any] | None, path: Path | None) -> StoredChannels | None:
    if values is None:
        return None
    sha256 = str(values["sha256"])
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{CHANNEL_SUMS} sha256 is {sha256!r}")
    return StoredChannels(sha256, None if path is None else channels_path(path))


def _channel_from_dict(values: dict[str, Any]) -> Scores:
    """The scores of a channel; of many channels there are metrics alone."""
    if "per_image" in values:
        return scores_from_dict(values)
    return Scores(_table_from_dict(values["metrics"]), {}, {}, None, ImageSums([], {}))


def _unknown(names: Iterable[str]) -> list[Note]:
    """Note the metrics of a newer file."""
    unknown = [name for name in names if find_metric(name) is None]
    if not unknown:
        return []
    text = f"metrics that this attneval does not know are kept, but not shown: {', '.join(unknown)}"
    return [Note(text, UNKNOWN_METRICS)]


def scores_to_dict(scores: Scores) -> dict[str, Any]:
    """Give scores as JSON values."""
    return {
        "metrics": _table_to_dict(scores.metrics),
        "baselines": {base: _table_to_dict(table) for base, table in scores.baselines.items()},
        "by": {
            kind: {group: _table_to_dict(table) for group, table in groups.items()}
            for kind, groups in scores.by.items()
        },
        "by_baselines": {
            kind: {
                group: {base: _table_to_dict(table) for base, table in floors.items()}
                for group, floors in groups.items()
            }
            for kind, groups in scores.by_baselines.items()
        },
        "by_images": scores.by_images,
        "curve": None if scores.curve is None else vars(scores.curve),
        "per_image": _sums_to_dict(scores.sums),
        "totals": scores.totals,
    }


def scores_from_dict(values: dict[str, Any]) -> Scores:
    """Make scores from JSON values."""
    return Scores(
        metrics=_table_from_dict(values["metrics"]),
        baselines={base: _table_from_dict(table) for base, table in values["baselines"].items()},
        by={
            kind: {group: _table_from_dict(table) for group, table in groups.items()}
            for kind, groups in values["by"].items()
        },
        by_baselines={
            kind: {
                group: {base: _table_from_dict(table) for base, table in floors.items()}
                for group, floors in groups.items()
            }
            for kind, groups in values.get("by_baselines", {}).items()
        },
        by_images={
            kind: {group: int(count) for group, count in groups.items()}
            for kind, groups in values.get("by_images", {}).items()
        },
        curve=None if values["curve"] is None else _curve(**values["curve"]),
        sums=_sums_from_dict(values["per_image"]),
        totals=values["totals"],
    )


def _table_to_dict(table: dict[str, Measured]) -> dict[str, Any]:
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


def _table_from_dict(table: dict[str, Any]) -> dict[str, Measured]:
    """Metrics by name; what stands in an older file under an alias, too, is left out."""
    found = {name: find_metric(name) for name in table}
    return {
        name: _measured(values) if found[name] else replace(_measured(values), higher_is_better=_direction(values))
        for name, values in table.items()
        if not ((metric := found[name]) and metric.name != name and metric.name in table)
    }


def _direction(values: dict[str, Any]) -> bool:
    return bool(values["higher_is_better"])


def _measured(values: dict[str, Any]) -> Measured:
    value, ci = values["value"], values["ci"]
    if value is not None:
        value = _finite(value)
    return Measured(value, int(values["n"]), _interval(ci), above_floor=_gap(values.get("above_floor")))


def _interval(ci: list[float] | None) -> tuple[float, float] | None:
    return None if ci is None else (_finite(ci[0]), _finite(ci[1]))


def _gap(values: dict[str, Any] | None) -> FloorGap | None:
    if values is None:
        return None
    return FloorGap(str(values["floor"]), _finite(values["difference"]), _interval(values["ci"]))


def _curve(rule: str, **lists: list[float]) -> Curve:
    return Curve(str(rule), **{name: [_finite(value) for value in values] for name, values in lists.items()})


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number")
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
            columns[name] = np.array(column, np.float64)
            if columns[name].shape != (len(image_id),):
                raise ValueError(f"per_image {name} has {columns[name].shape} entries for {len(image_id)} images")
            if not np.isfinite(columns[name]).all():
                raise ValueError(f"per_image {name} has entries that are no numbers")
    by = {
        kind: {group: _rows_from_dict(f"{kind} {group}", values, len(image_id)) for group, values in groups.items()}
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
    row = np.array(values[ROW], np.int64)
    if row.ndim != 1 or (len(row) and not 0 <= row[0] <= row[-1] < images) or (np.diff(row) <= 0).any():
        raise ValueError(f"per_image {GROUPS} {where} {ROW} does not ascend within {images} images")
    columns = {name: np.array(column, np.float64) for name, column in values.items() if name != ROW}
    for name, column in columns.items():
        if column.shape != row.shape or not np.isfinite(column).all():
            raise ValueError(f"per_image {GROUPS} {where} {name} is no list of {len(row)} numbers")
    return ImageRows(row, columns)
