from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from training.toy import small_captions, small_images, small_model

from attneval.training.losses.constraints import ccr_loss, ccs_loss
from attneval.training.losses.matching import matching_loss
from attneval.training.losses.objective import AttentionObjective
from attneval.training.models.attention import Pairs
from attneval.training.run.config import ConstraintConfig

if TYPE_CHECKING:
    from attneval.training.losses.objective import AttentionLosses
    from attneval.training.models.attention import AttentionMaps
    from attneval.training.models.matching import MatchingModel

SCORES = torch.tensor([[0.9, 0.8, 0.1], [0.3, 0.5, 0.45], [0.6, 0.2, 0.7]])


def test_matching_by_hand() -> None:
    # Captions for image: 0.2 + 0.8 - 0.9 = 0.1; 0.2 + 0.45 - 0.5 = 0.15; 0.2 + 0.6 - 0.7 = 0.1.
    # Images for caption: 0.2 + 0.6 - 0.9 < 0; 0.2 + 0.8 - 0.5 = 0.5; 0.2 + 0.45 - 0.7 < 0.
    images = torch.arange(3)
    assert matching_loss(SCORES, images).item() == pytest.approx(0.85 / 3, abs=1e-6)
    # All negatives add 0.2 + 0.3 - 0.5 = 0 and nothing else.
    assert matching_loss(SCORES, images, negatives="all").item() == pytest.approx(0.85 / 3, abs=1e-6)
    assert matching_loss(SCORES, images, margin=0.5, negatives="all").item() == pytest.approx(
        (0.4 + 0.3 + 0.45 + 0.4 + 0.2 + 0.8 + 0.2 + 0.25 + 0.0) / 3, abs=1e-6
    )


def test_captions_of_one_image_are_no_negatives() -> None:
    # Rows 0 and 1 show the same image: 0.8 and 0.3 no longer count.
    loss = matching_loss(SCORES, torch.tensor([4, 4, 2]))
    assert loss.item() == pytest.approx((0.15 + 0.1) / 3, abs=1e-6)
    assert matching_loss(SCORES, torch.zeros(3)).item() == 0.0


@pytest.mark.parametrize("name", ["scan-t2i", "scan-i2t", "bfan-prob", "pfan-t2i", "saf"])
def test_constraints_of_each_direction(name: str) -> None:
    model = small_model(name)
    captions = small_captions([4, 7, 3])
    pairs = Pairs(model.encode_images(small_images(3)), model.encode_captions(captions), matched=True)
    maps = model.attend(pairs)
    config = ConstraintConfig(use=("ccr", "ccs"), margin_ccr=0.6, margin_ccs=0.9, swap="hardest")
    query_words = torch.ones(30, dtype=torch.bool)
    query_words[:10] = False
    images = torch.tensor([0, 1, 1])
    objective = AttentionObjective(config, model)
    terms = objective.losses(pairs, maps, ids=captions.ids, images=images, query_words=query_words).terms
    words, regions = pairs.words, pairs.regions
    queries = captions.mask & (captions.ids >= 10)
    ccr, ccs = torch.zeros(()), torch.zeros(())
    if maps.t2i is not None:
        ccr = ccr + ccr_loss(words.vectors, regions.vectors, maps.t2i, query_mask=queries, margin=0.6)
        ccs = ccs + ccs_loss(
            words.vectors,
            regions.vectors,
            maps.t2i,
            query_mask=queries,
            margin=0.9,
            swap="hardest",
            groups=images,
            labels=captions.ids,
        )
    if maps.i2t is not None:
        weights = maps.i2t.transpose(1, 2)
        ccr = ccr + ccr_loss(regions.vectors, words.vectors, weights, key_mask=words.mask, margin=0.6)
        ccs = ccs + ccs_loss(
            regions.vectors, words.vectors, weights, key_mask=words.mask, margin=0.9, swap="hardest", groups=images
        )
    assert terms["ccr"].item() > 0
    torch.testing.assert_close(terms["ccr"], ccr)
    torch.testing.assert_close(terms["ccs"], ccs)


def test_constraints_reach_the_encoders() -> None:
    model = small_model("scan-t2i")
    config = ConstraintConfig(use=("ccr",), margin_ccr=1.0)
    *_, losses = on_attention(config, model)
    assert set(losses.terms) == {"ccr"}
    torch.autograd.backward(AttentionObjective(config, model).total(losses))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert np.isfinite(parameter.grad.abs().sum().item())
        assert parameter.grad.abs().sum() > 0, name


def on_attention(config: ConstraintConfig, model: MatchingModel) -> tuple[Pairs, AttentionMaps, AttentionLosses]:
    """The losses of three matched pairs."""
    captions = small_captions([4, 7, 3])
    pairs = Pairs(model.encode_images(small_images(3)), model.encode_captions(captions), matched=True)
    maps = model.attend(pairs)
    losses = AttentionObjective(config, model).losses(
        pairs, maps, ids=captions.ids, images=torch.arange(3), query_words=torch.ones(30, dtype=torch.bool)
    )
    return pairs, maps, losses


def test_weights_of_a_run() -> None:
    config = ConstraintConfig(use=("ccs",), weight_ccr=3.0, weight_ccs=0.5, margin_ccs=0.3)
    objective = AttentionObjective(config, small_model("scan-t2i"))
    assert objective.weights == {"ccs": 0.5}
    assert objective.constraints.weights == {"ccr": 0.0, "ccs": 0.5}
    assert objective.constraints.margins["ccs"] == 0.3
    *_, losses = on_attention(config, small_model("scan-t2i"))
    assert set(losses.terms) == {"ccs"}
    assert objective.total(losses).item() == pytest.approx(0.5 * losses.terms["ccs"].item())


@pytest.mark.parametrize("name", ["scan-t2i", "bfan-equal", "saf"])
@pytest.mark.parametrize("use", ["ccr", "ccs"])
@pytest.mark.parametrize("fit", ["cosine", "model"])
def test_constraints_through_the_weights_alone(name: str, use: Any, fit: Any) -> None:
    """Cut at the attention weights, nothing is left of the gradient, neither at the vectors nor at any parameter."""
    values = []
    for through in ("everything", "weights"):
        model = small_model(name)
        config = ConstraintConfig(use=(use,), margin_ccr=1.0, margin_ccs=1.0, swap="hardest", through=through, fit=fit)
        pairs, maps, losses = on_attention(config, model)
        total = losses.terms[use]
        values.append(total.item())
        weights = [each for each in (maps.t2i, maps.i2t) if each is not None]
        inputs = [*weights, pairs.words.vectors, pairs.regions.vectors, *model.parameters()]
        whole = torch.autograd.grad(total, inputs, retain_graph=True, allow_unused=True, materialize_grads=True)
        at_weights, rest = whole[: len(weights)], whole[len(weights) :]
        assert all(each.abs().sum() > 0 for each in at_weights)
        by_way_of_weights = torch.autograd.grad(
            weights, inputs[len(weights) :], at_weights, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        left = sum((one - other).abs().sum().item() for one, other in zip(rest, by_way_of_weights, strict=True))
        assert (left > 1e-3) is (through == "everything")
    assert values[0] == pytest.approx(values[1], rel=1e-6)
