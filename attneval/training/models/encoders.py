"""The encoders of the SCAN family: regions by one linear map, words by a bidirectional GRU.

Parameter names and shapes are those of the original code of SCAN (Lee et al., ECCV 2018), BFAN (Liu et al.,
MM 2019), PFAN (Wang et al., IJCAI 2019) and SGRAF (Diao et al., AAAI 2021), so that state dicts are exchangeable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attneval.training.models.attention import Fragments
from attneval.training.models.normalisation import l2norm


def xavier(linear: nn.Linear) -> nn.Linear:
    """Uniform weights in +-sqrt(6 / (inputs + outputs)) and zero bias, as in all four originals."""
    bound = math.sqrt(6 / (linear.in_features + linear.out_features))
    nn.init.uniform_(linear.weight, -bound, bound)
    nn.init.zeros_(linear.bias)
    return linear


class WeightNormLinear(nn.Module):
    """A linear map whose weight is g * v / |v| with one length g for the whole matrix.

    SCAN's and BFAN's option `precomp_enc_type=weight_norm`.

    Args:
        inputs: Input size.
        outputs: Output size.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        linear = nn.Linear(inputs, outputs)
        self.bias = linear.bias
        self.weight_g = nn.Parameter(torch.linalg.vector_norm(linear.weight.detach()))
        self.weight_v = nn.Parameter(linear.weight.detach())

    def forward(self, values: Tensor) -> Tensor:
        """[.., inputs] -> [.., outputs]."""
        weight = self.weight_v * (self.weight_g / torch.linalg.vector_norm(self.weight_v))
        return functional.linear(values, weight, self.bias)


class ImageEncoder(nn.Module):
    """Region features to region vectors: one linear map, then unit length.

    Args:
        image_dim: Size of a region feature.
        embed_dim: Size of a region vector.
        normalise: Scale the vectors to unit length.
        weight_norm: Parametrise the map by length and direction.
    """

    fc: nn.Module

    def __init__(self, image_dim: int, embed_dim: int, *, normalise: bool = True, weight_norm: bool = False) -> None:
        super().__init__()
        self.normalise = normalise
        if weight_norm:
            self.fc = WeightNormLinear(image_dim, embed_dim)
        else:
            self.fc = xavier(nn.Linear(image_dim, embed_dim))

    def forward(self, features: Tensor, mask: Tensor) -> Fragments:
        """[M, R, F] features of which [M, R] are real -> encoded regions."""
        vectors = self.fc(features)
        return Fragments.masked(l2norm(vectors) if self.normalise else vectors, mask)


class TextEncoder(nn.Module):
    """Word ids to word vectors: embedding, GRU, mean of its two directions, then unit length.

    Args:
        vocab_size: Number of words.
        word_dim: Size of a word embedding.
        embed_dim: Size of a word vector.
        layers: GRU layers.
        bidirectional: Read both ways and average.
        normalise: Scale the vectors to unit length.
        dropout: Share of each embedding that is dropped in training.
        rnn_name: Name of the GRU in the state dict: `rnn`, in SGRAF `cap_rnn`.
    """

    def __init__(
        self,
        vocab_size: int,
        word_dim: int,
        embed_dim: int,
        *,
        layers: int = 1,
        bidirectional: bool = True,
        normalise: bool = True,
        dropout: float = 0.0,
        rnn_name: str = "rnn",
    ) -> None:
        super().__init__()
        self.normalise = normalise
        self.embed = nn.Embedding(vocab_size, word_dim)
        nn.init.uniform_(self.embed.weight, -0.1, 0.1)
        self.dropout = nn.Dropout(dropout)
        rnn = nn.GRU(word_dim, embed_dim, layers, batch_first=True, bidirectional=bidirectional)
        self.rnn_name = rnn_name
        self.add_module(rnn_name, rnn)

    def forward(self, ids: Tensor, mask: Tensor) -> Fragments:
        """[N, T] word ids of which the first of each row are real by [N, T] -> encoded words."""
        rnn = self.get_submodule(self.rnn_name)
        packed = pack_padded_sequence(
            self.dropout(self.embed(ids)), mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
        )
        vectors, _ = pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=ids.shape[1])
        if isinstance(rnn, nn.GRU) and rnn.bidirectional:
            forwards, backwards = vectors.chunk(2, dim=-1)
            vectors = (forwards + backwards) / 2
        return Fragments.masked(l2norm(vectors) if self.normalise else vectors, mask)
