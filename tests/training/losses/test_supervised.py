from __future__ import annotations

import math

import pytest
import torch
from training.toy import small_captions, small_images, small_model

from attneval.errors import ConfigError
from attneval.training.losses.objective import AttentionObjective
from attneval.training.losses.supervised import supervised_loss
from attneval.training.models.attention import Pairs
from attneval.training.run.config import ConstraintConfig

WEIGHTS = torch.tensor([[[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.1, 0.9, 0.0]]])
RELEVANT = torch.tensor([[[True, True, False], [False, False, False], [False, True, False]]])


def test_by_hand() -> None:
    # Masses 3/4 and 9/10; nothing is annotated for the second word.
    expected = -(math.log(0.75) + math.log(0.9)) / 2
    assert supervised_loss(WEIGHTS, RELEVANT).item() == pytest.approx(expected)
    only_last = torch.tensor([[False, True, True]])
    assert supervised_loss(WEIGHTS, RELEVANT, only_last).item() == pytest.approx(-math.log(0.9))


def test_nothing_annotated_is_zero_with_a_gradient() -> None:
    weights = WEIGHTS.clone().requires_grad_()
    loss = supervised_loss(weights, torch.zeros_like(RELEVANT))
    torch.autograd.backward(loss)
    assert loss.item() == 0.0
    assert weights.grad is not None
    assert weights.grad.abs().sum() == 0


def test_no_mass_at_all_is_finite() -> None:
    weights = torch.tensor([[[1.0, 0.0]]], requires_grad=True)
    loss = supervised_loss(weights, torch.tensor([[[False, True]]]))
    torch.autograd.backward(loss)
    assert 80 < loss.item() < 90
    assert weights.grad is not None
    assert torch.isfinite(weights.grad).all()


def test_gradient() -> None:
    logits = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    relevant = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(2)) < 0.4
    assert relevant.any()
    assert torch.autograd.gradcheck(lambda x: supervised_loss(x.softmax(-1), relevant), [logits])


def test_it_is_a_loss_of_a_run() -> None:
    model = small_model("bfan-equal")
    captions = small_captions([4, 7])
    pairs = Pairs(model.encode_images(small_images(2)), model.encode_captions(captions), matched=True)
    maps = model.attend(pairs)
    relevant = torch.rand(2, 7, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    objective = AttentionObjective(ConstraintConfig(use=("supervised",), weight_supervised=3.0), model)
    losses = objective.losses(
        pairs,
        maps,
        ids=captions.ids,
        images=torch.arange(2),
        query_words=torch.zeros(30, dtype=torch.bool),
        relevant=relevant,
    )
    assert maps.t2i is not None
    # Padding takes no part, whatever is annotated there.
    expected = supervised_loss(maps.t2i, relevant & captions.mask[..., None])
    torch.testing.assert_close(losses.terms["supervised"], expected)
    torch.testing.assert_close(objective.total(losses), 3 * expected)


@pytest.mark.parametrize("name", ["scan-i2t", "scan-t2i"])
def test_refuses_what_it_cannot_supervise(name: str) -> None:
    model = small_model(name)
    captions = small_captions([4])
    pairs = Pairs(model.encode_images(small_images(1)), model.encode_captions(captions), matched=True)
    objective = AttentionObjective(ConstraintConfig(use=("supervised",)), model)
    relevant = torch.ones(1, 4, 5, dtype=torch.bool) if name == "scan-i2t" else None
    with pytest.raises(ConfigError, match="only from words to regions, with annotations"):
        objective.losses(
            pairs,
            model.attend(pairs),
            ids=captions.ids,
            images=torch.arange(1),
            query_words=torch.ones(30, dtype=torch.bool),
            relevant=relevant,
        )
