"""Two epochs on real images teach every model to find images and captions, and what its words name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

import attneval
from attneval.extraction.annotated import attention_scores
from attneval.extraction.checkpoints import export_models
from attneval.extraction.trained import load_trained
from attneval.training.data.precomputed import open_split
from attneval.training.models.table import MODELS, model_config
from attneval.training.run.config import ConstraintConfig, TrainConfig
from attneval.training.run.loop import train
from attneval.training.run.retrieval import recall

if TYPE_CHECKING:
    from pathlib import Path

# What lies between attention and score in SGRAF gives attention little to learn from at first; CCS acts on it directly.
WEIGHT_CCS = {"sgr": 10.0, "saf": 10.0}


@pytest.mark.realdata
@pytest.mark.parametrize("name", MODELS)
def test_two_epochs_beat_chance(shared: Path, f8k: Path, tmp_path: Path, name: str) -> None:
    gt = shared / "flickr8k_entities.zip"
    config = TrainConfig(
        model=model_config(name, 0, embed_dim=64, word_dim=64, sim_dim=32),
        data=str(f8k),
        constraints=ConstraintConfig(use=("ccr", "ccs"), weight_ccr=0.1, weight_ccs=WEIGHT_CCS.get(name, 1.0)),
        epochs=2,
        batch_size=32,
        learning_rate=4e-3,
        negatives="all",
        max_tokens=14,
        min_count=2,
        checkpoint_steps=0,
    )
    run = train(config, tmp_path / "run", attention_scores=partial(attention_scores, gt))
    dev = open_split(f8k, "dev")
    export_models([load_trained(run.last)], dev, tmp_path / "maps.npz")
    result = attneval.score(tmp_path / "maps.npz", gt)
    for metric in ("f1", "ap", "i2t_r@1", "t2i_r@10", "rsum"):
        assert run.epochs[-1][metric] == pytest.approx(result[metric], abs=1e-6)

    # Equal scores find what chance finds; attention that does not depend on the word scores as for any other entity.
    chance = recall(np.zeros((dev.images, len(dev.captions))), dev.caption_image)
    values = {metric: measured.value or 0.0 for metric, measured in result.metrics.items()}
    assert values["t2i_r@10"] > 2.5 * chance.t2i[2]
    assert values["i2t_r@10"] > 2.5 * chance.i2t[2]
    assert values["rsum"] > 2.5 * chance.rsum
    floors = result.scores.baselines
    assert values["f1"] > (floors["shuffled"]["f1"].value or 0.0) + 0.01
    assert values["f1"] > 0.05
    assert values["ap"] > (floors["uniform"]["ap"].value or 0.0) + 0.02
    assert values["mass"] > (floors["shuffled"]["mass"].value or 0.0) + 0.003
