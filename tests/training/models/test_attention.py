from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training import reference
from training.toy import real

from attneval.errors import ConfigError
from attneval.training.choices import Pooling, RawNorm
from attneval.training.models.attention import (
    I2T,
    T2I,
    AttentionMaps,
    Direction,
    Fragments,
    Pairs,
    attention_weights,
    contrasts,
    pool,
)


def fragments(lengths: list[int], seed: int, dim: int = 6) -> Fragments:
    """Random unit vectors with anything at all in the padding."""
    random = torch.Generator().manual_seed(seed)
    vectors = nn.functional.normalize(torch.randn(len(lengths), max(lengths), dim, generator=random), dim=-1)
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return Fragments.masked(vectors, mask)


def both_ways(
    regions: np.ndarray, words: np.ndarray, direction: Direction, raw_norm: str, temperature: float
) -> np.ndarray:
    """[T, R] by the slow implementation."""
    if direction is T2I:
        return reference.attention(words, regions, raw_norm, temperature)
    weights: np.ndarray = reference.attention(regions, words, raw_norm, temperature).T
    return weights


@pytest.mark.parametrize("direction", [T2I, I2T], ids=lambda direction: direction.name)
@pytest.mark.parametrize("raw_norm", get_args(RawNorm))
def test_weights_and_cosines_of_all_pairs(direction: Direction, raw_norm: RawNorm) -> None:
    regions, words = fragments([5, 4, 5], 0), fragments([3, 7, 1, 4], 1)
    pairs = Pairs(regions, words)
    weights = attention_weights(pairs, direction, raw_norm=raw_norm, temperature=4.0)
    cosines = pairs.cosines(weights, direction)
    assert weights.shape == (3, 4, 7, 5)
    for image in range(3):
        for caption in range(4):
            image_regions, caption_words = real(regions, image), real(words, caption)
            expected = both_ways(image_regions, caption_words, direction, raw_norm, 4.0)
            height, width = expected.shape
            found = weights[image, caption]
            np.testing.assert_allclose(found[:height, :width], expected, atol=2e-6)
            assert found[height:].abs().sum() + found[:, width:].abs().sum() == 0
            queries, context = (caption_words, image_regions) if direction is T2I else (image_regions, caption_words)
            of_queries = expected if direction is T2I else expected.T
            np.testing.assert_allclose(
                cosines[image, caption, : len(queries)],
                reference.query_cosines(queries, context, of_queries),
                atol=2e-6,
            )


def test_weights_by_hand() -> None:
    # Two words, two regions; cosines rows (words) x columns (regions): (1, 0), (0.6, 0.8).
    words = Fragments.masked(torch.tensor([[[1.0, 0.0], [0.6, 0.8]]]), torch.ones(1, 2, dtype=torch.bool))
    regions = Fragments.masked(torch.eye(2)[None], torch.ones(1, 2, dtype=torch.bool))
    weights = attention_weights(Pairs(regions, words), T2I, temperature=1.0)[0, 0]
    # Over the words, region 1 has length sqrt(1.36), region 2 has 0.8: (0.857493, 0), (0.514496, 1).
    first = 1 / (1 + np.exp(-0.857493))
    second = 1 / (1 + np.exp(1 - 0.514496))
    np.testing.assert_allclose(weights, [[first, 1 - first], [second, 1 - second]], atol=1e-5)


@pytest.mark.parametrize("direction", [T2I, I2T], ids=lambda direction: direction.name)
def test_matched_pairs_are_the_diagonal(direction: Direction) -> None:
    regions, words = fragments([5, 4, 2], 0), fragments([3, 7, 4], 1)
    crossed, matched = Pairs(regions, words), Pairs(regions, words, matched=True)
    all_weights, own_weights = attention_weights(crossed, direction), attention_weights(matched, direction)
    index = torch.arange(3)
    torch.testing.assert_close(own_weights, all_weights[index, index])
    torch.testing.assert_close(
        matched.cosines(own_weights, direction), crossed.cosines(all_weights, direction)[index, index]
    )
    torch.testing.assert_close(matched.attended(own_weights), crossed.attended(all_weights)[index, index])


def test_matched_pairs_must_be_as_many() -> None:
    with pytest.raises(ConfigError, match="2 images cannot be matched with 3 captions"):
        Pairs(fragments([2, 2], 0), fragments([2, 2, 2], 1), matched=True)


@pytest.mark.parametrize("direction", [T2I, I2T], ids=lambda direction: direction.name)
def test_sums_over_the_context(direction: Direction) -> None:
    regions, words = fragments([5, 4], 0), fragments([3, 7], 1)
    weights = attention_weights(Pairs(regions, words), direction)
    sums = weights.sum(direction.context)
    queries = words.mask[None] if direction is T2I else regions.mask[:, None]
    torch.testing.assert_close(sums, queries.expand(sums.shape).float())


def test_cosine_without_vectors_is_that_of_the_vectors() -> None:
    """Also where vectors are not unit vectors."""
    regions = Fragments.masked(3 * torch.randn(2, 5, 4), torch.ones(2, 5, dtype=torch.bool))
    words = Fragments.masked(2 * torch.randn(3, 6, 4), torch.ones(3, 6, dtype=torch.bool))
    pairs = Pairs(regions, words)
    weights = attention_weights(pairs, T2I, temperature=1.0)
    attended = pairs.attended(weights)
    expected = nn.functional.cosine_similarity(attended, words.vectors[None], dim=-1)
    torch.testing.assert_close(pairs.cosines(weights, T2I), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("raw_norm", get_args(RawNorm))
@pytest.mark.parametrize("direction", [T2I, I2T], ids=lambda direction: direction.name)
def test_gradient_with_padding(raw_norm: RawNorm, direction: Direction) -> None:
    region_mask = torch.tensor([[True, True, True], [True, True, False]])
    word_mask = torch.tensor([[True, True, False, False], [True, True, True, False]])

    def value(regions: Tensor, words: Tensor) -> Tensor:
        pairs = Pairs(Fragments.masked(regions, region_mask), Fragments.masked(words, word_mask))
        weights = attention_weights(pairs, direction, raw_norm=raw_norm, temperature=2.0)
        return pool(pairs.cosines(weights, direction), pairs.query_mask(direction), "LogSumExp", 3.0)

    random = torch.Generator().manual_seed(0)
    inputs = [torch.randn(2, n, 3, generator=random, dtype=torch.float64).requires_grad_() for n in (3, 4)]
    assert torch.autograd.gradcheck(value, inputs)


def test_gradient_is_finite_where_nothing_is_known() -> None:
    vectors = torch.zeros(1, 2, 3, requires_grad=True)
    empty = Fragments.masked(vectors, torch.ones(1, 2, dtype=torch.bool))
    pairs = Pairs(empty, empty)
    torch.autograd.backward(pairs.cosines(attention_weights(pairs, T2I), T2I).sum())
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("LogSumExp", np.log(np.exp(2 * 0.5) + np.exp(2 * -0.25)) / 2),
        ("Mean", 0.125),
        ("Sum", 0.25),
        ("Max", 0.5),
    ],
)
def test_pool_by_hand(pooling: Pooling, expected: float) -> None:
    values = torch.tensor([[0.5, -0.25, 9.0]])
    mask = torch.tensor([[True, True, False]])
    assert pool(values, mask, pooling, 2.0).item() == pytest.approx(expected, abs=1e-6)


def test_fragments_forget_their_padding() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    encoded = Fragments.masked(torch.full((2, 2, 3), torch.nan).masked_fill(mask[..., None], 1.0), mask)
    assert torch.isfinite(encoded.vectors).all()
    assert encoded.ragged
    assert not encoded[1:].ragged
    assert Fragments.masked(encoded.vectors.half(), mask).vectors.dtype == torch.float32
    assert encoded[:1].trimmed().vectors.shape == (1, 1, 3)


def test_contrasts_point_the_right_way() -> None:
    regions, words = fragments([5, 4], 0), fragments([3, 7], 1)
    pairs = Pairs(regions, words, matched=True)
    maps = AttentionMaps(attention_weights(pairs, T2I), attention_weights(pairs, I2T))
    queries = torch.ones(2, 7, dtype=torch.bool)
    queries[:, 0] = False
    found = contrasts(pairs, maps, queries)
    assert list(found) == ["t2i", "i2t"]
    assert found["t2i"].query_mask.tolist() == [[False, True, True] + [False] * 4, [False] + [True] * 6]
    assert found["t2i"].key_mask is regions.mask
    for contrast in found.values():
        asked, attended = contrast.queries, contrast.keys
        assert contrast.weights.shape == (2, asked.shape[1], attended.shape[1])
    assert maps.i2t is not None
    torch.testing.assert_close(found["i2t"].weights, maps.i2t.transpose(1, 2))
    assert list(contrasts(pairs, AttentionMaps(t2i=maps.t2i), queries)) == ["t2i"]
