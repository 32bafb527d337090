"""Reversed attention weights: attention on what is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from attneval.errors import ConfigError
from attneval.training.choices import Reversal

if TYPE_CHECKING:
    from collections.abc import Callable


def reversed_weights(weights: Tensor, key_mask: Tensor | None = None, form: Reversal = "complement") -> Tensor:
    """Reverse attention weights over the real keys, n of them.

    - `complement`, of Chen et al. (WACV 2023): v_j ~ 1 - w_j. Over many keys it is close to even, whatever w.
    - `inverse`: v_j ~ 1 / (w_j + 1 / n), so that a key without weight gets twice the share of a key with the mean.
    - `unattended`: the same for all keys that have at most the mean weight 1 / n, 0 for those that are attended. It
      moves with w in steps, so that no gradient passes through it.

    Args:
        weights: f[..., K] attention weights in 0..1 that sum to 1 over the real keys.
        key_mask: b[..., K] or broadcastable, true where a key is real; None means everywhere.
        form: One of these.

    Returns:
        f[..., K], summing to 1 over the real keys. A row without anything to reverse (a single key holds all the
        weight; nothing is below the mean) is all zero.

    Raises:
        ConfigError: There is no such form.
    """
    if form not in _FORMS:
        raise ConfigError(f"reversal must be one of {', '.join(get_args(Reversal))}, not {form!r}")
    mask = torch.ones_like(weights, dtype=torch.bool) if key_mask is None else key_mask.expand(weights.shape)
    count = mask.sum(-1, keepdim=True).clamp_min(1)
    ignored = _FORMS[form](weights, count).masked_fill(~mask, 0)
    total = ignored.sum(-1, keepdim=True)
    # A total of one rounding error still means that nothing is ignored: dividing by it would blow up gradients.
    something = (total > _smallest_share(weights)) & (count > 1)
    return torch.where(something, ignored, 0) / torch.where(something, total, 1)


def _complement(weights: Tensor, _: Tensor) -> Tensor:
    return (1 - weights).clamp_min(0)


def _inverse(weights: Tensor, count: Tensor) -> Tensor:
    return (weights + 1 / count).reciprocal()


def _unattended(weights: Tensor, count: Tensor) -> Tensor:
    # The margin makes exactly even weights unattended whatever their rounding errors.
    return (weights.detach() * count <= 1 + 4 * torch.finfo(weights.dtype).eps * count).to(weights.dtype)


_FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "complement": _complement,
    "inverse": _inverse,
    "unattended": _unattended,
}


def _smallest_share(weights: Tensor) -> float:
    """Below this, a sum of 1 - w over a row is rounding error."""
    return 4 * torch.finfo(weights.dtype).eps * weights.shape[-1]
