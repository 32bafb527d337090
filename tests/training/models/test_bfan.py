from __future__ import annotations

import numpy as np
import pytest
import torch
from training import reference
from training.toy import real, small_captions, small_images, small_model

from attneval.training.models.attention import I2T, T2I, Fragments, Pairs
from attneval.training.models.bfan import BfanEqual, BfanProb


@pytest.mark.parametrize("kind", ["equal", "prob"])
@torch.no_grad()
def test_equal_to_the_slow_implementation(kind: str) -> None:
    model = small_model(f"bfan-{kind}")
    regions = model.encode_images(small_images(3))
    words = model.encode_captions(small_captions([4, 7, 2, 5]))
    pairs = Pairs(regions, words)
    maps = model.attend(pairs)
    found = model.similarity(pairs, maps)
    assert maps.t2i is not None
    assert maps.i2t is not None
    for image in range(3):
        for caption in range(4):
            first, second = real(words, caption), real(regions, image)
            expected = 0.0
            for queries, context, map_ in (
                (first, second, maps.t2i[image, caption, : len(first)]),
                (second, first, maps.i2t[image, caption, : len(first)].T),
            ):
                weights = reference.focal(reference.attention(queries, context, "clipped_l2norm", 20.0), kind)
                np.testing.assert_allclose(map_, weights, atol=1e-5)
                expected += float(np.mean(reference.query_cosines(queries, context, weights)))
            assert found[image, caption].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", [BfanEqual, BfanProb])
def test_what_stays_by_hand(kind: type[BfanEqual | BfanProb]) -> None:
    model = small_model("bfan-equal" if kind is BfanEqual else "bfan-prob")
    assert isinstance(model, kind)
    # One word, four regions. Mean 1/4. Sum w^1.5 / sum w^0.5 = 0.5155 / 1.9793 = 0.2604.
    weights = torch.tensor([[[0.36, 0.255, 0.225, 0.16]]])
    pairs = Pairs(
        Fragments.masked(torch.ones(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)),
        Fragments.masked(torch.ones(1, 1, 2), torch.ones(1, 1, dtype=torch.bool)),
        matched=True,
    )
    kept = model.kept(weights, pairs, T2I)[0, 0].tolist()
    assert kept == ([True, True, False, False] if kind is BfanEqual else [True, False, False, False])


@pytest.mark.parametrize("name", ["bfan-equal", "bfan-prob"])
@pytest.mark.parametrize("regions", [1, 4])
def test_uniform_weights_stay(name: str, regions: int) -> None:
    """Equal regions get equal weights, above which nothing lies: the original divides by zero here."""
    model = small_model(name)
    vectors = torch.ones(2, regions, 3).div(3**0.5).requires_grad_()
    image = Fragments.masked(vectors, torch.ones(2, regions, dtype=torch.bool))
    words = Fragments.masked(torch.ones(2, 3, 3) / 3**0.5, torch.tensor([[True, True, True], [True, False, False]]))
    pairs = Pairs(image, words)
    maps = model.attend(pairs)
    assert maps.t2i is not None
    torch.testing.assert_close(maps.t2i[:, 0], torch.full((2, 3, regions), 1 / regions))
    similarity = model.similarity(pairs, maps)
    torch.testing.assert_close(similarity, torch.full((2, 2), 2.0))
    torch.autograd.backward(similarity.sum())
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


@torch.no_grad()
def test_a_caption_of_one_word() -> None:
    model = small_model("bfan-prob")
    pairs = Pairs(model.encode_images(small_images(2)), model.encode_captions(small_captions([1, 3])))
    maps = model.attend(pairs)
    assert maps.i2t is not None
    torch.testing.assert_close(maps.i2t[:, 0, 0], torch.ones(2, 5))
    assert torch.isfinite(model.similarity(pairs, maps)).all()
    assert model.config.temperature == 20.0
    assert I2T.context == -2
