"""Input of the constraints, checked and brought to one shape."""

from __future__ import annotations

import torch
from torch import Tensor

from attneval.errors import ConfigError


class AttendedBatch:
    """Queries, keys and weights of B items; padding holds zeros, so that nothing in it can reach a gradient.

    Args:
        queries: [B, Q, D], or [Q, D] shared by all items.
        keys: [B, K, D], or [K, D] shared by all items.
        weights: [B, Q, K].
        query_mask: [B, Q], true where a query is real; None means everywhere.
        key_mask: [B, K], true where a key is real; None means everywhere.

    Raises:
        ConfigError: The shapes do not fit together, or a mask is not bool.
    """

    def __init__(
        self, queries: Tensor, keys: Tensor, weights: Tensor, query_mask: Tensor | None, key_mask: Tensor | None
    ) -> None:
        if weights.dim() != 3:
            raise ConfigError(f"attention weights must be [batch, queries, keys], not {list(weights.shape)}")
        batch, n_queries, n_keys = weights.shape
        self.query_mask = _mask("query", query_mask, (batch, n_queries), weights.device)
        self.key_mask = _mask("key", key_mask, (batch, n_keys), weights.device)
        queries = _vectors("queries", queries, (batch, n_queries))
        keys = _vectors("keys", keys, (batch, n_keys))
        both = self.query_mask[:, :, None] & self.key_mask[:, None, :]
        self.queries = torch.where(self.query_mask[:, :, None], queries, 0)
        self.keys = torch.where(self.key_mask[:, :, None], keys, 0)
        self.weights = torch.where(both, weights, 0)
        self.attends = self.query_mask & (self.weights.detach().sum(-1) > 0)

    def attended(self) -> Tensor:
        """[B, Q, D] weighted sums of the keys."""
        return torch.bmm(self.weights, self.keys)


def _vectors(name: str, vectors: Tensor, shape: tuple[int, int]) -> Tensor:
    if vectors.dim() not in (2, 3) or vectors.shape[-2] != shape[1] or vectors.shape[:-2] not in ((), shape[:1]):
        raise ConfigError(
            f"{name} of shape {list(vectors.shape)} do not fit attention weights for {shape[0]} items "
            f"of {shape[1]} {name}"
        )
    return vectors.expand(*shape, vectors.shape[-1])


def _mask(name: str, mask: Tensor | None, shape: tuple[int, int], device: torch.device) -> Tensor:
    if mask is None:
        return torch.ones(shape, dtype=torch.bool, device=device)
    if tuple(mask.shape) != shape or mask.dtype != torch.bool:
        raise ConfigError(
            f"the {name} mask must be bool of shape {list(shape)}, not {mask.dtype} of {list(mask.shape)}"
        )
    return mask
