"""The result of scoring one system: values, what they were computed from, and JSON in and out."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval._version import __version__
from attneval.config.options import RESAMPLES, SEED
from attneval.config.protocol import Protocol
from attneval.errors import ProtocolError, ResultError
from attneval.metrics.registry import REGISTRY, metrics
from attneval.results.scores import Curve, Measured, Scores
from attneval.results.validation import check_counts, check_scores
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable
from attneval.storage.whole_files import write_text

if TYPE_CHECKING:
    from attneval.results.items import ItemTable

SCHEMA = 1
ITEMS_SUFFIX = ".items.npz"


def items_path(path: Path) -> Path:
    """Where the items of a result are: `result.json` has them in `result.items.npz`."""
    return path if path.name.endswith(ITEMS_SUFFIX) else path.with_name(path.stem + ITEMS_SUFFIX)


@dataclass(frozen=True)
class Input:
    """A file that went into a result.

    Attributes:
        role: `attn`, `gt`, `similarity`, `boxes` or `split`.
        path: As it was given.
        sha256: Of its bytes; for a directory, of the lines `sha256sum` prints for the files read, sorted by name.
    """

    role: str
    path: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Result:
    """What one system scored.

    `result["f1"]` is the value of a metric, `result.metrics["f1"]` that with its interval.

    Attributes:
        name: How the system is called in tables.
        protocol: Under which choices it was scored.
        scores: The headline: the protocol's first direction, the mean over channels.
        channels: All directions and channels, when there are several.
        counts: How many images, captions, phrases, items, ... there were, and what was left out.
        inputs: The files.
        model: What the export says of its model.
        notes: What a reader of the numbers has to know.
        partial: Whether only some images were scored (`--limit`); such a result passes no gate.
        ground_truth: The format of the annotations, empty without any.
        resamples: Bootstrap resamples behind the intervals.
        seed: Of the resamples.
        version: The attneval that made it.
        items: The items one by one, if they were asked for; kept in a file of their own, not in the JSON.
    """

    name: str
    protocol: Protocol
    scores: Scores
    counts: dict[str, int]
    channels: dict[str, Scores] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    partial: bool = False
    ground_truth: str = ""
    resamples: int = RESAMPLES
    seed: int = SEED
    version: str = __version__
    items: ItemTable | None = None

    @property
    def metrics(self) -> dict[str, Measured]:
        """The headline's metrics by name."""
        return self.scores.metrics

    @property
    def signature(self) -> str:
        """The protocol on one line."""
        return self.protocol.signature()

    def __getitem__(self, name: str) -> float | None:
        return self.scores.metrics[name].value

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values; the schema is in docs/metrics.md."""
        head: dict[str, Any] = {
            "schema": SCHEMA,
            "attneval": self.version,
            "name": self.name,
            "signature": self.signature,
            "protocol": self.protocol.to_dict(),
            "ground_truth": self.ground_truth,
            "partial": self.partial,
            "model": self.model,
            "inputs": [vars(item) for item in self.inputs],
            "counts": self.counts,
            "bootstrap": {"resamples": self.resamples, "seed": self.seed, "confidence": 0.95},
            "notes": self.notes,
        }
        return (
            head
            | _scores_to_dict(self.scores)
            | {"channels": {k: _scores_to_dict(v) for k, v in self.channels.items()}}
        )

    def to_json(self) -> str:
        """The result as one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False) + "\n"

    def save(self, path: Path | str) -> None:
        """Write the result as JSON, whole or not at all."""
        write_text(Path(path), self.to_json())

    @classmethod
    def load(cls, path: Path | str) -> Result:
        """Read a result file.

        Raises:
            ResultError: It cannot be read, or is no result of this schema.
        """
        path = Path(path)
        try:
            values = json.loads(path.read_bytes())
        except OSError as error:
            raise ResultError(
                f"{path}: {error.strerror}", hint="a result is written by attneval score -o result.json"
            ) from error
        except (ValueError, RecursionError) as error:
            raise ResultError(
                f"{path} is not JSON ({error})", hint="a result is written by attneval score -o result.json"
            ) from error
        if not isinstance(values, dict) or "schema" not in values or "per_image" not in values:
            raise ResultError(f"{path} is no attneval result", hint="write one with attneval score -o result.json")
        if values["schema"] != SCHEMA:
            raise ResultError(
                f"{path} has schema {values['schema']!r}, but this attneval reads {SCHEMA}",
                hint="score the export again with this version",
            )
        try:
            return cls._from_dict(values)
        except ValueError as error:
            raise ResultError(f"{path} is a damaged result: {error}", hint="score the export again") from error
        except (ProtocolError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
            raise ResultError(f"{path} is a damaged result ({error!r})", hint="score the export again") from error

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> Result:
        protocol = Protocol.from_dict(values["protocol"])
        if Protocol.parse(values["signature"]) != protocol:
            raise ValueError("signature and protocol differ")
        scores = _scores_from_dict(values)
        check_scores(scores, protocol)
        check_counts(values["counts"], scores)
        channels = {str(k): _scores_from_dict(v) for k, v in values["channels"].items()}
        for name, channel in channels.items():
            check_scores(channel, protocol, where=f"channels {name} ")
        return cls(
            name=str(values["name"]),
            protocol=protocol,
            scores=scores,
            counts=values["counts"],
            channels=channels,
            inputs=[Input(**item) for item in values["inputs"]],
            model=dict(values["model"]),
            notes=[str(note) for note in values["notes"]],
            partial=bool(values["partial"]),
            ground_truth=str(values["ground_truth"]),
            resamples=int(values["bootstrap"]["resamples"]),
            seed=int(values["bootstrap"]["seed"]),
            version=str(values["attneval"]),
        )


def _scores_to_dict(scores: Scores) -> dict[str, Any]:
    metrics()  # the table of metrics knows the directions
    return {
        "metrics": {name: _measured_to_dict(name, m) for name, m in scores.metrics.items()},
        "baselines": {
            base: {name: _measured_to_dict(name, m) for name, m in table.items()}
            for base, table in scores.baselines.items()
        },
        "by": {
            kind: {
                group: {name: _measured_to_dict(name, m) for name, m in table.items()}
                for group, table in groups.items()
            }
            for kind, groups in scores.by.items()
        },
        "curve": None if scores.curve is None else vars(scores.curve),
        "per_image": _sums_to_dict(scores.sums),
        "totals": scores.totals,
    }


def _scores_from_dict(values: dict[str, Any]) -> Scores:
    return Scores(
        metrics=_measured_table(values["metrics"]),
        baselines={base: _measured_table(table) for base, table in values["baselines"].items()},
        by={
            kind: {group: _measured_table(table) for group, table in groups.items()}
            for kind, groups in values["by"].items()
        },
        curve=None if values["curve"] is None else _curve(**values["curve"]),
        sums=_sums_from_dict(values["per_image"]),
        totals=values["totals"],
    )


def _measured_to_dict(name: str, measured: Measured) -> dict[str, Any]:
    return {
        "value": measured.value,
        "ci": None if measured.ci is None else list(measured.ci),
        "n": measured.n,
        "higher_is_better": REGISTRY[name].higher_is_better,
    }


def _measured_table(table: dict[str, Any]) -> dict[str, Measured]:
    known = {metric.name for metric in metrics()}
    unknown = [name for name in table if name not in known]
    if unknown:
        raise ValueError(f"there is no metric {unknown[0]}")
    return {name: _measured(values) for name, values in table.items()}


def _measured(values: dict[str, Any]) -> Measured:
    value, ci = values["value"], values["ci"]
    if value is not None:
        value = _finite(value)
    return Measured(value, int(values["n"]), None if ci is None else (_finite(ci[0]), _finite(ci[1])))


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
        kinds = (("ranks", ranks.rank), ("folds", ranks.fold))[: 1 + bool(ranks.fold.any())]
        for kind, values in kinds:
            order = np.argsort(ranks.image, kind="stable")
            bound = np.searchsorted(ranks.image[order], np.arange(len(sums.image_id) + 1)).tolist()
            listed = values[order].tolist()
            table[f"{direction}_{kind}"] = [listed[a:b] for a, b in itertools.pairwise(bound)]
    return table


def _sums_from_dict(table: dict[str, Any]) -> ImageSums:
    image_id = [str(name) for name in table["image_id"]]
    ranks = {}
    for direction in ("i2t", "t2i"):
        if f"{direction}_ranks" in table:
            lists = table[f"{direction}_ranks"]
            folds = table.get(f"{direction}_folds", [[0] * len(values) for values in lists])
            counts = [len(values) for values in lists]
            if len(lists) != len(image_id) or counts != [len(values) for values in folds]:
                raise ValueError(f"per_image {direction}_ranks and its folds do not fit {len(image_id)} images")
            ranks[direction] = RankTable(
                np.repeat(np.arange(len(lists)), counts),
                np.array([_finite(rank) for values in lists for rank in values], np.float64),
                np.array([fold for values in folds for fold in values], np.int64),
            )
    columns = {}
    for name, column in table.items():
        if name != "image_id" and not name.endswith(("_ranks", "_folds")):
            columns[name] = np.array(column, np.float64)
            if columns[name].shape != (len(image_id),):
                raise ValueError(f"per_image {name} has {columns[name].shape} entries for {len(image_id)} images")
            if not np.isfinite(columns[name]).all():
                raise ValueError(f"per_image {name} has entries that are no numbers")
    return ImageSums(image_id, columns, ranks)
