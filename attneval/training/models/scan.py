"""SCAN: stacked cross attention (Lee et al., ECCV 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.training.models.attention import I2T, T2I, AttentionMaps, Direction, Pairs, attention_weights, pool
from attneval.training.models.matching import MatchingModel

if TYPE_CHECKING:
    from torch import Tensor


class _Scan(MatchingModel):
    """One direction of SCAN: each query attends to the context, the cosines of the queries are pooled."""

    direction: Direction

    def attend(self, pairs: Pairs) -> AttentionMaps:
        weights = attention_weights(
            pairs, self.direction, raw_norm=self.config.raw_norm, temperature=self.config.temperature
        )
        return AttentionMaps(**{self.direction.name: weights})

    def similarity(self, pairs: Pairs, maps: AttentionMaps) -> Tensor:
        weights: Tensor = getattr(maps, self.direction.name)
        return self.pooled(pairs.cosines(weights, self.direction), pairs)

    def pooled(self, values: Tensor, pairs: Pairs) -> Tensor:
        """One number from the queries' values [.., queries]."""
        mask = pairs.query_mask(self.direction)
        return pool(values, mask, self.config.pooling, self.config.pooling_temperature)


class ScanT2I(_Scan):
    """Words attend to regions."""

    direction = T2I


class ScanI2T(_Scan):
    """Regions attend to words."""

    direction = I2T
