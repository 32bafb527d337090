from __future__ import annotations

from typing import Any

import pytest
import torch

from attneval.errors import ConfigError
from attneval.training.losses.constraints import ccr_loss
from attneval.training.losses.reversal import reversed_weights

FORMS = ["complement", "inverse", "unattended"]
WEIGHTS = torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.25, 0.25, 0.25, 0.25]])


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # A third of 1 - w.
        ("complement", [[1 / 6, 0.25, 0.25, 1 / 3], [0.25] * 4]),
        # 1 / (w + 1/4) is 4/3, 2, 2, 4, in all 28/3
        ("inverse", [[1 / 7, 3 / 14, 3 / 14, 3 / 7], [0.25] * 4]),
        # at most 1/4: the last three; all of even weights
        ("unattended", [[0.0, 1 / 3, 1 / 3, 1 / 3], [0.25] * 4]),
    ],
)
def test_by_hand(form: Any, expected: list[list[float]]) -> None:
    torch.testing.assert_close(reversed_weights(WEIGHTS, form=form), torch.tensor(expected))


def test_the_mean_is_that_of_real_keys() -> None:
    weights, mask = torch.tensor([[0.5, 0.4, 0.1, 0.0]]), torch.tensor([[True, True, True, False]])
    assert reversed_weights(weights, mask, "unattended").tolist() == [[0.0, 0.0, 1.0, 0.0]]
    # The inverses are 6/5, 15/11 and 30/13.
    sizes = torch.tensor([6 / 5, 15 / 11, 30 / 13, 0.0])
    torch.testing.assert_close(reversed_weights(weights, mask, "inverse")[0], sizes / sizes.sum())


@pytest.mark.parametrize("form", FORMS)
def test_a_single_key_leaves_nothing(form: Any) -> None:
    assert reversed_weights(torch.tensor([[1.0]]), form=form).tolist() == [[0.0]]
    mask = torch.tensor([[False, True, False]])
    assert reversed_weights(torch.tensor([[0.0, 1.0, 0.0]]), mask, form).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_every_form_is_a_distribution_that_falls_with_the_weight(form: Any, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    mask = torch.rand(20, 7, generator=random) < 0.8
    mask[:, :2] = True
    weights = torch.randn(20, 7, generator=random, dtype=torch.float64).masked_fill(~mask, -torch.inf).softmax(-1)
    reverse = reversed_weights(weights, mask, form)
    torch.testing.assert_close(reverse.sum(-1), torch.ones(20, dtype=torch.float64))
    assert (reverse[~mask] == 0).all()
    for row, turned, real in zip(weights, reverse, mask, strict=True):
        along = turned[real][row[real].argsort()]
        assert (along.diff() <= 1e-12).all()


@pytest.mark.parametrize("form", FORMS)
def test_gradient(form: Any) -> None:
    """Of `unattended` none passes through the reversed weights; the attended information has its own."""
    random = torch.Generator().manual_seed(0)
    queries, keys = (torch.randn(2, count, 4, generator=random, dtype=torch.float64) for count in (3, 5))
    logits = torch.randn(2, 3, 5, generator=random, dtype=torch.float64, requires_grad=True)

    def value(logits: torch.Tensor) -> torch.Tensor:
        return ccr_loss(queries, keys, logits.softmax(-1), margin=3.0, reversal=form)

    assert torch.autograd.gradcheck(value, [logits])
    weights = logits.softmax(-1)
    reverse = reversed_weights(weights, form=form)
    assert reverse.requires_grad is (form != "unattended")


def test_refuses_another_form() -> None:
    with pytest.raises(ConfigError, match="complement, inverse, unattended, not 'opposite'"):
        reversed_weights(WEIGHTS, form="opposite")  # type: ignore[arg-type]
