"""Unit lengths by hand; short rows come out as torch's softmax has them, with the same gradient."""

from __future__ import annotations

import pytest
import torch

from attneval.training.models.normalisation import LANES, l2norm, softmax_of_few


@pytest.mark.parametrize("length", [1, 2, 14, LANES - 1, LANES, LANES + 1, 36])
def test_rows_of_any_length(length: int) -> None:
    torch.manual_seed(length)
    logits = (20 * torch.randn(3, 5, length, dtype=torch.float64)).requires_grad_()
    slope = torch.randn(3, 5, length, dtype=torch.float64)
    found, expected = softmax_of_few(logits), logits.softmax(-1)
    torch.testing.assert_close(found, expected, atol=1e-15, rtol=1e-14)
    (gradient,) = torch.autograd.grad(found, logits, slope)
    (other,) = torch.autograd.grad(expected, logits, slope)
    torch.testing.assert_close(gradient, other, atol=1e-14, rtol=1e-12)


def test_hidden_numbers_have_no_weight() -> None:
    lowest = torch.finfo(torch.float32).min
    found = softmax_of_few(torch.tensor([[0.0, 0.0, lowest], [lowest, lowest, lowest]]))
    assert found[0].tolist() == [0.5, 0.5, 0.0]
    assert found[1].tolist() == pytest.approx([1 / 3] * 3)


def test_l2norm_by_hand() -> None:
    torch.testing.assert_close(l2norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]])), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    torch.testing.assert_close(l2norm(torch.tensor([[3.0], [4.0]]), axis=0), torch.tensor([[0.6], [0.8]]))
