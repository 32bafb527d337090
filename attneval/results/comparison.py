"""The systems that are compared, and what a comparison says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from attneval.config.options import ALPHA, TRIALS
from attneval.errors import MetricError, suggestion
from attneval.metrics.registry import find_metric
from attneval.results.result import Result
from attneval.results.shown import Drawn

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class System:
    """A system to compare.

    Attributes:
        name: Its name.
        runs: Its results, several for several training seeds.
    """

    name: str
    runs: tuple[Result, ...]

    @classmethod
    def of_one_run(cls, source: System | Result | Path | str) -> System:
        """Make a system of one result or of its file; a system stays what it is.

        Raises:
            ResultError: The file cannot be read.
        """
        if isinstance(source, System):
            return source
        result = source if isinstance(source, Result) else Result.load(source)
        return cls(result.name, (result,))


@dataclass(frozen=True)
class Difference:
    """A system's difference from another in one metric.

    Attributes:
        delta: Its value minus the other's.
        ci: The 95 % interval of that; None for a single image.
        p: The two-sided p-value.
        p_holm: The same, adjusted over the comparison's family of tests; None for a metric that is not in it.
        wins: Images on which it is better.
        ties: Images on which both are the same.
        losses: Images on which it is worse.
    """

    delta: float
    ci: tuple[float, float] | None
    p: float
    p_holm: float | None
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True)
class Line:
    """One metric over all systems.

    Attributes:
        metric: Its name.
        values: By system; None where a system does not have it.
        intervals: By system.
        differences: By system against the base; None for the base itself and where either lacks the metric.
        better_than: By system, the systems that it is significantly better than.
        best: The systems with the best value.
        n: By system, the number of items, queries or captions that the value is a mean over; None where it has none.
    """

    metric: str
    values: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    differences: tuple[Difference | None, ...]
    better_than: tuple[tuple[int, ...], ...]
    best: tuple[int, ...]
    n: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Comparison(Drawn):
    """Systems compared.

    `comparison["f1"]` is the line of a metric. Notebooks show a comparison as tables, `plot()` draws it and
    `to_frame()` lists its numbers.

    Attributes:
        names: The systems, the base first; systems of one name are numbered.
        lines: One per metric.
        images: How many images all are compared on.
        signature: The base's protocol.
        signatures: By system, its protocol.
        alpha: The level of significance of `better_than`, after adjustment.
        trials: Random swaps behind each p-value.
        notes: What a reader has to know: fields that differ, images left out, runs per system, low coverage.
        family: The metrics whose p-values are adjusted together, and that have letters.
        images_with_items: How many of the images have items or queries in every system.
        across_regions: True if all items count, since systems may attend to different regions.
    """

    _tables: ClassVar[str] = "attneval.report.compare:compare_page"
    _values: ClassVar[str] = "attneval.report.compare:compare_lines"
    _figures: ClassVar[tuple[str, ...]] = ("compare",)

    names: tuple[str, ...]
    lines: tuple[Line, ...]
    images: int
    signature: str
    signatures: tuple[str, ...] = ()
    alpha: float = ALPHA
    trials: int = TRIALS
    notes: tuple[str, ...] = field(default=())
    family: tuple[str, ...] = ()
    images_with_items: int = 0
    across_regions: bool = False

    def __getitem__(self, name: str) -> Line:
        metric, lines = find_metric(name), {line.metric: line for line in self.lines}
        line = lines.get(name if metric is None else metric.name)
        if line is None:
            hint = suggestion(name, lines, f"it has {', '.join(lines)}")
            raise MetricError(f"the comparison has no metric {name!r}", hint=hint)
        return line
