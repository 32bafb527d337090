"""The result of scoring one system: its values and what they were computed from."""

from __future__ import annotations

import json
from dataclasses import field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from attneval._version import __version__
from attneval.arrays.records import record
from attneval.config.options import RESAMPLES, SEED
from attneval.errors import MetricError, first_of, suggestion
from attneval.metrics.registry import find_metric
from attneval.results.channel_sums import channels_path
from attneval.results.json_form import load_fields, result_to_dict
from attneval.results.notes import Note
from attneval.results.shown import Drawn
from attneval.storage.addresses import located
from attneval.storage.whole_files import encoded, write_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attneval.config.protocol import Protocol
    from attneval.results.channel_sums import StoredChannels
    from attneval.results.items import ItemTable
    from attneval.results.joint import Joint
    from attneval.results.part import Part
    from attneval.results.scores import Curve, Input, Measured, Scores

ITEMS_SUFFIX = ".items.npz"
COUNTED = ("images", "captions", "items")
"""The counts that `repr` shows."""


def items_path(path: Path) -> Path:
    """Name the file of a result's items: `result.json` has them in `result.items.npz`."""
    return path if path.name.endswith(ITEMS_SUFFIX) else path.with_name(path.stem + ITEMS_SUFFIX)


@record
class Result(Drawn):
    """The scores of one system, with what they were made from.

    `result["f1"]` is the value of a metric, `result.metrics["f1"]` that with its interval, and
    `result.by["type"]["people"]["f1"]` that of a group of items; aliases of metrics are found as well. Notebooks show a
    result as tables, `plot()` draws it and `to_frame()` lists its numbers.

    Attributes:
        name: The system's name in tables.
        protocol: The choices under which it was scored.
        scores: The headline: the protocol's first direction, the mean over channels.
        channels: All directions and channels, when there are several; of many channels the metrics alone.
        channel: The channel that was asked for; empty for the mean of all.
        averaged: The names of the channels whose mean that is; empty for all.
        channel_sums: The per-image sums of many channels, which stand in a file beside the result.
        counts: The numbers of images, captions, phrases, items, ..., and of what was left out.
        inputs: The files.
        model: The export's description of its model.
        notes: Remarks that a reader of the numbers needs; texts, of which each `Note` has a kind.
        partial: True if only some images were scored (`--limit`, `--part`); such a result passes no gate.
        ground_truth: The format of the annotations, empty without any.
        resamples: Bootstrap resamples behind the intervals.
        seed: The seed of the resamples.
        version: The attneval that made it.
        regions: The fingerprint of each image's regions, by its id; results of attneval before version 2 of the
            signature have none.
        region_kind: `cells` (grids and tiles) or `boxes`; empty without regions.
        auto: The fields of the protocol that were settled from `auto`.
        relevance: A digest of each relevance set's contents, by its name.
        part: What the whole needs of it, of a result that is one of its parts (`--part`).
        items: The items one by one, if they were asked for; kept in a file of their own, not in the JSON.
        joint: Whether attending right goes with retrieving right; None without both.
        items_sha256: The digest of the items that a file was written with; empty for none, None where it does not say.
    """

    _tables: ClassVar[str] = "attneval.report.score:score_page"
    _values: ClassVar[str] = "attneval.report.delimited:result_lines"
    _figures: ClassVar[tuple[str, ...]] = ("score", "curve", "heads")

    name: str
    protocol: Protocol
    scores: Scores
    counts: dict[str, int]
    channels: dict[str, Scores] = field(default_factory=dict)
    channel: str = ""
    averaged: tuple[str, ...] = ()
    channel_sums: StoredChannels | None = None
    inputs: list[Input] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    partial: bool = False
    ground_truth: str = ""
    resamples: int = RESAMPLES
    seed: int = SEED
    version: str = __version__
    regions: dict[str, str] = field(default_factory=dict)
    region_kind: str = ""
    auto: tuple[str, ...] = ()
    relevance: dict[str, str] = field(default_factory=dict)
    part: Part | None = None
    items: ItemTable | None = None
    items_sha256: str | None = ""
    joint: Joint | None = None

    def __post_init__(self) -> None:
        """Make notes of texts."""
        notes = [note if isinstance(note, Note) else Note(note) for note in self.notes]
        object.__setattr__(self, "notes", notes)

    @property
    def metrics(self) -> dict[str, Measured]:
        """The headline's metrics by name."""
        return self.scores.metrics

    @property
    def baselines(self) -> dict[str, dict[str, Measured]]:
        """The headline's floors and its ceiling, by name and metric."""
        return self.scores.baselines

    @property
    def by(self) -> Mapping[str, Mapping[str, dict[str, Measured]]]:
        """The headline's metrics by kind of group (`type`, `area`, `length`), name of the group and metric."""
        return self.scores.by

    @property
    def curve(self) -> Curve | None:
        """The headline's precision, recall and F1 over thresholds; None without maps."""
        return self.scores.curve

    @property
    def signature(self) -> str:
        """The protocol on one line."""
        return self.protocol.signature()

    @property
    def short_signature(self) -> str:
        """The fields that differ from the defaults, with the version and the bootstrap, which change no value."""
        return self.protocol.short_signature(version=self.version, resamples=self.resamples, seed=self.seed)

    @property
    def partial_by(self) -> str:
        """The flag that left images out of a partial result."""
        return "--limit" if self.part is None else "--part"

    def measured(self, name: str) -> Measured | None:
        """Look up a metric with its interval by a name or alias; None if it was not measured."""
        metric = find_metric(name)
        return self.metrics.get(name if metric is None else metric.name)

    def __getitem__(self, name: str) -> float | None:
        measured = self.measured(name)
        if measured is None:
            state = "does not exist" if find_metric(name) is None else "was not measured"
            listed = f"it has {first_of(list(self.metrics), show=len(self.metrics))}"
            raise MetricError(f"metric {name!r} {state} in {self.name}", hint=suggestion(name, self.metrics, listed))
        return measured.value

    def __repr__(self) -> str:
        """A few lines: what was scored, the headline with its intervals, the signature."""
        shown = [
            f"{name} {'undefined' if m.value is None else format(m.value, '.4f')}"
            + ("" if m.ci is None else f" [{m.ci[0]:.4f}, {m.ci[1]:.4f}]")
            for name, m in self.metrics.items()
            if (metric := find_metric(name)) and (metric.main or metric.headline == self.protocol.average)
        ]
        counted = ", ".join(f"{self.counts[name]} {name}" for name in COUNTED if name in self.counts)
        lines = [f"Result {self.name!r}{' (PARTIAL)' if self.partial else ''}: {counted}", f"  {', '.join(shown)}"]
        return "\n".join(
            [*lines, f"  {len(self.metrics)} metrics, {len(self.notes)} notes", f"  {self.short_signature}"]
        )

    def to_dict(self) -> dict[str, Any]:
        """Give the result as JSON values; the schema is in docs/metrics.md."""
        return result_to_dict(self)

    def to_json(self) -> str:
        """Give the result as one line of JSON."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False) + "\n"

    def save(self, path: Path | str) -> None:
        """Write the result as JSON, and the sums of many channels beside it, all of it or nothing."""
        path = Path(path)
        text = encoded(self.to_json())
        write_together([*self.beside(path), (path, lambda file: file.write(text))])
        if self.channel_sums is None:
            channels_path(path).unlink(missing_ok=True)

    def beside(self, path: Path) -> list[tuple[Path, Callable[[IO[bytes]], object]]]:
        """List the files that belong to a result's file, each with what writes it."""
        return [] if self.channel_sums is None else [(channels_path(path), self.channel_sums.table.write)]

    @classmethod
    def load(cls, path: Path | str) -> Result:
        """Read a result file.

        Raises:
            ResultError: It cannot be read, is no result of this schema, or does not hold what it says.
        """
        return cls(**load_fields(located(path)))
