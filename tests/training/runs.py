"""Small runs on the generated data set, and what two runs must share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.training.models.table import model_config
from attneval.training.run.checkpoint import read_checkpoint
from attneval.training.run.config import ConstraintConfig, TrainConfig
from attneval.training.run.loop import train

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.training.models.similarity import MatchedMaps

__all__ = ["RESUMABLE", "assert_same_runs", "peaked", "toy_config", "train", "without_times"]


def toy_config(toy: Path, name: str = "scan-t2i", **choices: Any) -> TrainConfig:
    model = model_config(name, 0, embed_dim=32, word_dim=16, sim_dim=16)
    defaults = {"epochs": 2, "batch_size": 20, "learning_rate": 5e-3, "min_count": 1, "log_steps": 4}
    return TrainConfig(model=model, data=str(toy), **{**defaults, **choices})


def peaked(maps: MatchedMaps) -> dict[str, float]:
    """Mean weight of the region that a named thing is in: captions name the things of regions 0, 1 and 2."""
    random_numbers_taken_by_a_score = torch.rand(3)
    assert random_numbers_taken_by_a_score.shape == (3,)
    weights = [each.t2i if each.t2i is not None else each.i2t for each in maps]
    return {"f1": float(np.mean([0.0 if each is None else each[2:4, :3].sum(1).mean() for each in weights]))}


def without_times(path: Path) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in event.items() if key != "seconds"} for event in events]


def assert_same_runs(one: Path, two: Path) -> None:
    """Bit by bit: weights, optimizer, random state, log and vocabulary."""
    for name in ("last.pth.tar", "best.pth.tar"):
        first, second = read_checkpoint(one / name), read_checkpoint(two / name)
        assert (first.epoch, first.steps, first.best_rsum) == (second.epoch, second.steps, second.best_rsum)
        for state, other in zip(first.states, second.states, strict=True):
            assert all(torch.equal(state[key], other[key]) for key in state)
        if first.progress is not None and second.progress is not None:
            assert torch.equal(first.progress["random"], second.progress["random"])
            moments, others = (each["optimizer"]["state"] for each in (first.progress, second.progress))
            for key, moment in moments.items():
                assert all(torch.equal(moment[part], others[key][part]) for part in moment)
    assert without_times(one / "log.jsonl") == without_times(two / "log.jsonl")
    assert (one / "vocabulary.json").read_bytes() == (two / "vocabulary.json").read_bytes()


RESUMABLE: dict[str, Any] = {
    "epochs": 2,
    "checkpoint_steps": 4,
    "constraints": ConstraintConfig(use=("ccr", "ccs"), weight_ccr=0.2, start=0.4, warmup=1.0),
}
