from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from training.toy import FEATURES, REGIONS

from attneval.errors import ConfigError
from attneval.training.data.rundata import RunData
from attneval.training.losses.matching import matching_loss
from attneval.training.models.attention import Pairs
from attneval.training.models.table import model_config
from attneval.training.run.config import ConstraintConfig, TrainConfig
from attneval.training.run.updates import Updater, resolve_device

if TYPE_CHECKING:
    from pathlib import Path

BATCH = np.array([0, 9, 17, 33, 48])


def updater(toy: Path, **choices: Any) -> Updater:
    config = TrainConfig(model=model_config("scan-t2i", 0), data=str(toy), min_count=1)
    data = RunData.open(config)
    model = model_config("scan-t2i", len(data.vocabulary), image_dim=FEATURES, regions=REGIONS, embed_dim=8, word_dim=6)
    return Updater(TrainConfig(model=model, data=str(toy), min_count=1, **choices), data)


def test_a_step_is_adam_on_the_sum_over_the_batch(toy: Path) -> None:
    ours = updater(toy, learning_rate=0.01, grad_clip=0.5)
    model = updater(toy).model
    data = ours.data
    regions = model.encode_images(data.train.batch(data.train.caption_image[BATCH]))
    words = model.encode_captions(data.train_captions.batch(BATCH))
    pairs = Pairs(regions, words)
    scores = model.similarity(pairs, model.attend(pairs))
    loss = matching_loss(scores, torch.from_numpy(data.train.caption_image[BATCH]))
    torch.autograd.backward(5 * loss)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    assert norm > 0.5
    found, _ = ours.step(BATCH, "hardest", 1.0)
    assert found["loss"] == found["matching"] == pytest.approx(loss.item())
    assert found["gradient"] == pytest.approx(norm.item(), rel=1e-5)
    # The first step of Adam moves each weight by the learning rate against the sign of its gradient.
    before, after = dict(model.named_parameters()), dict(ours.model.named_parameters())
    for name, parameter in before.items():
        assert parameter.grad is not None
        clipped = parameter.grad * 0.5 / norm
        moved = -0.01 * clipped / (clipped.abs() + 1e-8)
        torch.testing.assert_close(after[name] - parameter, moved, atol=1e-4, rtol=1e-3)


def test_strength_scales_the_constraints(toy: Path) -> None:
    constraints = ConstraintConfig(use=("ccr", "ccs"), weight_ccr=2.0, weight_ccs=3.0, swap="hardest")
    none, half, full = (
        updater(toy, constraints=constraints).step(BATCH, "hardest", strength)[0] for strength in (0.0, 0.5, 1.0)
    )
    assert set(none) == {"loss", "matching", "gradient"}
    assert none["loss"] == none["matching"] == half["matching"]
    for strength, found in ((0.5, half), (1.0, full)):
        expected = found["matching"] + strength * (2 * found["ccr"] + 3 * found["ccs"])
        assert found["loss"] == pytest.approx(expected, rel=1e-5)


def test_state_goes_round(toy: Path) -> None:
    constraints = ConstraintConfig(use=("ccs",))
    first, second = (updater(toy, constraints=constraints) for _ in range(2))
    first.step(BATCH, "hardest", 1.0)
    second.model.load_state_dicts(first.model.state_dicts(), "memory")
    state = deepcopy(first.state())  # the optimizer hands out its own tensors
    expected = [first.step(BATCH, "hardest", 1.0) for _ in range(2)]
    second.load_state(state)
    assert [second.step(BATCH, "hardest", 1.0) for _ in range(2)] == expected


def test_rate(toy: Path) -> None:
    ours = updater(toy)
    before = {key: value.clone() for key, value in ours.model.state_dict().items()}
    ours.set_rate(0.0)
    ours.step(BATCH, "all", 0.0)
    assert all(torch.equal(value, before[key]) for key, value in ours.model.state_dict().items())


def test_devices() -> None:
    with pytest.raises(ConfigError, match="there is no device 'tpu9'"):
        resolve_device("tpu9")
    assert resolve_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        assert resolve_device("auto") == torch.device("cpu")
        with pytest.raises(ConfigError, match="there is no device 'cuda' that torch can use here"):
            resolve_device("cuda")
    with pytest.raises(ConfigError, match=r"'meta' that torch can use here \(.*meta tensors\)"):
        resolve_device("meta")
