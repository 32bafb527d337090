"""The parts of a result: measured values, curves, and the sums that they were computed from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attneval.arrays.records import record
from attneval.metrics.faithfulness import has_faithfulness
from attneval.metrics.populations import has_attention
from attneval.metrics.retrieval import has_retrieval
from attneval.storage.digests import PARTIAL_DIGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attneval.metrics.totals import Totals
    from attneval.statistics.image_sums import ImageSums


@dataclass(frozen=True)
class Input:
    """A file that went into a result.

    Attributes:
        role: `attn`, `gt`, `similarity`, `relevance`, `boxes`, `split`, or another flag of a file.
        path: As it was given.
        sha256: The digest of its bytes; for a directory, of the lines `sha256sum` prints for the files read, sorted by
            name; for a file that was not read whole, `partial:` and a digest of what it is known by.
    """

    role: str
    path: str
    sha256: str

    @property
    def is_partial(self) -> bool:
        """True if the file was not read whole."""
        return self.sha256.startswith(PARTIAL_DIGEST)


@dataclass(frozen=True)
class FloorGap:
    """The difference of a value to its highest floor, over the items that have that floor.

    Attributes:
        floor: The floor's name.
        difference: The value minus the floor's.
        ci: The 95 % interval of the difference, paired by image; None where there is none.
    """

    floor: str
    difference: float
    ci: tuple[float, float] | None = None


@dataclass(frozen=True)
class Measured:
    """A measured value.

    Attributes:
        value: Unrounded; None where it is undefined.
        n: The number of items, queries or captions that it is a mean over.
        ci: The 95 % interval, None where there is none.
        higher_is_better: The direction of what is good as a file has it, for a metric that this attneval does not
            know; None for all others, of which the registry has it.
        above_floor: The difference to the highest floor; None where it has none.
    """

    value: float | None
    n: int
    ci: tuple[float, float] | None = None
    higher_is_better: bool | None = None
    above_floor: FloorGap | None = None


@dataclass(frozen=True)
class Curve:
    """Precision, recall and F1 over the thresholds of a rule.

    Attributes:
        rule: `uniform`, `abs`, `max`, `top` or `mass`.
        parameter: The thresholds, ascending.
        precision: Mean over items at each threshold; so are the others.
        recall: See `precision`.
        f1: See `precision`.
    """

    rule: str
    parameter: list[float]
    precision: list[float]
    recall: list[float]
    f1: list[float]

    @property
    def area_under_pr(self) -> float:
        """The area under precision over recall, by trapezoids between neighbouring thresholds that find anything.

        Below the smallest such recall precision is taken to stay as it is; beyond the largest there is nothing.
        """
        points = [(r, p) for r, p in zip(self.recall, self.precision, strict=True) if r > 0]
        if points and points[0][0] > points[-1][0]:
            points.reverse()  # the strictest threshold finds least and comes first
        if not points:
            return 0.0
        points.insert(0, (0.0, points[0][1]))
        return sum((r1 - r0) * (p0 + p1) / 2 for (r0, p0), (r1, p1) in itertools.pairwise(points))

    @property
    def best(self) -> int:
        """The place of the threshold with the largest F1."""
        return self.f1.index(max(self.f1))


@record
class Scores:
    """Everything measured in one direction and channel.

    Attributes:
        metrics: By name.
        baselines: By name of the baseline and of the metric.
        by: By kind of group, name of the group and of the metric; measured when it is looked at.
        by_baselines: By kind and name of the group, the baseline and the metric.
        by_images: By kind and name of the group, how many images have items of it.
        curve: The sweep of the threshold; None without maps.
        sums: The per-image sums that all this was computed from.
        totals: The exact totals of what is not kept per image.
    """

    metrics: dict[str, Measured]
    baselines: dict[str, dict[str, Measured]]
    by: Mapping[str, Mapping[str, dict[str, Measured]]]
    curve: Curve | None
    sums: ImageSums
    totals: Totals = field(default_factory=dict)
    by_baselines: Mapping[str, Mapping[str, dict[str, dict[str, Measured]]]] = field(default_factory=dict)
    by_images: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def has_sums(self) -> bool:
        """False for one of many channels, of which the metrics alone are kept."""
        return bool(self.sums.image_id)

    @property
    def has_attention(self) -> bool:
        """True if attention maps were scored."""
        return has_attention(self.sums.columns)

    @property
    def has_retrieval(self) -> bool:
        """True if similarities were scored."""
        return has_retrieval(self.sums.columns)

    @property
    def has_faithfulness(self) -> bool:
        """True if scores of perturbed images were measured."""
        return has_faithfulness(self.sums.columns)
