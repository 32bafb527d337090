"""Resampled runs and images of several systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.statistics.bootstrap import repeats_in_blocks
from attneval.statistics.image_sums import ImageSums, mean_sums, resampled_runs
from attneval.statistics.randomization import EQUAL

if TYPE_CHECKING:
    from attneval.metrics.declaration import Metric, Sums


class Samples:
    """The sums of every run of every system, on the same images.

    Args:
        runs: By system, the sums of its runs.

    Attributes:
        runs: By system, the sums of its runs.
        means: By system, their mean.
    """

    def __init__(self, runs: list[list[ImageSums]]) -> None:
        self.runs = runs
        self.means = [mean_sums(run) for run in runs]
        self._totals = [mean.total() for mean in self.means]

    def total(self, system: int) -> Sums:
        """Sum a system's columns over all images: f8[] by name."""
        return self._totals[system]

    def draw(self, resamples: int, seed: int) -> list[Sums]:
        """Resample the sums of each system: f8[resamples] by name. Runs are drawn where there are several."""
        images = len(self.means[0].image_id)
        if images < 2 or resamples < 1:
            return []
        random = np.random.default_rng([seed, 1])
        chosen = [random.integers(0, len(r), (resamples, len(r))) if len(r) > 1 else None for r in self.runs]
        parts: list[list[Sums]] = [[] for _ in self.runs]
        first = 0
        for repeats in repeats_in_blocks(images, resamples, seed):
            for runs, mean, drawn, part in zip(self.runs, self.means, chosen, parts, strict=True):
                rows = None if drawn is None else drawn[first : first + len(repeats)]
                part.append(mean.resampled(repeats) if rows is None else resampled_runs(runs, rows, repeats))
            first += len(repeats)
        return [{name: np.concatenate([block[name] for block in part]) for name in part[0]} for part in parts]

    def bootstrap_p_values(
        self, wanted: dict[tuple[int, int], list[Metric]], resamples: int, seed: int
    ) -> dict[tuple[int, int, str], float]:
        """Compute twice the smaller share of resamples on one side of no difference, by pair of systems and metric."""
        drawn = self.draw(resamples, seed)
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
