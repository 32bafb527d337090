from __future__ import annotations

import pytest
import torch
from training.toy import small_captions, small_images, small_model

from attneval.errors import ConfigError
from attneval.training.losses.constraints import ContrastiveConstraints
from attneval.training.losses.matching import matching_loss
from attneval.training.models.attention import Pairs, contrasts
from attneval.training.models.table import MODELS, build_model, model_config


def test_names() -> None:
    assert list(MODELS) == ["scan-t2i", "scan-i2t", "bfan-equal", "bfan-prob", "pfan-t2i", "pfan-i2t", "sgr", "saf"]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_one_interface(name: str) -> None:
    model = small_model(name).train()
    captions = small_captions([4, 7, 2])
    regions, words = model.encode_images(small_images(3)), model.encode_captions(captions)
    crossed, matched = Pairs(regions, words), Pairs(regions, words, matched=True)
    scores = model.similarity(crossed, model.attend(crossed))
    assert scores.shape == (3, 3)
    maps = model.attend(matched)
    found = contrasts(matched, maps, torch.ones_like(captions.mask))
    assert tuple(found) == MODELS[name].directions
    constraints = ContrastiveConstraints(margin_ccr=1.0, margin_ccs=1.0)
    loss = matching_loss(scores, torch.arange(3))
    for contrast in found.values():
        loss = loss + constraints(
            contrast.queries,
            contrast.keys,
            contrast.weights,
            query_mask=contrast.query_mask,
            key_mask=contrast.key_mask,
        )
    torch.autograd.backward(loss)
    for key, parameter in model.named_parameters():
        # A key's bias cancels in the softmax over the keys, so it has no gradient.
        if not key.endswith("graph_key_w.bias"):
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_other_captions_of_the_batch_change_nothing(name: str) -> None:
    model = small_model(name)
    regions = model.encode_images(small_images(2))
    together = model.encode_captions(small_captions([3, 9]))
    alone = together[:1].trimmed()
    both, one = Pairs(regions, together), Pairs(regions, alone)
    maps, own = model.attend(both), model.attend(one)
    torch.testing.assert_close(model.similarity(both, maps)[:, :1], model.similarity(one, own), atol=1e-6, rtol=0)
    for wide, narrow in ((maps.t2i, own.t2i), (maps.i2t, own.i2t)):
        assert (wide is None) == (narrow is None)
        if wide is not None:
            torch.testing.assert_close(wide[:, :1, :3], narrow, atol=1e-6, rtol=0)
            assert wide[:, 0, 3:].abs().sum() == 0


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_encoders_may_run_in_half_precision(name: str) -> None:
    """As in training with mixed precision: attention and similarity stay in single precision."""
    model = small_model(name)
    images, captions = small_images(3), small_captions([4, 7, 2])
    scores = {}
    for half in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            regions, words = model.encode_images(images), model.encode_captions(captions)
        pairs = Pairs(regions, words)
        scores[half] = model.similarity(pairs, model.attend(pairs))
        assert scores[half].dtype == torch.float32
    assert not torch.equal(scores[True], scores[False])
    torch.testing.assert_close(scores[True], scores[False], atol=0.2, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_initial_weights_follow_the_seed(name: str) -> None:
    one, two, other = (small_model(name, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["scan-t2i", "bfan-equal", "pfan-t2i", "sgr", "saf"])
def test_full_size(name: str) -> None:
    """The papers' sizes: 2,048 numbers a region, 36 regions, 1,024 dimensions, 256 for similarity vectors."""
    torch.manual_seed(0)
    model = build_model(model_config(name, 8481))
    images = small_images(3, regions=36)
    features = torch.randn(3, 36, 2048)
    captions = small_captions([12, 9, 5])
    batch = type(images)(features, images.mask, images.block_ids, images.block_weights)
    pairs = Pairs(model.encode_images(batch), model.encode_captions(captions))
    loss = matching_loss(model.similarity(pairs, model.attend(pairs)), torch.arange(3))
    torch.autograd.backward(loss)
    assert loss.item() > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_refuses() -> None:
    with pytest.raises(ConfigError, match="there is no model 'scan'; choose from scan-t2i"):
        model_config("scan", 10)
    with pytest.raises(ConfigError, match="ModelConfig has no embed"):
        model_config("scan-t2i", 10, embed=3)
    with pytest.raises(ConfigError, match="pooling must be one of"):
        model_config("scan-t2i", 10, pooling="mean")
