"""The scores of base models for images whose regions are replaced by the image's mean feature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from attneval.errors import DataError, first_of
from attneval.extraction.removals import Removals, annotated_words, mean_map, words_of
from attneval.training.data.relevant import token_spans
from attneval.training.models.attention import Pairs
from attneval.training.models.similarity import evaluating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.groundtruth import Source
    from attneval.training.data.batches import ImageBatch
    from attneval.training.data.captions import EncodedCaptions
    from attneval.training.data.precomputed import Split
    from attneval.training.models.matching import MatchingModel
    from attneval.training.models.similarity import CaptionMap

REMOVED = "features replaced by the mean feature of the image"
IMAGES_AT_ONCE = 64
"""Perturbed images that are encoded together."""


@dataclass(frozen=True)
class Words:
    """The words of captions whose maps say in which order regions are removed.

    Args:
        text: Of each caption, which the spans point into.
        span: Half-open code points of each caption's words.
    """

    text: tuple[str, ...]
    span: tuple[tuple[tuple[int, int], ...], ...]

    @classmethod
    def of_captions(cls, captions: Sequence[str]) -> Words:
        """All words of captions."""
        return cls(tuple(captions), tuple(tuple(words_of(text)) for text in captions))

    @classmethod
    def of_annotations(cls, source: Source, image_ids: Sequence[str], numbers: Sequence[int]) -> Words:
        """The annotated words of captions; all words of one that has none.

        Args:
            source: The annotations.
            image_ids: The image of each caption.
            numbers: Which of its image's captions each is.

        Raises:
            DataError: A caption is not annotated.
        """
        listed = list(dict.fromkeys(image_ids))
        if unknown := source.missing(listed):
            raise DataError(f"{len(unknown)} of {len(listed)} images are not annotated: {first_of(unknown)}")
        truth = source.read(listed)
        row = {
            (name, int(truth.caption_index[caption])): caption
            for image, name in enumerate(truth.image_id)
            for caption in range(int(truth.caption_offset[image]), int(truth.caption_offset[image + 1]))
        }
        wanted = list(zip(image_ids, numbers, strict=True))
        if lacking := [f"{name}#{number}" for name, number in wanted if (name, number) not in row]:
            raise DataError(f"{len(lacking)} of {len(wanted)} captions are not annotated: {first_of(lacking)}")
        rows = [row[key] for key in wanted]
        return cls(
            tuple(truth.text[caption] for caption in rows),
            tuple(tuple(annotated_words(truth, caption)) for caption in rows),
        )


@dataclass(frozen=True)
class PerturbedPairs:
    """The scores of captions with their own images, some of whose regions are removed.

    Args:
        models: Their mean score is taken.
        split: Images and captions.
        captions: For each model the captions of the split.
        steps: K.
        names: Of the captions, which random orders follow from.
        words: Of the captions.
    """

    models: Sequence[MatchingModel]
    split: Split
    captions: Sequence[EncodedCaptions]
    steps: int
    names: Sequence[str]
    words: Words

    @classmethod
    def of_captions(
        cls,
        models: Sequence[MatchingModel],
        split: Split,
        captions: Sequence[EncodedCaptions],
        steps: int,
        *,
        names: Sequence[str],
        numbers: Sequence[int],
        gt: Source | None,
    ) -> PerturbedPairs:
        """Look up the words of captions, and name them.

        Args:
            models: See the class, as for `split`, `captions` and `steps`.
            split: Images and captions.
            captions: For each model the captions.
            steps: K.
            names: The image of each caption.
            numbers: Which of its image's captions each is.
            gt: Annotations, which say the words; all words without.

        Raises:
            DataError: A caption is not annotated.
        """
        words = Words.of_captions(split.captions) if gt is None else Words.of_annotations(gt, names, numbers)
        named = [f"{name}#{number}" for name, number in zip(names, numbers, strict=True)]
        return cls(models, split, captions, steps, named, words)

    def curves(self, one: CaptionMap) -> dict[str, NDArray[np.float32]]:
        """Remove the regions of a caption's image in the order of its map: f4[K+1] by name."""
        rows = one.i2t if one.t2i is None else one.t2i
        if rows is None:
            raise TypeError(f"caption {one.caption} has no map")
        text, words = self.words.text[one.caption], self.words.span[one.caption]
        span = np.array(token_spans(text, one.tokens), np.int64).reshape(-1, 2)
        weight = mean_map(rows[None], span, words)
        removals = Removals.from_weights(weight, self.steps, self.names[one.caption])
        return removals.curves(self._scores(one.caption, removals.removed))

    def _scores(self, caption: int, removed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The mean score f8[v] of the models for a caption with its image without regions b[v, R]."""
        index = np.array([caption])
        image = self.split.caption_image[index]
        of_models = []
        for model, captions in zip(self.models, self.captions, strict=True):
            with evaluating(model) as device:
                batch = self.split.batch(image, positions=model.needs_positions).to(device)
                words = model.encode_captions(captions.batch(index).to(device))
                parts = []
                for start in range(0, len(removed), IMAGES_AT_ONCE):
                    lacking = torch.from_numpy(removed[start : start + IMAGES_AT_ONCE]).to(device)
                    regions = model.encode_images(without(batch, lacking))
                    same = words[torch.zeros(len(lacking), dtype=torch.int64, device=device)]
                    pairs = Pairs(regions, same, matched=True)
                    parts.append(model.similarity(pairs, model.attend(pairs)).double().cpu().numpy())
            of_models.append(np.concatenate(parts))
        return np.asarray(np.mean(of_models, axis=0), np.float64)


def without(image: ImageBatch, removed: torch.Tensor) -> ImageBatch:
    """Copies of one image with the features of some regions replaced by their mean; where regions lie stays.

    Args:
        image: One image of R regions.
        removed: bool[v, R].
    """
    features, copies = image.features, len(removed)
    if len(features) != 1 or not bool(image.mask.all()):
        raise ValueError("regions are removed from one image at a time")
    ids, weights = (
        None if each is None else each.expand(copies, *each.shape[1:])
        for each in (image.block_ids, image.block_weights)
    )
    return replace(
        image,
        features=torch.where(removed[..., None], features.mean(1, keepdim=True), features),
        mask=image.mask.expand(copies, -1),
        block_ids=ids,
        block_weights=weights,
    )
