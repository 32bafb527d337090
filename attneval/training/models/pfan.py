"""PFAN: position focused attention (Wang et al., IJCAI 2019).

A region is described by its feature and by where it lies: the image is cut into 16 x 16 blocks, and a region's
position is a mixture of the embeddings of the (at most 15) blocks that it covers most of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from attneval.errors import DataError
from attneval.training.models.attention import AttentionMaps, Fragments, Pairs
from attneval.training.models.encoders import xavier
from attneval.training.models.matching import MatchingModel
from attneval.training.models.normalisation import l2norm
from attneval.training.models.scan import ScanI2T, ScanT2I

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.training.data.batches import ImageBatch
    from attneval.training.run.config import ModelConfig

GRID = 16
BLOCKS = 15  # blocks kept per region
PAD_BLOCK = GRID * GRID
POSITION_DIM = 200
MAX_ATTENTION_SHARE = 0.5  # of the pooled largest attention in the t2i score


def position_blocks(boxes: NDArray[np.float32], sizes: NDArray[np.int32]) -> NDArray[np.float32]:
    """Pixel boxes as grid blocks, in the layout of the published block files.

    The originals' generator was never published: that a block's weight is its share of the region's area, that
    the largest 15 are kept and that they then sum to 1 was read off the published files; that ids run row by row
    and that the centre wins among blocks that are covered alike is this project's choice.

    Args:
        boxes: [.., R, 4] x1, y1, x2, y2 in pixels.
        sizes: [.., 2] width, height in pixels.

    Returns:
        [.., R, 30] float32: 15 block ids (256 is padding), then 15 weights, largest first.
    """
    flat = boxes.reshape(-1, 4).astype(np.float64)
    extent = np.broadcast_to(sizes[..., None, :], (*boxes.shape[:-1], 2)).reshape(-1, 2)
    edges = np.arange(GRID + 1)

    def overlap(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        """[n, 16] length of each region's interval, in blocks, that falls into each row or column."""
        length = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
        return np.asarray(np.clip(length, 0.0, None))

    columns = overlap(flat[:, 0] * GRID / extent[:, 0], flat[:, 2] * GRID / extent[:, 0])
    rows = overlap(flat[:, 1] * GRID / extent[:, 1], flat[:, 3] * GRID / extent[:, 1])
    areas = (rows[:, :, None] * columns[:, None, :]).reshape(-1, PAD_BLOCK)
    # Most regions cover more than 15 blocks entirely: of blocks covered alike, those at the centre stay.
    middle = edges[:-1] + 0.5
    across = middle - (flat[:, :1] + flat[:, 2:3]) / 2 * GRID / extent[:, :1]
    down = middle - (flat[:, 1:2] + flat[:, 3:4]) / 2 * GRID / extent[:, 1:]
    distance = np.hypot(down[:, :, None], across[:, None, :]).reshape(-1, PAD_BLOCK)
    ids = np.argsort(-np.round(areas, 6) + 1e-9 * distance, axis=1, kind="stable")[:, :BLOCKS]
    weights = np.take_along_axis(areas, ids, axis=1)
    total = weights.sum(1, keepdims=True)
    weights /= np.where(total > 0, total, 1)
    blocks = np.concatenate([np.where(weights > 0, ids, PAD_BLOCK), weights], axis=1)
    return blocks.reshape(*boxes.shape[:-1], 2 * BLOCKS).astype(np.float32)


class PositionImageEncoder(nn.Module):
    """Region features and blocks to region vectors.

    Args:
        image_dim: Size of a region feature.
        embed_dim: Size of a region vector.
        normalise: Scale the vectors to unit length.
    """

    def __init__(self, image_dim: int, embed_dim: int, *, normalise: bool = True) -> None:
        super().__init__()
        self.normalise = normalise
        self.fc = xavier(nn.Linear(image_dim + POSITION_DIM, embed_dim))
        self.fc_att = nn.Linear(image_dim, POSITION_DIM)
        self.position_embedding = nn.Embedding(PAD_BLOCK + 1, POSITION_DIM)

    def forward(self, features: Tensor, mask: Tensor, block_ids: Tensor, block_weights: Tensor) -> Fragments:
        """[M, R, F] features and [M, R, 15] blocks of which [M, R] are real -> encoded regions."""
        # The embeddings of each region's blocks are never gathered: products with all blocks take a third of the time.
        blocks = self.position_embedding.weight
        fit = (self.fc_att(features) @ blocks.T).gather(-1, block_ids).tanh().softmax(-1)
        # As in the original, padding blocks have overlap 0 but not weight 0 after this second softmax.
        share = (block_weights * fit).softmax(-1)
        position = share.new_zeros(*share.shape[:-1], len(blocks)).scatter_add(-1, block_ids, share) @ blocks
        vectors = self.fc(torch.cat([features, position], dim=-1))
        return Fragments.masked(l2norm(vectors) if self.normalise else vectors, mask)


class _Positioned(MatchingModel):
    """A SCAN whose images are encoded with positions."""

    needs_positions = True

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.img_enc = PositionImageEncoder(config.image_dim, config.embed_dim, normalise=config.normalise_images)

    def encode_images(self, images: ImageBatch) -> Fragments:
        if images.block_ids is None or images.block_weights is None:
            raise DataError(
                f"{self.config.name} needs to know where regions lie, but these images have no boxes",
                hint="give pixel boxes with image sizes, or PFAN's block files, as {split}_boxes.npy",
            )
        fragments: Fragments = self.img_enc(images.features, images.mask, images.block_ids, images.block_weights)
        return fragments


class PfanT2I(_Positioned, ScanT2I):
    """Words attend to regions; words that focus on one region score higher."""

    def similarity(self, pairs: Pairs, maps: AttentionMaps) -> Tensor:
        """As in SCAN, plus half of the words' largest attention weights, pooled alike."""
        if maps.t2i is None:
            raise TypeError("the t2i attention of these pairs is missing")
        largest = maps.t2i.amax(-1)
        return super().similarity(pairs, maps) + MAX_ATTENTION_SHARE * self.pooled(largest, pairs)


class PfanI2T(_Positioned, ScanI2T):
    """Regions attend to words."""
