"""The JSON form of a result: written whole, and read back to the last bit.

A file says which metrics and columns it holds, and is checked against that. A metric that this attneval does not know
is kept as it is, so that writing the result again loses nothing; one that was declared since is simply not there.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attneval.config.options import MOST_RESAMPLES
from attneval.config.protocol import Protocol
from attneval.errors import ProtocolError, ResultError
from attneval.metrics.registry import find_metric
from attneval.results.channel_sums import StoredChannels, channels_path
from attneval.results.fields import (
    AUTO_FIELDS,
    REGION_KINDS,
    check_choice,
    check_digest,
    check_digests,
    check_regions,
    check_whole,
    lacking,
)
from attneval.results.held import held_against_sums, notes_on_left_out
from attneval.results.joint_form import joint_to_dict
from attneval.results.notes import SAID_BY_READERS, UNKNOWN_METRICS, Note, computed_notes, mean_of_many, note_of
from attneval.results.part import Part
from attneval.results.scores import Input, Scores
from attneval.results.scores_form import scores_from_dict, scores_to_dict, table_from_dict, table_to_dict
from attneval.results.validation import Holdings, check_counts, check_scores
from attneval.statistics.image_sums import ImageSums
from attneval.storage.read_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from attneval.results.joint import Joint

SCHEMA = 1
"""Raised when those who read files have to change; a new metric or column is no such change."""
WRITING = "a result is written by attneval score -o result.json"
JOINT = "joint"
CHANNEL_SUMS = "channel_sums"
"""What a file says of the sums beside it."""


def result_to_dict(result: Any) -> dict[str, Any]:
    """Give a result as JSON values; docs/metrics.md has the schema.

    Args:
        result: A `Result`, whose own methods call this; it is not imported, so that no two files need each other.
    """
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "attneval": result.version,
        "name": result.name,
        "signature": result.signature,
        "protocol": result.protocol.to_dict(),
        "ground_truth": result.ground_truth,
        "auto": list(result.auto),
        "partial": result.partial,
        **({} if result.part is None else {"part": vars(result.part)}),
        **({"channel": result.channel, "averaged": list(result.averaged)} if result.channel else {}),
        "model": result.model,
        "inputs": [vars(item) for item in result.inputs],
        "counts": result.counts,
        "region_kind": result.region_kind,
        "regions": result.regions,
        **({"relevance": result.relevance} if result.relevance else {}),
        "bootstrap": {"resamples": result.resamples, "seed": result.seed, "confidence": 0.95},
        # What a reader was told of a file is not what the file says.
        "notes": [str(note) for note in result.notes if note.kind not in SAID_BY_READERS],
        **_items_of(result),
        "holds": {"metrics": list(result.scores.metrics), "columns": list(result.scores.sums.columns)},
    }
    channels = {
        name: scores_to_dict(scores) if scores.has_sums else {"metrics": table_to_dict(scores.metrics)}
        for name, scores in result.channels.items()
    }
    kept = {} if result.channel_sums is None else {CHANNEL_SUMS: {"sha256": result.channel_sums.sha256}}
    joint = {} if result.joint is None else {JOINT: joint_to_dict(result.joint)}
    return head | scores_to_dict(result.scores) | joint | {"channels": channels} | kept


def _items_of(result: Any) -> dict[str, Any]:
    """The digest of a result's items, null without any; nothing of a result whose file did not say."""
    sha256 = result.items_sha256 if result.items is None else result.items.sha256()
    return {} if sha256 is None else {"items_sha256": sha256 or None}


def read_values(path: Path) -> dict[str, Any]:
    """Read the JSON values of a result file.

    Raises:
        ResultError: It cannot be read, or is no result of this schema.
    """
    try:
        values = json.loads(read_bytes(path, error=ResultError))
    except ResultError as error:
        raise ResultError(error.message, hint=WRITING) from error
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
    if missing := lacking(values):
        raise ValueError(f"it has no {', '.join(missing)}")
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
    computed.append(mean_of_many(len({key.rpartition("/")[0] for key in channels})))
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
        "joint": _joint(values, scores, resamples=resamples, seed=seed) if protocol.definitions > 1 else None,
        "items_sha256": check_digest(values["items_sha256"]) if "items_sha256" in values else None,
        "relevance": check_digests("relevance", values.get("relevance", {})),
        "part": Part.from_dict(values["part"]) if values.get("part") is not None else None,
        "auto": tuple(check_choice("auto", name, AUTO_FIELDS) for name in values.get("auto", ())),
    }


def _joint(values: dict[str, Any], scores: Scores, *, resamples: int, seed: int) -> Joint | None:
    if JOINT not in values:
        return None
    # What few files have is imported for them alone.
    from attneval.results.joint_form import joint_from_dict

    return joint_from_dict(values[JOINT], scores.sums, resamples=resamples, seed=seed)


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
    return Scores(table_from_dict(values["metrics"]), {}, {}, None, ImageSums([], {}))


def _unknown(names: Iterable[str]) -> list[Note]:
    """Note the metrics of a newer file."""
    unknown = [name for name in names if find_metric(name) is None]
    if not unknown:
        return []
    text = f"metrics that this attneval does not know are kept, but not shown: {', '.join(unknown)}"
    return [Note(text, UNKNOWN_METRICS)]
