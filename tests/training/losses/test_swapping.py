from __future__ import annotations

import pytest
import torch
from training import reference

from attneval.training.losses.constraints import ContrastiveConstraints, ccs_loss
from attneval.training.losses.swapping import swappable

ITEM, GROUP = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([7, 7, 7, 7, 8])


def test_inside_an_item_by_hand() -> None:
    # One caption: "dog" (1, 0) attends to its region exactly, "cat" (0, 1) to (4, 3) / 5.
    queries = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    keys = torch.tensor([[[1.0, 0.0], [0.8, 0.6]]])
    weights = torch.eye(2)[None]
    # dog: 0.5 + 0 - 1 < 0; cat: 0.5 + 0.8 - 0.6 = 0.7.
    assert ccs_loss(queries, keys, weights, margin=0.5, swap="item").item() == pytest.approx(0.35)


def test_the_allowed_swaps() -> None:
    assert swappable("item", ITEM, GROUP, None).int().tolist() == [
        [0, 1, 1, 0, 0],
        [1, 0, 1, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
    ]
    label = torch.tensor([5, 5, 6, 5, 9])
    assert swappable("item", ITEM, GROUP, label).int().tolist() == [
        [0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
    ]
    for swap in ("random", "hardest"):
        assert swappable(swap, ITEM, GROUP, label).int().tolist() == [
            [0, 0, 0, 0, 1],
            [0, 0, 0, 0, 1],
            [0, 0, 0, 0, 1],
            [0, 0, 0, 0, 1],
            [1, 1, 1, 1, 0],
        ]


def test_inside_items_against_the_slow_way() -> None:
    """With two queries an item there is one q' for each, so that nothing is left to chance."""
    random = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(4, count, 6, generator=random, dtype=torch.float64) for count in (2, 5))
    weights = torch.randn(4, 2, 5, generator=random, dtype=torch.float64).softmax(-1)
    losses = []
    for item in range(4):
        for row in range(2):
            attended = (weights[item, row] @ keys[item]).numpy()
            right, wrong = (reference.cosine(queries[item, each].numpy(), attended) for each in (row, 1 - row))
            losses.append(max(0.0, 0.4 + wrong - right))
    found = ccs_loss(queries, keys, weights, margin=0.4, swap="item").item()
    assert found == pytest.approx(sum(losses) / 8, abs=1e-12)


def test_a_lone_query_has_nothing_to_swap() -> None:
    one = torch.ones(3, 1, 2)
    assert ccs_loss(one, one, torch.ones(3, 1, 1), margin=9.0, swap="item").item() == 0.0


def test_it_makes_words_part() -> None:
    """Two words that attend alike pay for it, and learn to attend each to its own region through the weights alone."""
    words, regions = torch.eye(2)[None], torch.eye(2)[None]
    logits = torch.tensor([[[0.1, 0.0], [0.0, 0.0]]], requires_grad=True)
    constraints = ContrastiveConstraints(weight_ccr=0.0, margin_ccs=1.0, swap="item", through="weights")
    optimizer = torch.optim.SGD([logits], lr=1.0)
    for _ in range(50):
        optimizer.zero_grad()
        torch.autograd.backward(constraints(words, regions, logits.softmax(-1)))
        optimizer.step()
    assert torch.diagonal(logits.softmax(-1)[0]).min() > 0.9


def test_through_the_weights_queries_and_keys_get_no_gradient() -> None:
    random = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(3, count, 4, generator=random).requires_grad_() for count in (2, 5))
    weights = torch.randn(3, 2, 5, generator=random).softmax(-1).requires_grad_()
    constraints = ContrastiveConstraints(margin_ccr=2.0, margin_ccs=2.0, through="weights")
    torch.autograd.backward(constraints(queries, keys, weights))
    assert queries.grad is None
    assert keys.grad is None
    assert weights.grad is not None
    assert weights.grad.abs().sum() > 0
