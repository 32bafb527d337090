"""Observations of attention and constraints during training: numbers for the log, which change nothing.

They answer three questions: how peaked attention is, what is left for a hinge to teach, and how much of a constraint's
gradient arrives at the encoded words and regions through the attention weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from attneval.training.losses.constraints import Contrasted


@torch.no_grad()
def peakedness(weights: Tensor, query_mask: Tensor, key_mask: Tensor) -> dict[str, float]:
    """Describe how peaked attention is, as means over the real queries.

    Args:
        weights: f[B, Q, K] attention weights, summing to 1 over the real keys.
        query_mask: b[B, Q], true where a query is real and takes part.
        key_mask: b[B, K], true where a key is real.

    Returns:
        `peak`, the largest weight; `keys`, 1 / sum w^2, the number of keys that even weights of the same concentration
        would have; `entropy`, over the logarithm of the number of real keys, 0 to 1. Empty where no query takes part.
    """
    rows = weights[query_mask]
    if not len(rows):
        return {}
    count = key_mask.sum(-1)[:, None].expand(query_mask.shape)[query_mask]
    entropy = torch.special.entr(rows).sum(-1) / count.clamp_min(2).log()
    return {
        "peak": rows.amax(-1).mean().item(),
        "keys": rows.square().sum(-1).clamp_min(torch.finfo(rows.dtype).tiny).reciprocal().mean().item(),
        "entropy": entropy.mean().item(),
    }


@torch.no_grad()
def hinge_view(name: str, sides: Contrasted, margin: float) -> dict[str, float]:
    """Describe what a hinge is given.

    Args:
        name: The constraint.
        sides: Its positive and negative similarities.
        margin: By how much the positive has to win.

    Returns:
        `NAME_gap`, the mean of positive - negative; `NAME_active`, the share of queries within the margin, which alone
        have a gradient; `NAME_wrong`, the share for which the negative is the larger. Empty where no query takes part.
    """
    gap = sides.positive - sides.negative
    if not len(gap):
        return {}
    return {
        f"{name}_gap": gap.mean().item(),
        f"{name}_active": (gap < margin).double().mean().item(),
        f"{name}_wrong": (gap < 0).double().mean().item(),
    }


def gradient_norms(
    matching: Tensor, constraints: Tensor, weights: Sequence[Tensor], vectors: Sequence[Tensor]
) -> dict[str, float]:
    """Measure gradients at the encoded words and regions; the graph is kept, and no gradient is stored.

    Args:
        matching: The matching loss, a scalar.
        constraints: The weighted constraints, a scalar.
        weights: [B, Q, K] each, the attention weights that the constraints look at.
        vectors: [B, n, D] each, encoded words and regions, from which those weights were made.

    Returns:
        Euclidean norms: `gradient_matching` of the matching loss, `gradient_constraints` of the constraints,
        `gradient_attention` of the part of the latter that passes through the attention weights.
    """
    norms = {
        "gradient_matching": _norm(_gradients(matching, vectors)),
        "gradient_constraints": _norm(_gradients(constraints, vectors)),
        "gradient_attention": 0.0,
    }
    reaches = [
        (weight, gradient)
        for weight, gradient in zip(weights, _gradients(constraints, weights), strict=True)
        if gradient is not None and weight.requires_grad
    ]
    if reaches:
        through = torch.autograd.grad(
            [weight for weight, _ in reaches],
            vectors,
            grad_outputs=[gradient for _, gradient in reaches],
            retain_graph=True,
            allow_unused=True,
        )
        norms["gradient_attention"] = _norm(through)
    return norms


def _gradients(loss: Tensor, inputs: Sequence[Tensor]) -> Sequence[Tensor | None]:
    if not loss.requires_grad:
        return [None] * len(inputs)
    return torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)


def _norm(gradients: Sequence[Tensor | None]) -> float:
    squares = [each.square().sum() for each in gradients if each is not None]
    return torch.stack(squares).sum().sqrt().item() if squares else 0.0
