from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from training.runs import toy_config

from attneval.training.data.rundata import RunData
from attneval.training.losses.constraints import Contrasted
from attneval.training.losses.observations import gradient_norms, hinge_view, peakedness
from attneval.training.run.config import ConstraintConfig
from attneval.training.run.loop import train
from attneval.training.run.updates import Updater

if TYPE_CHECKING:
    from pathlib import Path


def test_peakedness_by_hand() -> None:
    weights = torch.tensor([[[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [9.0, 9.0, 9.0]], [[0.25, 0.75, 0.0]] * 3])
    queries = torch.tensor([[True, True, False], [False, False, False]])
    keys = torch.tensor([[True, True, True], [True, True, False]])
    seen = peakedness(weights, queries, keys)
    assert seen["peak"] == pytest.approx(0.75)
    assert seen["keys"] == pytest.approx(1.5)
    assert seen["entropy"] == pytest.approx(math.log(2) / math.log(3) / 2)
    assert peakedness(weights, torch.zeros_like(queries), keys) == {}


def test_hinge_by_hand() -> None:
    sides = Contrasted(torch.tensor([0.9, 0.5, 0.3, 0.2]), torch.tensor([0.1, 0.4, 0.3, 0.6]))
    # Gaps 0.8, 0.1, 0 and -0.4.
    seen = hinge_view("ccr", sides, 0.2)
    assert seen["ccr_gap"] == pytest.approx(0.125)
    assert (seen["ccr_active"], seen["ccr_wrong"]) == (0.75, 0.25)
    assert hinge_view("ccr", Contrasted(torch.zeros(0), torch.zeros(0)), 0.2) == {}


def test_gradients_by_hand() -> None:
    vectors = torch.tensor([3.0, 4.0], requires_grad=True)
    weights = vectors * torch.tensor([2.0, 0.0])
    matching = (vectors * torch.tensor([6.0, 8.0])).sum()
    # Directly (0, 1); by way of the weights 2 * (2.5, 0) = (5, 0).
    constraints = (weights * torch.tensor([2.5, 7.0])).sum() + vectors[1]
    norms = gradient_norms(matching, constraints, [weights], [vectors])
    assert norms["gradient_matching"] == pytest.approx(10)
    assert norms["gradient_attention"] == pytest.approx(5)
    assert norms["gradient_constraints"] == pytest.approx(math.sqrt(26))
    assert vectors.grad is None


def test_nothing_reaches_what_does_not_depend_on_it() -> None:
    vectors = torch.ones(2, requires_grad=True)
    weights = torch.ones(2)
    norms = gradient_norms(vectors.sum(), torch.zeros(()), [weights], [vectors])
    assert (norms["gradient_constraints"], norms["gradient_attention"]) == (0.0, 0.0)


@pytest.mark.parametrize("through", ["everything", "weights"])
@pytest.mark.parametrize("name", ["bfan-prob", "saf"])
def test_through_the_weights_is_all_there_is(toy: Path, name: str, through: Any) -> None:
    use = ConstraintConfig(use=("ccr", "ccs"), margin_ccr=0.9, margin_ccs=0.9, through=through)
    config = toy_config(toy, name, constraints=use)
    trained = updater(config)
    _, seen = trained.step(np.arange(0, 60, 5), "all", 1.0, observe=True)
    share = seen["gradient_attention"] / seen["gradient_constraints"]
    if through == "weights":
        assert share == pytest.approx(1, rel=1e-5)
    else:
        assert not 0.999 < share < 1.001
    assert {"peak", "keys", "entropy", "ccr_active", "ccs_gap"} <= set(seen)
    assert ("peak_i2t" in seen) is name.startswith("bfan")


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_looking_changes_nothing(toy: Path, strength: float) -> None:
    """SAF draws random numbers for its dropout, CCS for its swaps."""
    config = toy_config(toy, "saf", constraints=ConstraintConfig(use=("ccr", "ccs")))
    blind, seeing = updater(config), updater(config)
    state = torch.get_rng_state()
    for number in range(3):
        torch.set_rng_state(state)
        unseen = blind.step(np.arange(number, 60, 5), "all", strength)
        after = torch.get_rng_state()
        torch.set_rng_state(state)
        losses, seen = seeing.step(np.arange(number, 60, 5), "all", strength, observe=True)
        assert unseen == (losses, {})
        assert seen["peak"] > 0
        assert ("gradient_attention" in seen) is (strength > 0)
        assert torch.equal(torch.get_rng_state(), after)
        state = after
    for one, other in zip(blind.model.parameters(), seeing.model.parameters(), strict=True):
        assert torch.equal(one, other)


def updater(config: Any) -> Updater:
    """A model with its optimizer, of the sizes that the data have."""
    data = RunData.open(config)
    regions, image_dim = data.train.feature_shape
    model = replace(config.model, vocab_size=len(data.vocabulary), image_dim=image_dim, regions=regions)
    return Updater(replace(config, model=model), data)


def test_the_log_has_what_was_seen(toy: Path, tmp_path: Path) -> None:
    constraints = ConstraintConfig(use=("ccr",), start=1.0)
    config = toy_config(toy, log_steps=5, constraints=constraints)
    result = train(config, tmp_path / "run")
    first, second = result.epochs
    assert {"peak", "keys", "entropy", "ccr_gap", "ccr_active", "ccr_wrong"} <= set(first)
    assert "gradient_attention" not in first
    assert "gradient_attention" in second
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    steps = [event for event in map(json.loads, lines) if event["event"] == "step" and event["epoch"] == 1]
    assert len(steps) == 3
    for name in ("peak", "ccr_active", "gradient_attention"):
        assert second[name] == pytest.approx(np.mean([step[name] for step in steps]))
    silent = train(toy_config(toy, log_steps=0, constraints=constraints), tmp_path / "silent")
    assert "peak" not in silent.epochs[0]
    assert silent.epochs[-1]["loss"] == second["loss"]
