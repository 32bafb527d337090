"""Unit lengths and softmax, in the forms that are fast."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPS = 1e-8  # the originals' guard in every normalisation
LANES = 16  # single-precision numbers in the widest registers of today's CPUs


def l2norm(vectors: Tensor, axis: int = -1, scale: float = 1.0) -> Tensor:
    """Bring vectors [..., D] to the length `scale` over `axis`; zero vectors stay zero, with finite gradients."""
    # This form is several times faster on a CPU than vector_norm and a division, forwards and backwards. The clamp
    # keeps the gradient of the root finite at zero.
    length = vectors.square().sum(axis, keepdim=True).clamp_min(EPS**2).sqrt()
    return vectors * (scale / (length + EPS))


def softmax_of_few(logits: Tensor) -> Tensor:
    """Softmax over the last axis of [.., L], for rows that may be short.

    On a CPU torch handles rows of fewer numbers than fill a register one number at a time. Filled up with what gets no
    weight they take a tenth of the time and come out the same to rounding.
    """
    missing = LANES - logits.shape[-1]
    if missing <= 0 or logits.is_cuda:
        return logits.softmax(-1)
    return functional.pad(logits, (0, missing), value=-torch.inf).softmax(-1)[..., :-missing]
