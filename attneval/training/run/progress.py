"""Progress of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Progress:
    """Counters of a run; all of it goes into a checkpoint.

    Args:
        epoch: Epochs done.
        step: Steps done in the current epoch.
        steps: Steps done in all.
        best: What the best epoch reached, in the measure that decides.
        best_rsum: Best sum of recalls, 0 to 6.
        sums: Losses summed over the current epoch.
        seconds: Spent so far.
    """

    epoch: int = 0
    step: int = 0
    steps: int = 0
    best: float = -math.inf
    best_rsum: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, losses: dict[str, float]) -> None:
        """Count a step and its losses; a loss that is switched on during the epoch was 0 before."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.step += 1
        self.steps += 1

    def next_epoch(self) -> dict[str, float]:
        """Begin the next epoch; gives the mean losses of the one that ends."""
        means = {name: total / self.step for name, total in self.sums.items()}
        self.sums, self.step = {}, 0
        self.epoch += 1
        return means
