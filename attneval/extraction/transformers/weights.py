"""Softmax weights of some rows on some columns, from queries, keys and masks of any form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

SCORES_AT_ONCE = 2**26
"""Scores held at a time; the heads are worked on in groups where there are more."""


def cut_weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    *,
    rows: Tensor | None,
    columns: Tensor | None,
    scaling: float,
    causal: bool,
    position_bias: Tensor | None = None,
) -> Tensor:
    """Compute softmax weights for some rows over all keys, cut to some columns.

    Args:
        query: [B, H, S, d].
        key: [B, H_kv, K, d]; each key head serves H / H_kv query heads.
        mask: None, bool (True may be attended to) or additive, [B or 1, 1 or H, S, >= K].
        rows: int64[n] or int64[B, n], -1 for padding; None for all.
        columns: The same for keys.
        scaling: Factor of the scores.
        causal: A row sees no later key, where there is no mask.
        position_bias: Added to the scores, [B or 1, H, S, K].

    Returns:
        float32[B, H, rows, columns].
    """
    groups = query.shape[1] // key.shape[1]
    count = query.shape[2] if rows is None else rows.shape[-1]
    whole = len(query) * query.shape[1] * count * key.shape[2]
    step = max(1, key.shape[1] * SCORES_AT_ONCE // max(whole, 1))
    parts = [
        _cut_heads(
            query[:, start * groups : (start + step) * groups],
            key[:, start : start + step],
            _heads(mask, start * groups, (start + step) * groups),
            rows=rows,
            columns=columns,
            scaling=scaling,
            causal=causal,
            position_bias=_heads(position_bias, start * groups, (start + step) * groups),
        )
        for start in range(0, key.shape[1], step)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _heads(mask: Tensor | None, start: int, stop: int) -> Tensor | None:
    return mask if mask is None or mask.shape[1] == 1 else mask[:, start:stop]


def _cut_heads(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    *,
    rows: Tensor | None,
    columns: Tensor | None,
    scaling: float,
    causal: bool,
    position_bias: Tensor | None,
) -> Tensor:
    batch, heads, _, size = query.shape
    keys, length = key.shape[1], key.shape[2]
    wanted = take(query, rows, 2).float()
    count = wanted.shape[2]
    scores = wanted.reshape(batch, keys, heads // keys * count, size) @ key.float().transpose(2, 3)
    scores = scores.view(batch, heads, count, length).mul_(scaling)
    if position_bias is not None:
        scores += take(position_bias[..., :length], rows, 2).float()
    lowest = torch.finfo(torch.float32).min
    if mask is not None:
        cut = take(mask[..., :length].expand(batch, -1, -1, -1), rows, 2)
        scores = scores.masked_fill_(~cut, lowest) if cut.dtype == torch.bool else scores.add_(cut)
    elif causal and query.shape[2] > 1:
        place = torch.arange(count, device=query.device) if rows is None else rows.to(query.device).clamp(min=0)
        later = torch.arange(length, device=query.device) > place[..., None]
        scores.masked_fill_(later if later.ndim == 2 else later[:, None], lowest)
    weights = take(scores.softmax(-1), columns, 3)
    return blank(blank(weights, rows, 2), columns, 3)


def additive_mask(mask: Tensor | None, query: Tensor, key: Tensor, *, causal: bool) -> Tensor | None:
    """Write a mask [B, 1 or H, Q, K] as numbers to add: eager functions would add True and False as 1 and 0."""
    lowest = torch.finfo(query.dtype).min
    if mask is None:
        if not causal or query.shape[2] == 1:
            return None
        places = torch.arange(max(query.shape[2], key.shape[2]), device=query.device)
        mask = (places[None, : key.shape[2]] <= places[: query.shape[2], None])[None, None]
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill(~mask, lowest)


def take(values: Tensor, index: Tensor | None, axis: int) -> Tensor:
    """Take entries of [B, ...] along an axis, the same [n] or others [B, n] for each sample; -1 takes the first one."""
    if index is None:
        return values
    index = index.to(values.device).clamp(min=0)
    if index.ndim == 1:
        return values.index_select(axis, index)
    shape = [1] * values.ndim
    shape[0], shape[axis] = index.shape
    target = list(values.shape)
    target[0], target[axis] = index.shape
    return values.expand(len(index), *values.shape[1:]).gather(axis, index.view(shape).expand(target))


def blank(weights: Tensor, index: Tensor | None, axis: int) -> Tensor:
    """Put zeros into weights [B, ...] where the index [n] or [B, n] is padding."""
    if index is None or not bool((index < 0).any()):
        return weights
    keep = (index >= 0).to(weights.device)
    shape = [1] * weights.ndim
    shape[axis] = keep.shape[-1]
    shape[0] = 1 if keep.ndim == 1 else len(keep)
    return weights * keep.view(shape)
