from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from training import reference

from attneval.errors import ConfigError
from attneval.training.losses.constraints import (
    ContrastiveConstraints,
    ccr_loss,
    ccs_loss,
    cosine,
    hinge,
    reversed_weights,
)
from attneval.training.models.attention import T2I, Fragments, Pairs, attention_weights

Problem = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def problem(batch: int = 3, queries: int = 4, keys: int = 5, dim: int = 6, seed: int = 0) -> Problem:
    """Queries, keys, weights over real keys, query mask and key mask; the first item is not padded."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random, dtype=torch.float64)

    query_mask = torch.rand(batch, queries, generator=random) < 0.7
    key_mask = torch.rand(batch, keys, generator=random) < 0.7
    query_mask[0], key_mask[0] = True, True
    key_mask[:, :2] = True
    weights = normal(batch, queries, keys).masked_fill(~key_mask[:, None], -torch.inf).softmax(-1)
    return normal(batch, queries, dim), normal(batch, keys, dim), weights, query_mask, key_mask


def slow_ccr(given_problem: Problem, margin: float) -> float:
    queries, keys, weights, query_mask, key_mask = (each.numpy() for each in given_problem)
    losses = []
    for item in range(len(queries)):
        real = np.flatnonzero(key_mask[item])
        for row in np.flatnonzero(query_mask[item]):
            w = weights[item, row, real]
            v = (1 - w) / (1 - w).sum()
            attended, ignored = w @ keys[item, real], v @ keys[item, real]
            query = queries[item, row]
            losses.append(max(0.0, margin + reference.cosine(query, ignored) - reference.cosine(query, attended)))
    return float(np.mean(losses))


def slow_hardest_ccs(given_problem: Problem, margin: float) -> float:
    queries, keys, weights, query_mask, key_mask = (each.numpy() for each in given_problem)
    losses = []
    for item in range(len(queries)):
        real = np.flatnonzero(key_mask[item])
        others = [
            queries[other, row]
            for other in range(len(queries))
            if other != item
            for row in np.flatnonzero(query_mask[other])
        ]
        for row in np.flatnonzero(query_mask[item]):
            attended = weights[item, row, real] @ keys[item, real]
            wrong = max(reference.cosine(other, attended) for other in others)
            losses.append(max(0.0, margin + wrong - reference.cosine(queries[item, row], attended)))
    return float(np.mean(losses))


def test_ccr_by_hand() -> None:
    # a = (3/4, 1/4), reversed (1/4, 3/4): cosines 3 / sqrt(10) and 1 / sqrt(10) with q = (1, 0).
    queries, keys = torch.tensor([[[1.0, 0.0]]]), torch.eye(2)[None]
    weights = torch.tensor([[[0.75, 0.25]]])
    assert ccr_loss(queries, keys, weights, margin=0.7).item() == pytest.approx(0.7 - 2 / math.sqrt(10), abs=1e-6)
    assert ccr_loss(queries, keys, weights, margin=0.6).item() == 0.0


def test_ccs_by_hand() -> None:
    # Item 1: q = (1, 0) sees a = (4, 3) / 5; item 2: q = (0, 1) sees a = (0, 1). Each q' is the other item's q.
    queries = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    keys = torch.tensor([[[0.8, 0.6]], [[0.0, 1.0]]])
    weights = torch.ones(2, 1, 1)
    # max(0, 0.5 + 0.6 - 0.8) = 0.3 and max(0, 0.5 + 0 - 1) = 0.
    assert ccs_loss(queries, keys, weights, margin=0.5).item() == pytest.approx(0.15, abs=1e-6)


def test_reversed_weights_by_hand() -> None:
    weights = torch.tensor([[0.5, 0.3, 0.2, 0.0], [1.0, 0.0, 0.0, 0.0]])
    mask = torch.tensor([True, True, True, False])
    expected = torch.tensor([[0.25, 0.35, 0.4, 0.0], [0.0, 0.5, 0.5, 0.0]])
    torch.testing.assert_close(reversed_weights(weights, mask), expected)
    assert reversed_weights(torch.tensor([[1.0]])).tolist() == [[0.0]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_equal_to_the_slow_implementation(seed: int, margin: float) -> None:
    given_problem = problem(seed=seed)
    queries, keys, weights, query_mask, key_mask = given_problem
    masks: dict[str, Any] = {"query_mask": query_mask, "key_mask": key_mask}
    ccr = ccr_loss(queries, keys, weights, margin=margin, **masks)
    ccs = ccs_loss(queries, keys, weights, margin=margin, swap="hardest", **masks)
    assert ccr.item() == pytest.approx(slow_ccr(given_problem, margin), abs=1e-12)
    assert ccs.item() == pytest.approx(slow_hardest_ccs(given_problem, margin), abs=1e-12)


@pytest.mark.parametrize("loss", [ccr_loss, partial(ccs_loss, swap="hardest"), partial(ccs_loss, swap="random")])
def test_gradient(loss: object) -> None:
    queries, keys, weights, query_mask, key_mask = problem()

    def value(queries: Tensor, keys: Tensor, weights: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        extra = {} if loss is ccr_loss else {"generator": generator}
        return loss(queries, keys, weights, query_mask=query_mask, key_mask=key_mask, margin=1.0, **extra)  # type: ignore[operator,no-any-return]

    inputs = [each.clone().requires_grad_() for each in (queries, keys, weights)]
    assert value(*inputs).item() > 0
    assert torch.autograd.gradcheck(value, inputs)


def hostile(case: str) -> Problem:
    queries, keys, weights, query_mask, key_mask = problem()
    if case == "one key":
        keys, key_mask = keys[:, :1], torch.ones(3, 1, dtype=torch.bool)
        weights = torch.ones(3, 4, 1, dtype=torch.float64)
    elif case == "one real key":
        key_mask = torch.zeros_like(key_mask)
        key_mask[:, 1] = True
        weights = key_mask[:, None].expand(-1, 4, -1).double()
    elif case == "uniform weights":
        key_mask = torch.ones_like(key_mask)
        weights = torch.full_like(weights, 0.2)
    elif case == "weights of exactly 1":
        weights = torch.zeros_like(weights)
        weights[..., 0] = 1.0
    elif case == "weights just above 1":
        weights = torch.zeros_like(weights)
        weights[..., 0] = 1.0 + 1e-7
    elif case == "no real key":
        key_mask = torch.zeros_like(key_mask)
        weights = torch.full_like(weights, torch.nan)  # what a softmax over nothing gives
    elif case == "no real query":
        query_mask = torch.zeros_like(query_mask)
    elif case == "an item without keys":
        key_mask[1] = False
        weights[1] = torch.nan
    elif case == "garbage in the padding":
        queries = queries.masked_fill(~query_mask[..., None], torch.nan)
        keys = keys.masked_fill(~key_mask[..., None], torch.inf)
        weights = weights.masked_fill(~query_mask[..., None], torch.nan)
    elif case == "zero vectors":
        queries, keys = queries * 0, keys * 0
    elif case == "one item":
        queries, keys, weights = queries[:1], keys[:1], weights[:1]
        query_mask, key_mask = query_mask[:1], key_mask[:1]
    return queries, keys, weights, query_mask, key_mask


CASES = [
    "one key",
    "one real key",
    "uniform weights",
    "weights of exactly 1",
    "weights just above 1",
    "no real key",
    "no real query",
    "an item without keys",
    "garbage in the padding",
    "zero vectors",
    "one item",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("swap", ["random", "hardest"])
def test_never_nan(case: str, dtype: torch.dtype, swap: str) -> None:
    queries, keys, weights, query_mask, key_mask = hostile(case)
    inputs = [each.to(dtype).requires_grad_() for each in (queries, keys, weights)]
    constraints = ContrastiveConstraints(margin_ccr=0.5, margin_ccs=0.5, swap=swap)  # type: ignore[arg-type]
    loss = constraints(*inputs, query_mask=query_mask, key_mask=key_mask)
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    for each in inputs:
        assert each.grad is not None
        assert torch.isfinite(each.grad).all()


@pytest.mark.parametrize(
    ("case", "zero"),
    [
        ("one key", "ccr"),
        ("one real key", "ccr"),
        ("no real key", "ccr"),
        ("no real key", "ccs"),
        ("no real query", "ccr"),
        ("no real query", "ccs"),
        ("one item", "ccs"),
    ],
)
def test_nothing_to_contrast_is_zero(case: str, zero: str) -> None:
    queries, keys, weights, query_mask, key_mask = hostile(case)
    loss: Any = {"ccr": ccr_loss, "ccs": ccs_loss}[zero]
    assert loss(queries, keys, weights, query_mask=query_mask, key_mask=key_mask, margin=9.0).item() == 0.0


def test_uniform_weights_cost_the_margin() -> None:
    queries, keys, weights, *_ = hostile("uniform weights")
    assert ccr_loss(queries, keys, weights, margin=0.3).item() == pytest.approx(0.3, abs=1e-9)


@given(seed=st.integers(0, 1000), more_queries=st.integers(0, 3), more_keys=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_padding_changes_nothing(seed: int, more_queries: int, more_keys: int) -> None:
    queries, keys, weights, query_mask, key_mask = problem(seed=seed)
    pad = nn.functional.pad
    wide = (
        pad(queries, (0, 0, 0, more_queries), value=7.0),
        pad(keys, (0, 0, 0, more_keys), value=-3.0),
        pad(weights, (0, more_keys, 0, more_queries), value=0.5),
    )
    masks: dict[str, Any] = {"query_mask": query_mask, "key_mask": key_mask}
    wide_masks: dict[str, Any] = {
        "query_mask": pad(query_mask, (0, more_queries)),
        "key_mask": pad(key_mask, (0, more_keys)),
    }
    for loss in (ccr_loss, partial(ccs_loss, swap="hardest")):
        torch.testing.assert_close(
            loss(*wide, margin=0.8, **wide_masks), loss(queries, keys, weights, margin=0.8, **masks)
        )


def test_swapped_query_is_never_of_the_same_item() -> None:
    # In each item both queries equal the key, so a swap inside an item would cost the margin; between items the
    # queries are opposite and cost nothing.
    direction = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    queries = direction[:, None].expand(2, 2, 2)
    keys = direction[:, None]
    for swap in ("random", "hardest"):
        assert ccs_loss(queries, keys, torch.ones(2, 2, 1), margin=0.5, swap=swap).item() == 0.0


def test_groups_do_not_swap() -> None:
    queries, keys, weights, *_ = problem(batch=4)
    same = torch.zeros(4, dtype=torch.long)
    assert ccs_loss(queries, keys, weights, margin=5.0, groups=same).item() == 0.0
    pairs = torch.tensor([0, 0, 1, 1])
    first = ccs_loss(queries, keys, weights, margin=5.0, swap="hardest", groups=pairs)
    # Items 0 and 1 may only take q' from 2 and 3, and the other way round: the loss of four two-item problems.
    losses = []
    for one, others in ((0, [2, 3]), (1, [2, 3]), (2, [0, 1]), (3, [0, 1])):
        for row in range(4):
            attended = (weights[one, row] @ keys[one]).numpy()
            wrong = max(reference.cosine(queries[o, r].numpy(), attended) for o in others for r in range(4))
            losses.append(5.0 + wrong - reference.cosine(queries[one, row].numpy(), attended))
    assert first.item() == pytest.approx(np.mean(losses), abs=1e-9)


def test_labels_do_not_swap() -> None:
    queries = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]], [[-1.0, 0.0]]])
    keys, weights = queries.clone(), torch.ones(3, 1, 1)
    words = torch.tensor([[7], [7], [8]])
    hardest = partial(ccs_loss, queries, keys, weights, margin=1.5, swap="hardest")
    # Without labels items 0 and 1 swap the same vector (cost 1.5), with labels the opposite one (cost 0).
    assert hardest().item() == pytest.approx((1.5 + 1.5 + 0) / 3)
    assert hardest(labels=words).item() == 0.0


def test_random_swaps_differ_and_repeat() -> None:
    queries, keys, weights, *_ = problem(batch=6)
    values = [
        ccs_loss(queries, keys, weights, margin=1.0, generator=torch.Generator().manual_seed(seed)).item()
        for seed in (1, 1, 2)
    ]
    assert values[0] == values[1] != values[2]


def test_any_similarity() -> None:
    given_problem = problem()
    queries, keys, weights, query_mask, key_mask = given_problem
    seen: list[torch.Size] = []

    def distance(query: Tensor, attended: Tensor) -> Tensor:
        seen.append(query.shape)
        assert torch.isfinite(query).all()
        return -(query - attended).square().sum(-1)

    ccr = ccr_loss(queries, keys, weights, query_mask=query_mask, key_mask=key_mask, margin=1.0, similarity=distance)
    expected = []
    for item, row in zip(*np.nonzero(query_mask.numpy()), strict=True):
        real = key_mask[item]
        w = weights[item, row, real]
        attended, ignored = w @ keys[item, real], (1 - w) / (1 - w).sum() @ keys[item, real]
        query = queries[item, row]
        gap = ((query - attended) ** 2).sum() - ((query - ignored) ** 2).sum()
        expected.append(max(0.0, 1.0 + gap.item()))
    assert ccr.item() == pytest.approx(np.mean(expected))
    assert seen == [(int(query_mask.sum()), 6)] * 2


def test_hardest_swap_with_an_unknown_similarity_is_that_of_the_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, keys, weights, *_ = problem(batch=5)
    monkeypatch.setattr("attneval.training.losses.swapping._CHUNK", 200)  # several blocks
    known = ccs_loss(queries, keys, weights, margin=1.0, swap="hardest")
    unknown = ccs_loss(queries, keys, weights, margin=1.0, swap="hardest", similarity=partial(cosine))
    torch.testing.assert_close(known, unknown)


def test_shared_queries_and_keys() -> None:
    queries, keys, weights, *_ = problem()
    shared, everywhere = queries[0], queries[:1].expand(3, -1, -1)
    torch.testing.assert_close(ccr_loss(shared, keys, weights), ccr_loss(everywhere, keys, weights))
    shared, everywhere = keys[0], keys[:1].expand(3, -1, -1)
    hardest = partial(ccs_loss, swap="hardest")
    torch.testing.assert_close(hardest(queries, shared, weights), hardest(queries, everywhere, weights))


def test_without_vectors_from_scores_and_gram_matrix() -> None:
    """The building blocks give CCR from scores alone, as the fast path of the models does."""
    random = torch.Generator().manual_seed(3)
    vectors = nn.functional.normalize(torch.randn(2, 9, 6, generator=random, dtype=torch.float64), dim=-1)
    words = Fragments.masked(vectors[:, :4], torch.tensor([[True] * 4, [True] * 3 + [False]]))
    regions = Fragments.masked(vectors[:, 4:], torch.ones(2, 5, dtype=torch.bool))
    pairs = Pairs(regions, words, matched=True)
    weights = attention_weights(pairs, T2I)
    reverse = reversed_weights(weights, regions.mask[:, None])
    fast = hinge(pairs.cosines(weights, T2I), pairs.cosines(reverse, T2I), 0.9, words.mask)
    slow = ccr_loss(words.vectors, regions.vectors, weights, query_mask=words.mask, margin=0.9)
    assert slow.item() > 0.1
    torch.testing.assert_close(fast, slow)


def test_weights_of_the_module() -> None:
    queries, keys, weights, *_ = problem()
    both = ContrastiveConstraints(weight_ccr=0.5, weight_ccs=2.0, margin_ccr=0.7, margin_ccs=0.9, swap="hardest")
    ccr = ccr_loss(queries, keys, weights, margin=0.7)
    ccs = ccs_loss(queries, keys, weights, margin=0.9, swap="hardest")
    torch.testing.assert_close(both(queries, keys, weights), 0.5 * ccr + 2 * ccs)
    assert set(ContrastiveConstraints(weight_ccr=0).contrasted(queries, keys, weights)) == {"ccs"}
    assert ContrastiveConstraints(weight_ccr=0, weight_ccs=0)(queries, keys, weights).item() == 0.0


def test_plugs_into_multihead_attention() -> None:
    """CCR makes a foreign attention layer attend to what its queries resemble."""
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    keys = torch.randn(4, 6, 8)
    target = torch.randint(0, 5, (4, 3))
    queries = torch.gather(keys, 1, target[..., None].expand(-1, -1, 8)) + 0.1 * torch.randn(4, 3, 8)
    padding = torch.zeros(4, 6, dtype=torch.bool)
    padding[1:, 5] = True
    constraints = ContrastiveConstraints(weight_ccs=0.0, margin_ccr=1.0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    on_target, losses = [], []
    for _ in range(60):
        _, weights = layer(queries, keys, keys, key_padding_mask=padding)
        loss = constraints(queries, keys, weights, key_mask=~padding)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        on_target.append(torch.gather(weights, 2, target[..., None]).mean().item())
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert on_target[0] < 0.35
    assert on_target[-1] > 0.55


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": torch.ones(4, 5)}, "must be \\[batch, queries, keys\\]"),
        ({"queries": torch.ones(3, 9, 6)}, "queries of shape \\[3, 9, 6\\]"),
        ({"keys": torch.ones(2, 5, 6)}, "keys of shape \\[2, 5, 6\\]"),
        ({"key_mask": torch.ones(3, 4, dtype=torch.bool)}, "key mask must be bool of shape \\[3, 5\\]"),
        ({"query_mask": torch.ones(3, 4)}, "query mask must be bool"),
    ],
)
def test_refuses_what_does_not_fit(change: dict[str, Tensor], message: str) -> None:
    queries, keys, weights, *_ = (each.float() for each in problem())
    arguments: dict[str, Any] = {"queries": queries, "keys": keys, "weights": weights, **change}
    with pytest.raises(ConfigError, match=message):
        ccr_loss(**arguments)


def test_refuses_an_unknown_swap() -> None:
    with pytest.raises(ConfigError, match="random, hardest, item"):
        ContrastiveConstraints(swap="nearest")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_chooses_the_hardest_too(dtype: torch.dtype) -> None:
    """Both queries attend to themselves, and 0.6 is the cosine of each with the other: max(0, 0.5 + 0.6 - 1) = 0.1."""
    vectors = torch.tensor([[[1.0, 0.0]], [[0.6, 0.8]]], dtype=dtype)
    loss = ccs_loss(vectors, vectors, torch.ones(2, 1, 1, dtype=dtype), margin=0.5, swap="hardest")
    assert loss.dtype == dtype
    assert loss.item() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("swap", ["random", "hardest"])
def test_zero_vectors_are_finite_in_half_precision(swap: Any) -> None:
    """Their similarities are 0, so that what is left of each hinge is its margin."""
    queries = torch.zeros(2, 1, 3, dtype=torch.float16, requires_grad=True)
    keys, weights = torch.ones(2, 2, 3, dtype=torch.float16), torch.full((2, 1, 2), 0.5, dtype=torch.float16)
    losses = [ccr_loss(queries, keys, weights), ccs_loss(queries, keys, weights, swap=swap)]
    torch.autograd.backward(losses)
    assert [loss.item() for loss in losses] == pytest.approx([0.2, 0.2], abs=1e-3)
    assert queries.grad is not None
    assert torch.isfinite(queries.grad).all()
