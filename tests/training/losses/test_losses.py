from __future__ import annotations

import numpy as np
import pytest
import torch
from training.toy import small_captions, small_images, small_model

from attneval.training.losses.constraints import ccr_loss, ccs_loss
from attneval.training.losses.objective import constraint_terms, make_constraints, matching_loss
from attneval.training.models.attention import Pairs
from attneval.training.run.config import ConstraintConfig

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
    terms = constraint_terms(
        make_constraints(config), pairs, maps, ids=captions.ids, images=images, query_words=query_words
    )
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
    captions = small_captions([4, 7, 3])
    pairs = Pairs(model.encode_images(small_images(3)), model.encode_captions(captions), matched=True)
    constraints = make_constraints(ConstraintConfig(use=("ccr",), margin_ccr=1.0))
    terms = constraint_terms(
        constraints,
        pairs,
        model.attend(pairs),
        ids=captions.ids,
        images=torch.arange(3),
        query_words=torch.ones(30, dtype=torch.bool),
    )
    assert set(terms) == {"ccr"}
    torch.autograd.backward(constraints.total(terms))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert np.isfinite(parameter.grad.abs().sum().item())
        assert parameter.grad.abs().sum() > 0, name


def test_weights_of_a_run() -> None:
    constraints = make_constraints(ConstraintConfig(use=("ccs",), weight_ccr=3.0, weight_ccs=0.5, margin_ccs=0.3))
    assert (constraints.weight_ccr, constraints.weight_ccs, constraints.margin_ccs) == (0.0, 0.5, 0.3)


def test_constraints_through_the_weights_alone() -> None:
    model = small_model("scan-t2i")
    captions = small_captions([4, 7, 3])
    pairs = Pairs(model.encode_images(small_images(3)), model.encode_captions(captions), matched=True)
    maps = model.attend(pairs)
    assert maps.t2i is not None
    constraints = make_constraints(ConstraintConfig(use=("ccr",), margin_ccr=1.0))
    terms = {
        through: constraint_terms(
            constraints,
            pairs,
            maps,
            ids=captions.ids,
            images=torch.arange(3),
            query_words=torch.ones(30, dtype=torch.bool),
            through=through,
        )["ccr"]
        for through in ("all", "weights")
    }
    assert terms["all"].item() == terms["weights"].item()
    vectors = pairs.words.vectors
    for through, expected in (("all", True), ("weights", False)):
        # The weights were made of the vectors too; cut there, only the direct way is left.
        direct = torch.autograd.grad(
            terms[through], (maps.t2i, vectors), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        without = torch.autograd.grad(maps.t2i, vectors, grad_outputs=direct[0], retain_graph=True)[0]
        assert direct[0].abs().sum() > 0
        assert bool((direct[1] - without).abs().sum() > 1e-4) is expected
