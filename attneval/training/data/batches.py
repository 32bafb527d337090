"""The tensors that a model reads: a batch of images and a batch of captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class ImageBatch:
    """M images.

    Args:
        features: [M, R, F] region features, zero at padding.
        mask: [M, R], true where a region is real.
        block_ids: [M, R, 15] ids of the grid blocks that each region covers, or None without positions (PFAN).
        block_weights: [M, R, 15] share of the region in each block.
    """

    features: Tensor
    mask: Tensor
    block_ids: Tensor | None = None
    block_weights: Tensor | None = None

    def to(self, device: torch.device) -> ImageBatch:
        """The same batch on another device."""
        ids, weights = self.block_ids, self.block_weights
        return ImageBatch(
            self.features.to(device),
            self.mask.to(device),
            None if ids is None else ids.to(device),
            None if weights is None else weights.to(device),
        )


@dataclass(frozen=True)
class CaptionBatch:
    """N captions.

    Args:
        ids: [N, T] word ids, <pad> at padding.
        mask: [N, T], true where a token is real; <start> and <end> are.
    """

    ids: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> CaptionBatch:
        """The same batch on another device."""
        return CaptionBatch(self.ids.to(device), self.mask.to(device))
