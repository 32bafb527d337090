"""BFAN: bidirectional focal attention (Liu et al., ACM MM 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attneval.training.models.attention import I2T, T2I, AttentionMaps, Direction, Pairs, attention_weights, pool
from attneval.training.models.matching import MatchingModel

if TYPE_CHECKING:
    from torch import Tensor


class _Bfan(MatchingModel):
    """Attend as SCAN does, drop what is attended less than the rest, and share its weight among what is kept."""

    def attend(self, pairs: Pairs) -> AttentionMaps:
        return AttentionMaps(t2i=self._focused(pairs, T2I), i2t=self._focused(pairs, I2T))

    def similarity(self, pairs: Pairs, maps: AttentionMaps) -> Tensor:
        def mean_cosine(direction: Direction) -> Tensor:
            cosines = pairs.cosines(getattr(maps, direction.name), direction)
            return pool(cosines, pairs.query_mask(direction), "Mean", 1.0)

        return mean_cosine(T2I) + mean_cosine(I2T)

    def kept(self, weights: Tensor, pairs: Pairs, direction: Direction) -> Tensor:
        """Fragments that stay: bool of the weights' shape [.., words, regions]."""
        raise NotImplementedError

    def _focused(self, pairs: Pairs, direction: Direction) -> Tensor:
        weights = attention_weights(
            pairs, direction, raw_norm=self.config.raw_norm, temperature=self.config.temperature
        )
        with torch.no_grad():
            kept = self.kept(weights, pairs, direction)
            # Exactly uniform weights keep nothing: then there is nothing to focus on, and they stay as they are.
            kept |= ~kept.any(direction.context, keepdim=True)
        focused = weights * kept
        total = focused.sum(direction.context, keepdim=True)
        return focused * torch.where(total > 0, total, 1).reciprocal()


class BfanEqual(_Bfan):
    """All fragments have equal confidence: a fragment stays if its weight is above the mean."""

    def kept(self, weights: Tensor, pairs: Pairs, direction: Direction) -> Tensor:
        """Weight [.., words, regions] > 1 / (number of real fragments)."""
        context_mask = pairs.region_mask if direction is T2I else pairs.word_mask
        count = context_mask.sum(direction.context, keepdim=True)
        return weights * count > weights.sum(direction.context, keepdim=True)


class BfanProb(_Bfan):
    """A fragment's confidence is the root of its weight, so that likely fragments raise the bar."""

    def kept(self, weights: Tensor, pairs: Pairs, direction: Direction) -> Tensor:  # noqa: ARG002 (the bar needs no counts)
        """Weight [.., words, regions] > sum w^1.5 / sum w^0.5."""
        root = weights.sqrt()
        axis = direction.context
        return weights * root.sum(axis, keepdim=True) > (weights * root).sum(axis, keepdim=True)
