"""Common ground of the four base models: two encoders, attention, a similarity, and their state dicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from attneval.errors import DataError, first_of
from attneval.training.losses.swapping import cosine
from attneval.training.models.encoders import ImageEncoder, TextEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attneval.training.data.batches import CaptionBatch, ImageBatch
    from attneval.training.models.attention import AttentionMaps, Fragments, Pairs
    from attneval.training.run.config import ModelConfig

StateDict = dict[str, Tensor]


class MatchingModel(nn.Module, ABC):
    """An image-text matching model with word-region attention.

    Encode images and captions once, form `Pairs` of them, `attend`, and ask for the `similarity`.

    Args:
        config: What the model is made of.
    """

    needs_positions = False
    """True where images must come with the grid blocks of their regions."""

    scores_pairs_one_by_one = True
    """False where the score of a pair in training depends on the other pairs of the batch."""

    img_enc: nn.Module
    txt_enc: TextEncoder

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.img_enc = ImageEncoder(
            config.image_dim,
            config.embed_dim,
            normalise=config.normalise_images,
            weight_norm=config.weight_norm,
        )
        self.txt_enc = TextEncoder(
            config.vocab_size,
            config.word_dim,
            config.embed_dim,
            layers=config.layers,
            bidirectional=config.bidirectional,
            normalise=config.normalise_captions,
        )

    def encode_images(self, images: ImageBatch) -> Fragments:
        """Encode M images of R regions."""
        fragments: Fragments = self.img_enc(images.features, images.mask)
        return fragments

    def encode_captions(self, captions: CaptionBatch) -> Fragments:
        """Encode N captions of at most T tokens."""
        fragments: Fragments = self.txt_enc(captions.ids, captions.mask)
        return fragments

    @abstractmethod
    def attend(self, pairs: Pairs) -> AttentionMaps:
        """The attention of pairs, in each direction that the model has."""

    @abstractmethod
    def similarity(self, pairs: Pairs, maps: AttentionMaps) -> Tensor:
        """[M, N] or, for matched pairs, [B] retrieval scores, given the attention of the same pairs."""

    def fragment_similarity(self, queries: Tensor, attended: Tensor, *, fixed: bool = False) -> Tensor:  # noqa: ARG002
        """Compare queries with what they attend to, as the model does: the cosine, unless it has learned another.

        Args:
            queries: f[.., D] word or region vectors.
            attended: f[.., D] attended information, broadcastable against the queries.
            fixed: Pass no gradient to what the similarity has learned.

        Returns:
            f[..] similarities.
        """
        return cosine(queries, attended)

    def numbers_per_pair(self, words: int, regions: int) -> int:
        """Count the numbers that one image-caption pair takes at the peak of `attend` and `similarity`."""
        return 8 * words * regions

    @property
    def parts(self) -> list[nn.Module]:
        """The modules in the order of a checkpoint's list: image, text and, in SGRAF, similarity."""
        return [self.img_enc, self.txt_enc]

    def state_dicts(self) -> list[StateDict]:
        """The state dicts of the parts, with the originals' keys and shapes."""
        return [part.state_dict() for part in self.parts]

    def load_state_dicts(self, states: Sequence[Mapping[str, Any]], source: str) -> None:
        """Load the state dicts of the parts, all or nothing.

        Args:
            states: One state dict for each part.
            source: The file, named in errors.

        Raises:
            DataError: The number of parts, the keys or the shapes are not those of this model, or a number is not
                finite.
        """
        parts = self.parts
        if len(states) != len(parts):
            raise DataError(f"{source}: {self.config.name} has {len(parts)} state dicts, this file has {len(states)}")
        ready = [
            _fitting(part.state_dict(), state, f"{source}: model[{index}]")
            for index, (part, state) in enumerate(zip(parts, states, strict=True))
        ]
        for part, state in zip(parts, ready, strict=True):
            part.load_state_dict(state)


def _fitting(expected: StateDict, given: Mapping[str, Any], where: str) -> StateDict:
    """`given` if its keys and shapes are those of `expected`, its numbers finite.

    A counter that torch 0.4.0 did not save may be missing.
    """
    unknown_keys = [key for key in given if key not in expected]
    missing = [key for key in expected if key not in given and not key.endswith("num_batches_tracked")]
    if unknown_keys or missing:
        known = f"it lacks {first_of(missing)}" if missing else ""
        unknown = f"it has unknown {first_of(unknown_keys)}" if unknown_keys else ""
        raise DataError(f"{where} is not of this model: {' and '.join(filter(None, (known, unknown)))}")
    state = {}
    for key, value in expected.items():
        tensor = given.get(key, value)
        if not isinstance(tensor, Tensor):
            raise DataError(f"{where}: {key} is {type(tensor).__name__}, not a tensor")
        if tensor.numel() == value.numel() == 1:  # old versions of torch saved scalars as vectors of one number
            tensor = tensor.reshape(value.shape)
        if tensor.shape != value.shape:
            raise DataError(f"{where}: {key} has shape {list(tensor.shape)}, this model {list(value.shape)}")
        if tensor.layout != torch.strided or tensor.is_complex() or not bool(torch.isfinite(tensor).all()):
            raise DataError(f"{where}: {key} is not made of finite numbers")
        state[key] = tensor
    return state
