"""Systems against a base: differences with paired intervals and tests, from results alone.

The unit is the image. A difference's interval is a percentile bootstrap over images, with the same resamples for every
system; its p-value is from paired approximate randomization. Where a system has several runs (training seeds), its sums
are averaged over runs, and intervals and p-values come from a bootstrap that draws runs as well as images.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.config.options import ALPHA, RESAMPLES, SEED, TRIALS
from attneval.errors import MismatchError, NothingToScoreError, first_of, suggestion
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.registry import find_metric, metrics
from attneval.results.all_items import over_all_items
from attneval.results.comparability import (
    check_protocols,
    check_regions,
    common_images,
    distinct,
    notes_on_exports,
    restricted,
)
from attneval.results.comparison import Comparison, Difference, Line, System
from attneval.results.notes import COVERAGE
from attneval.results.run_samples import Samples
from attneval.statistics.bootstrap import percentile_bounds
from attneval.statistics.holm import holm, trials_needed
from attneval.statistics.randomization import EQUAL, swap_p_values, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.metrics.declaration import Metric, Sums
    from attneval.results.result import Result
    from attneval.statistics.image_sums import ImageSums

CEILING = "ceiling"
"""The group of what regions allow for; it is shown beside metrics of attention where systems differ in it."""


def compare(
    systems: Sequence[System | Result | Path | str],
    *,
    names: Sequence[str] = (),
    intersect: bool = False,
    allow_mismatch: bool = False,
    across_regions: bool = False,
    resamples: int = RESAMPLES,
    trials: int | None = None,
    seed: int = SEED,
    alpha: float = ALPHA,
) -> Comparison:
    """Compare systems with the first of them.

    Args:
        systems: At least two: systems, results or paths of result files. Two of one name are numbered.
        names: Metrics to show, by names or aliases; by default those that declare it and that any system has. Holm's
            adjustment is over them, and by default over the headline metrics.
        intersect: Compare on the images that all have, if they were scored on different ones.
        allow_mismatch: Compare results made under different protocols; the fields that differ are noted.
        across_regions: Compare systems that attend to different regions: over all items, of which those that no region
            reaches score 0, beside coverage and lift.
        resamples: Bootstrap resamples behind the intervals.
        trials: Random swaps behind each p-value; by default 10,000, or as many as the family of tests needs, up to
            200,000.
        seed: The seed of both.
        alpha: The level of significance.

    Raises:
        MismatchError: Protocols, regions or images differ, and that is not allowed.
        NothingToScoreError: There is nothing to compare.
    """
    if len(systems) < 2:
        raise NothingToScoreError("there is nothing to compare", hint="name a base and at least one candidate")
    compared = [System.of_one_run(source) for source in systems]
    names_of = distinct([system.name for system in compared])
    runs = [(name, run) for name, system in zip(names_of, compared, strict=True) for run in system.runs]
    notes = check_protocols(
        runs,
        allow_mismatch=allow_mismatch,
        across_regions=across_regions,
        way_out="score both alike, or pass --allow-mismatch",
    )
    image_id, dropped = common_images((run.scores.sums.image_id for _, run in runs), intersect=intersect)
    notes += dropped + check_regions(runs, image_id, across_regions=across_regions)
    notes += notes_on_exports(runs)
    low = [(name, note) for name, run in runs for note in run.notes if note.kind == COVERAGE]
    notes += [f"{name}: {note.problem if across_regions else note}" for name, note in low]
    if across_regions:
        compared = [replace(system, runs=tuple(map(over_all_items, system.runs))) for system in compared]
        notes.append("across regions: over all items, of which those that no region reaches score 0")
    samples = Samples([[restricted(run.scores.sums, image_id) for run in system.runs] for system in compared])
    totals = [samples.total(j) for j in range(len(compared))]
    chosen = _wanted(compared, names)
    family = [m.name for m in chosen if names or m.family or (across_regions and _lifts_family(m))]
    wanted = _with_companions(chosen, totals, across_regions=across_regions)
    table = {(j, m.name): v for m in wanted for j, sums in enumerate(totals) if math.isfinite(v := value_of(m, sums))}
    pairs = list(itertools.combinations(range(len(compared)), 2))
    shared = {(i, j): [m for m in wanted if (i, m.name) in table and (j, m.name) in table] for i, j in pairs}
    single = all(len(system.runs) == 1 for system in compared)
    tests = sum(m.name in family for group in shared.values() for m in group)
    count = trials_needed(tests, alpha) if trials is None else trials
    notes += _notes_on_trials(count, tests, alpha, asked=trials is not None, sides=1 if single else 2)
    if single:
        p_values = swap_p_values(samples.means, shared, trials=count, seed=seed)
    else:
        p_values = samples.bootstrap_p_values(shared, count, seed)
        notes.append(
            "several runs of a system are averaged; intervals and p-values allow for runs as well as images, as far "
            f"as {', '.join(f'{len(s.runs)} of {name}' for name, s in zip(names_of, compared, strict=True))} can tell"
        )
    tested = {key: p for key, p in p_values.items() if key[2] in family}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    evidence = _Evidence(samples, samples.draw(resamples, seed), table, p_values, adjusted, alpha)
    return Comparison(
        names=tuple(names_of),
        lines=tuple(evidence.line(metric) for metric in wanted),
        images=len(image_id),
        signature=compared[0].runs[0].signature,
        signatures=tuple(system.runs[0].signature for system in compared),
        alpha=alpha,
        trials=count,
        notes=tuple(notes),
        family=tuple(family),
        images_with_items=int(np.logical_and.reduce([sums.counted() for sums in samples.means]).sum()),
        across_regions=across_regions,
    )


def _lifts_family(metric: Metric) -> bool:
    """Say if a metric is a lift of one of the family, from which it differs where regions do."""
    lifted = find_metric(metric.lift_of) if metric.lift_of else None
    return lifted is not None and lifted.family


def _with_companions(chosen: Sequence[Metric], totals: Sequence[Sums], *, across_regions: bool) -> list[Metric]:
    """The metrics with what has to stand beside them: across regions lifts, and coverage where it differs."""
    if not any(metric.group in ATTENTION for metric in chosen):
        return list(chosen)
    names = {metric.name for metric in chosen}
    beside = []
    for metric in metrics():
        known = {value for sums in totals if math.isfinite(value := value_of(metric, sums))}
        differs = metric.group == CEILING and len(known) > 1
        if known and (differs or (across_regions and (metric.group == CEILING or metric.lift_of in names))):
            beside.append(metric.name)
    return [metric for metric in metrics() if metric.name in names or metric.name in beside]


def _notes_on_trials(trials: int, tests: int, alpha: float, *, asked: bool, sides: int) -> list[str]:
    """Note that trials were added for a large family of tests, or that there are too few for it."""
    if tests and sides * tests / (trials + 1) >= alpha:
        text = f"no p-value of {tests} tests can be below {alpha:g} after Holm with {trials} trials"
        return [f"{text}: compare fewer systems or metrics at once{', or raise --trials' if asked else ''}"]
    if asked or trials <= TRIALS:
        return []
    return [f"{trials} trials in place of {TRIALS}, since p-values of {tests} tests are adjusted together"]


@record
class _Evidence:
    """Values, resamples and p-values of all systems and metrics."""

    samples: Samples
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
            n=tuple(self._count(metric, j) if values[j] is not None else None for j in systems),
        )

    def _count(self, metric: Metric, system: int) -> int | None:
        """What the value is a mean over; None for a mean over runs that lack it."""
        sums = self.samples.total(system)
        return round(float(sums[metric.per])) if metric.per in sums else None

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
        return Difference(value - base, ci, self.p[key], self.p_holm.get(key), wins, ties, losses)

    def _better(self, metric: Metric, j: int, i: int, sign: int) -> bool:
        value, other = self.values.get((j, metric.name)), self.values.get((i, metric.name))
        if i == j or value is None or other is None or sign * (value - other) <= 0:
            return False
        return self.p_holm.get((min(i, j), max(i, j), metric.name), 1.0) < self.alpha


def _by_image(metric: Metric, base: ImageSums, other: ImageSums) -> tuple[int, int, int]:
    """On how many images a system is better, the same and worse, where both are defined."""
    if not metric.by_image:
        return 0, 0, 0
    change = metric.value(other.columns) - metric.value(base.columns)
    change = change[np.isfinite(change)] * (1 if metric.higher_is_better else -1)
    return int((change > EQUAL).sum()), int((np.abs(change) <= EQUAL).sum()), int((change < -EQUAL).sum())


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
