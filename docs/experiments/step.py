#!/usr/bin/env python3
"""Measure where the time of a training step goes, for each model: CPU seconds on one core.

    python step.py f8k_semantic

Sizes are those of `semantic/grid.json`. A row is a model and its constraints; columns are medians over steps.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from attneval.training import ConstraintConfig, TrainConfig, model_config
from attneval.training.data.rundata import RunData
from attneval.training.run import updates

if TYPE_CHECKING:
    from collections.abc import Callable

MODELS = ("scan-t2i", "bfan-equal", "pfan-t2i", "sgr", "saf")
CONSTRAINTS = {
    "none": ConstraintConfig(),
    "CCR + CCS": ConstraintConfig(use=("ccr", "ccs"), through="weights", swap="item", tokens="content"),
}
WARM, STEPS = 5, 25


class Clock:
    """CPU seconds by name, of one step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Count the time of a method, or of a module's function, under a name."""
        inner: Callable[..., Any] = getattr(owner, method)

        def outer(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            result = inner(*arguments, **named)
            self.seconds[name] = self.seconds.get(name, 0) + time.process_time() - started
            return result

        setattr(owner, method, outer)


def profile(name: str, constraints: ConstraintConfig, folder: str) -> dict[str, float]:
    """Milliseconds of a step of a model by what they are spent on, medians."""
    config = TrainConfig(
        model=model_config(name, 0, embed_dim=128, sim_dim=64),
        data=folder,
        constraints=constraints,
        batch_size=32,
        learning_rate=1e-3,
        max_tokens=20,
        train_images=1000,
        val_images=10,
    )
    data = RunData.open(config)
    regions, image_dim = data.train.feature_shape
    sizes = replace(config.model, vocab_size=len(data.vocabulary), image_dim=image_dim, regions=regions)
    updater, clock = updates.Updater(replace(config, model=sizes), data), Clock()
    updater.model.train()
    watched = [(updates, "batch_matching_loss"), (torch.autograd, "backward")]
    unwatched = [getattr(module, function) for module, function in watched]
    clock.watch(updater.model, "encode_captions", "words")
    clock.watch(updater.model, "encode_images", "regions")
    clock.watch(updates, "batch_matching_loss", "matching")
    clock.watch(updater.objective, "losses", "constraints")
    clock.watch(torch.autograd, "backward", "backward")
    clock.watch(updater.optimizer, "step", "update")
    steps = []
    for batch in data.batches(0, 0, 32)[: WARM + STEPS]:
        clock.seconds = {}
        started = time.process_time()
        updater.step(batch, "hardest", 1.0)
        steps.append({"step": time.process_time() - started, **clock.seconds})
    for (module, function), inner in zip(watched, unwatched, strict=True):
        setattr(module, function, inner)
    return {key: 1000 * statistics.median(step[key] for step in steps[WARM:]) for key in steps[0]}


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    columns = ("step", "words", "regions", "matching", "constraints", "backward", "update")
    print("| | constraints |", " | ".join(columns), "|")  # noqa: T201
    for name in MODELS:
        for shown, constraints in CONSTRAINTS.items():
            spent = profile(name, constraints, sys.argv[1])
            print(f"| `{name}` | {shown} |", " | ".join(f"{spent.get(key, 0):.0f}" for key in columns), "|", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
