from __future__ import annotations

import json
import math
from typing import Any

import pytest

from attneval.errors import ConfigError
from attneval.training.models.table import model_config
from attneval.training.run.config import ConstraintConfig, TrainConfig, from_dict, to_dict

CONFIG = TrainConfig(
    model=model_config("bfan-prob", 0, embed_dim=64),
    data="data/f30k_precomp",
    constraints=ConstraintConfig(use=("ccr", "ccs"), weight_ccr=0.3, swap="hardest"),
    epochs=3,
    learning_rate=1e-3,
)


def test_survives_json() -> None:
    decoded = json.loads(json.dumps(to_dict(CONFIG)))
    assert from_dict(TrainConfig, decoded) == CONFIG


def test_integers_do_for_numbers() -> None:
    assert from_dict(ConstraintConfig, {"weight_ccr": 2}).weight_ccr == 2.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 3}, "run.json: TrainConfig has no epoch"),
        ({"epochs": "3"}, "run.json: epochs must be int, not '3'"),
        ({"epochs": True}, "epochs must be int, not True"),
        ({"amp": 1}, "amp must be bool"),
        ({"negatives": "some"}, "negatives must be one of hardest, all, not 'some'"),
        ({"constraints": {"use": ["ccx"]}}, "run.json: constraints: use must be one of ccr, ccs"),
        ({"constraints": {"use": "ccr"}}, "use must be a list"),
        ({"model": {"name": "scan-t2i"}}, "run.json: model: ModelConfig needs vocab_size"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number, not inf"),
        ({"margin": math.nan}, "margin must be a finite number, not nan"),
        ({"decay": -1.0}, "decay must be above 0, not -1.0"),
        ({"decay": 1.5}, "decay must be at most 1, not 1.5"),
        ({"seed": 2**64}, "seed must be at most 18446744073709551615, not 18446744073709551616"),
        ({"constraints": {"start": math.nan}}, "start must be a finite number, not nan"),
        ({"model": {**to_dict(CONFIG.model), "temperature": -1.0}}, "temperature must be at least 0, not -1.0"),
        (
            {"model": {**to_dict(CONFIG.model), "pooling_temperature": 0}},
            "pooling_temperature must be above 0, not 0.0",
        ),
        ({"model": {**to_dict(CONFIG.model), "name": "scam"}}, "run.json: model: name must be one of scan-t2i, "),
        ({"max_tokens": 2}, "max_tokens must be 0 or leave a word"),
    ],
)
def test_refuses(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(TrainConfig, {**to_dict(CONFIG), **change}, "run.json")


def test_missing_fields() -> None:
    with pytest.raises(ConfigError, match="TrainConfig needs data, model"):
        from_dict(TrainConfig, {})


@pytest.mark.parametrize(
    ("start", "warmup", "expected"),
    [
        (0.0, 0.0, [1.0, 1.0, 1.0, 1.0]),
        (1.0, 0.0, [0.0, 0.0, 1.0, 1.0]),
        (0.0, 2.0, [0.0, 0.25, 0.5, 1.0]),
        (0.5, 1.0, [0.0, 0.0, 0.5, 1.0]),
    ],
)
def test_schedule_by_hand(start: float, warmup: float, expected: list[float]) -> None:
    config = ConstraintConfig(start=start, warmup=warmup)
    assert [config.strength(epoch) for epoch in (0.0, 0.5, 1.0, 2.0)] == expected
