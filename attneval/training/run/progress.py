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
        seen: Sum and number of what was observed in the current epoch, by name.
        seconds: Spent so far.
    """

    epoch: int = 0
    step: int = 0
    steps: int = 0
    best: float = -math.inf
    best_rsum: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    seen: dict[str, tuple[float, int]] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, losses: dict[str, float], seen: dict[str, float]) -> None:
        """Count a step, its losses and observations; a loss that is switched on during the epoch was 0 before."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        for name, value in seen.items():
            total, count = self.seen.get(name, (0.0, 0))
            self.seen[name] = (total + value, count + 1)
        self.step += 1
        self.steps += 1

    def next_epoch(self) -> dict[str, float]:
        """Begin the next epoch; gives the mean losses of the one that ends, and means of what was observed."""
        means = {name: total / self.step for name, total in self.sums.items()}
        means |= {name: total / count for name, (total, count) in self.seen.items()}
        self.sums, self.seen, self.step = {}, {}, 0
        self.epoch += 1
        return means
