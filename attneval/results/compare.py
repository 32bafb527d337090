"""Systems against a base: differences with paired intervals and tests, from results alone.

The unit is the image. A difference's interval is a percentile bootstrap over images, with the same resamples for every
system; its p-value is from paired approximate randomization. Where a system has several runs (training seeds), its sums
are averaged over runs, and intervals and p-values come from a bootstrap that draws runs as well as images.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attneval.config.options import ALPHA, RESAMPLES, SEED, TRIALS
from attneval.errors import MismatchError, NothingToScoreError, first_of, suggestion
from attneval.metrics.registry import find_metric, metrics
from attneval.results.comparability import check_protocols, common_images, distinct, restricted
from attneval.results.result import Result
from attneval.statistics.bootstrap import bootstrap_repeats, percentile_bounds
from attneval.statistics.holm import holm
from attneval.statistics.image_sums import ImageSums, mean_sums, resampled_runs
from attneval.statistics.randomization import EQUAL, swap_p_values, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.metrics.registry import Metric, Sums


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
        p_holm: The same, adjusted over all p-values of the comparison.
        wins: Images on which it is better.
        ties: Images on which both are the same.
        losses: Images on which it is worse.
    """

    delta: float
    ci: tuple[float, float] | None
    p: float
    p_holm: float
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
    """

    metric: str
    values: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    differences: tuple[Difference | None, ...]
    better_than: tuple[tuple[int, ...], ...]
    best: tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """Systems compared.

    Attributes:
        names: The systems, the base first; systems of one name are numbered.
        lines: One per metric.
        images: How many images all are compared on.
        signature: The base's protocol.
        alpha: The level of significance of `better_than`, after adjustment.
        trials: Random swaps behind each p-value.
        notes: What a reader has to know: fields that differ, images left out, runs per system.
    """

    names: tuple[str, ...]
    lines: tuple[Line, ...]
    images: int
    signature: str
    alpha: float = ALPHA
    trials: int = TRIALS
    notes: tuple[str, ...] = field(default=())


def compare(
    systems: Sequence[System | Result | Path | str],
    *,
    names: Sequence[str] = (),
    intersect: bool = False,
    allow_mismatch: bool = False,
    resamples: int = RESAMPLES,
    trials: int = TRIALS,
    seed: int = SEED,
    alpha: float = ALPHA,
) -> Comparison:
    """Compare systems with the first of them.

    Args:
        systems: At least two: systems, results or paths of result files. Two of one name are numbered.
        names: Metrics to show, by names or aliases; by default those that declare it and that any system has.
        intersect: Compare on the images that all have, if they were scored on different ones.
        allow_mismatch: Compare results made under different protocols; the fields that differ are noted.
        resamples: Bootstrap resamples behind the intervals.
        trials: Random swaps behind each p-value.
        seed: The seed of both.
        alpha: The level of significance.

    Raises:
        MismatchError: Protocols or images differ, and that is not allowed.
        NothingToScoreError: There is nothing to compare.
    """
    if len(systems) < 2:
        raise NothingToScoreError("there is nothing to compare", hint="name a base and at least one candidate")
    compared = [System.of_one_run(source) for source in systems]
    names_of = distinct([system.name for system in compared])
    runs = [(name, run) for name, system in zip(names_of, compared, strict=True) for run in system.runs]
    notes = check_protocols(runs, allow_mismatch=allow_mismatch, way_out="score both alike, or pass --allow-mismatch")
    image_id, dropped = common_images((run.scores.sums.image_id for _, run in runs), intersect=intersect)
    notes += dropped
    samples = _Samples([[restricted(run.scores.sums, image_id) for run in system.runs] for system in compared])
    wanted = _wanted(compared, names)
    table = {
        (j, m.name): v
        for m in wanted
        for j in range(len(compared))
        if math.isfinite(v := value_of(m, samples.total(j)))
    }
    pairs = list(itertools.combinations(range(len(compared)), 2))
    shared = {(i, j): [m for m in wanted if (i, m.name) in table and (j, m.name) in table] for i, j in pairs}
    drawn = samples.draw(resamples, seed)
    single = all(len(system.runs) == 1 for system in compared)
    if single:
        p_values = swap_p_values(samples.means, shared, trials=trials, seed=seed)
    else:
        p_values = _bootstrap_p_values(samples, shared, trials, seed)
        notes.append(
            "several runs of a system are averaged; intervals and p-values allow for runs as well as images, as far "
            f"as {', '.join(f'{len(s.runs)} of {name}' for name, s in zip(names_of, compared, strict=True))} can tell"
        )
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    evidence = _Evidence(samples, drawn, table, p_values, adjusted, alpha)
    lines = [evidence.line(metric) for metric in wanted]
    return Comparison(
        names=tuple(names_of),
        lines=tuple(lines),
        images=len(image_id),
        signature=compared[0].runs[0].signature,
        alpha=alpha,
        trials=trials,
        notes=tuple(notes),
    )


class _Samples:
    """The sums of every run of every system, on the same images."""

    def __init__(self, runs: list[list[ImageSums]]) -> None:
        self.runs = runs
        self.means = [mean_sums(run) for run in runs]
        self._totals = [mean.total() for mean in self.means]

    def total(self, system: int) -> Sums:
        return self._totals[system]

    def draw(self, resamples: int, seed: int) -> list[Sums]:
        """Resampled sums of each system: f8[resamples] by name. Runs are drawn where there are several."""
        images = len(self.means[0].image_id)
        if images < 2 or resamples < 1:
            return []
        repeats = bootstrap_repeats(images, resamples, seed)
        random = np.random.default_rng([seed, 1])
        drawn = []
        for runs, mean in zip(self.runs, self.means, strict=True):
            if len(runs) == 1:
                drawn.append(mean.resampled(repeats))
                continue
            drawn.append(resampled_runs(runs, random.integers(0, len(runs), (resamples, len(runs))), repeats))
        return drawn


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Values, resamples and p-values of all systems and metrics."""

    samples: _Samples
    drawn: list[Sums]
    values: dict[tuple[int, str], float]  # by system and metric
    p: dict[tuple[int, int, str], float]  # by pair of systems and metric
    p_holm: dict[tuple[int, int, str], float]
    alpha: float

    def line(self, metric: Metric) -> Line:
        systems = range(len(self.samples.means))
        values = [self.values.get((j, metric.name)) for j in systems]
        drawn = [metric.value(self.drawn[j]) if self.drawn and values[j] is not None else None for j in systems]
        sign = 1 if metric.higher_is_better else -1
        best = max((sign * value for value in values if value is not None), default=None)
        return Line(
            metric=metric.name,
            values=tuple(values),
            intervals=tuple(None if sample is None else percentile_bounds(sample) for sample in drawn),
            differences=tuple(self._difference(metric, j, values, drawn) for j in systems),
            better_than=tuple(tuple(i for i in systems if self._better(metric, j, i, sign)) for j in systems),
            best=tuple(j for j in systems if (value := values[j]) is not None and sign * value == best),
        )

    def _difference(
        self, metric: Metric, j: int, values: list[float | None], drawn: list[NDArray[np.float64] | None]
    ) -> Difference | None:
        base, value = values[0], values[j]
        if j == 0 or base is None or value is None:
            return None
        a, b = drawn[0], drawn[j]
        key = (0, j, metric.name)
        wins, ties, losses = _by_image(metric, self.samples.means[0], self.samples.means[j])
        ci = None if a is None or b is None else percentile_bounds(b - a)
        return Difference(value - base, ci, self.p[key], self.p_holm[key], wins, ties, losses)

    def _better(self, metric: Metric, j: int, i: int, sign: int) -> bool:
        value, other = self.values.get((j, metric.name)), self.values.get((i, metric.name))
        if i == j or value is None or other is None or sign * (value - other) <= 0:
            return False
        return self.p_holm[min(i, j), max(i, j), metric.name] < self.alpha


def _by_image(metric: Metric, base: ImageSums, other: ImageSums) -> tuple[int, int, int]:
    """On how many images a system is better, the same and worse, where both are defined."""
    if not metric.by_image:
        return 0, 0, 0
    change = metric.value(other.columns) - metric.value(base.columns)
    change = change[np.isfinite(change)] * (1 if metric.higher_is_better else -1)
    return int((change > EQUAL).sum()), int((np.abs(change) <= EQUAL).sum()), int((change < -EQUAL).sum())


def _bootstrap_p_values(
    samples: _Samples, wanted: dict[tuple[int, int], list[Metric]], resamples: int, seed: int
) -> dict[tuple[int, int, str], float]:
    """Twice the smaller share of resamples on one side of no difference."""
    drawn = samples.draw(resamples, seed)
    p_values = {}
    for (i, j), group in wanted.items():
        for metric in group:
            if not drawn:
                p_values[i, j, metric.name] = 1.0
                continue
            change = metric.value(drawn[j]) - metric.value(drawn[i])
            defined = change[np.isfinite(change)]
            tail = min(int((defined <= EQUAL).sum()), int((defined >= -EQUAL).sum()))
            p_values[i, j, metric.name] = min(2 * (1 + tail) / (1 + len(defined)), 1.0)
    return p_values


def _wanted(systems: Sequence[System], names: Sequence[str]) -> list[Metric]:
    """The metrics to compare, in the order of the table of metrics; numbers tuned on their own data are not."""
    had = dict.fromkeys(name for system in systems for run in system.runs for name in run.metrics)
    unknown = [name for name in names if name in had and find_metric(name) is None]
    if unknown:
        raise NothingToScoreError(
            f"{first_of(unknown)} is measured, but this attneval does not know it", hint="compare with a newer attneval"
        )
    asked = [metric.name if (metric := find_metric(name)) else name for name in names]
    chosen = [m for m in metrics() if (m.name in asked if names else m.compared) and m.name in had]
    tuned = [m.name for m in chosen if not m.resampled]
    if tuned:
        others = [metric.name for metric in metrics() if metric.family and metric.group == chosen[0].group]
        raise MismatchError(
            f"{tuned[0]} is tuned on the data it is reported on and cannot be compared",
            hint=f"compare {' or '.join(others)}",
        )
    lacking = [name for name, metric in zip(names, asked, strict=True) if metric not in had]
    if lacking or not chosen:
        hint = suggestion(lacking[0], had, "attneval explain lists all metrics") if lacking else "name others with -m"
        defaults = [metric.name for metric in metrics() if metric.compared]
        raise NothingToScoreError(f"no result has {first_of(lacking or names or defaults)}", hint=hint)
    return chosen
