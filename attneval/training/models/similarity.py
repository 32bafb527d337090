"""The similarity of every image with every caption, in bounded memory, and the attention of the matched ones.

Each image is encoded once and each caption once. Blocks of images and captions are compared at a time; how many
captions make a block follows from how many numbers a model needs for one pair.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from attneval.errors import DataError
from attneval.training.models.attention import Pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from attneval.training.data.captions import EncodedCaptions
    from attneval.training.data.precomputed import Split
    from attneval.training.models.attention import AttentionMaps
    from attneval.training.models.matching import MatchingModel

IMAGE_BLOCK = 64  # images at a time, encoded and compared
CAPTION_BLOCK = 128  # captions at a time, encoded
MAX_NUMBERS = 1 << 22  # held at a time while a block of pairs is compared: 16 MB


@contextmanager
def evaluating(model: MatchingModel) -> Iterator[torch.device]:
    """No dropout and no gradients; gives the model's device."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield next(model.parameters()).device
    finally:
        model.train(training)


def similarity_matrix(
    model: MatchingModel,
    split: Split,
    captions: EncodedCaptions,
    *,
    max_numbers: int = MAX_NUMBERS,
    on_progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Scores of all images and captions of a split.

    All encoded images stay in memory (5,000 of 36 regions and 1,024 dimensions: 0.7 GB), captions only while they are
    compared.

    Args:
        model: The model.
        split: Images.
        captions: Captions of the split.
        max_numbers: About how many numbers a block may take beside them; at least one caption makes a block.
        on_progress: Called with how many captions are done.

    Returns:
        [I, N] float32.

    Raises:
        DataError: The model was made for other features or words.
    """
    _check_fit(model, split, captions)
    scores = np.empty((split.images, len(captions)), np.float32)
    with evaluating(model) as device:
        starts = range(0, split.images, IMAGE_BLOCK)
        blocks = [np.arange(start, min(start + IMAGE_BLOCK, split.images)) for start in starts]
        images = [
            model.encode_images(split.batch(block, positions=model.needs_positions).to(device)) for block in blocks
        ]
        regions = max(encoded.mask.shape[1] for encoded in images)
        # From long to short, so that captions that are compared together need little padding.
        order = np.argsort([-len(ids) for ids in captions.ids], kind="stable")
        done = 0
        for chosen in np.split(order, range(CAPTION_BLOCK, len(order), CAPTION_BLOCK)):
            encoded_words = model.encode_captions(captions.batch(chosen).to(device))
            numbers = IMAGE_BLOCK * model.numbers_per_pair(encoded_words.mask.shape[1], regions)
            size = max(1, max_numbers // numbers)
            for start in range(0, len(chosen), size):
                part = slice(start, start + size)
                words = encoded_words[part].trimmed()
                for block, encoded in zip(blocks, images, strict=True):
                    pairs = Pairs(encoded, words)
                    values = model.similarity(pairs, model.attend(pairs))
                    scores[block[0] : block[-1] + 1, chosen[part]] = values.cpu().numpy()
            done += len(chosen)
            if on_progress is not None:
                on_progress(done)
    return scores


def check_images(model: MatchingModel, split: Split) -> None:
    """Encode the first image of a split, to see early whether the model can read its images.

    Raises:
        DataError: It cannot: it needs positions that are not there, or another number of regions.
    """
    with evaluating(model) as device:
        first = split.batch(np.zeros(1, np.int64), positions=model.needs_positions).to(device)
        try:
            model.encode_images(first)
        except DataError as error:
            raise DataError(f"{split.source}: {error.message}", hint=error.hint) from error


def _check_fit(model: MatchingModel, split: Split, captions: EncodedCaptions) -> None:
    if len(captions) != len(split.captions):
        raise DataError(f"{split.source}: has {len(split.captions)} captions, but {len(captions)} were encoded")
    if split.feature_shape[1] != model.config.image_dim:
        raise DataError(
            f"{split.source}: has features of {split.feature_shape[1]} numbers; this {model.config.name} was made for "
            f"{model.config.image_dim}"
        )
    largest = max(int(ids.max()) for ids in captions.ids)
    if largest >= model.config.vocab_size:
        raise DataError(
            f"{split.source}: has a word of id {largest}, but this {model.config.name} knows {model.config.vocab_size} "
            "words",
            hint="encode the captions with the vocabulary that the model was trained with",
        )


@dataclass(frozen=True)
class CaptionMap:
    """The attention of one caption and its image.

    Args:
        caption: Index in the split.
        tokens: [T] of the caption, <start> and <end> included.
        t2i: [T, R] word-to-region weights, rows summing to 1, or None if the model has none.
        i2t: [T, R] region-to-word weights, columns summing to 1, or None.
    """

    caption: int
    tokens: tuple[str, ...]
    t2i: NDArray[np.float32] | None
    i2t: NDArray[np.float32] | None


@dataclass(frozen=True)
class MatchedMaps:
    """The attention of all captions of a split with their own images, computed while it is iterated over.

    Args:
        model: The model.
        split: Images and captions.
        captions: Captions of the split.
        size: Captions at a time.

    Raises:
        DataError: The model was made for other features or words.
    """

    model: MatchingModel
    split: Split
    captions: EncodedCaptions
    size: int = 128

    def __post_init__(self) -> None:
        _check_fit(self.model, self.split, self.captions)

    def __len__(self) -> int:
        return len(self.captions)

    def __iter__(self) -> Iterator[CaptionMap]:
        """Captions in order."""
        for start in range(0, len(self), self.size):
            block = np.arange(start, min(start + self.size, len(self)))
            # Captions of one image stand together: it is encoded once for all of them.
            images, place = np.unique(self.split.caption_image[block], return_inverse=True)
            with evaluating(self.model) as device:
                batch = self.split.batch(images, positions=self.model.needs_positions).to(device)
                regions = self.model.encode_images(batch)[torch.from_numpy(place).to(device)]
                words = self.model.encode_captions(self.captions.batch(block).to(device))
                maps = self.model.attend(Pairs(regions, words, matched=True))
            yield from self._trimmed(block, regions.mask.sum(1).tolist(), maps)

    def _trimmed(self, block: NDArray[np.int64], regions: Sequence[int], maps: AttentionMaps) -> Iterator[CaptionMap]:
        t2i, i2t = (None if each is None else each.cpu().numpy() for each in (maps.t2i, maps.i2t))
        for row, (caption, count) in enumerate(zip(block.tolist(), regions, strict=True)):
            tokens = self.captions.tokens[caption]
            real = (row, slice(len(tokens)), slice(count))
            yield CaptionMap(
                caption, tokens, None if t2i is None else t2i[real].copy(), None if i2t is None else i2t[real].copy()
            )


def mean_maps(*models: Iterable[CaptionMap]) -> Iterator[CaptionMap]:
    """Average the maps of several models on one split, as SGRAF averages the scores of its two.

    Raises:
        DataError: The models see different tokens or regions, or only some of them have a direction.
    """
    for maps in zip(*models, strict=True):
        first = maps[0]
        if any(each.tokens != first.tokens for each in maps):
            raise DataError(f"caption {first.caption}: the models see different tokens")
        t2i, i2t = ([each.t2i for each in maps], [each.i2t for each in maps])
        yield CaptionMap(first.caption, first.tokens, _mean(t2i, first.caption), _mean(i2t, first.caption))


def _mean(maps: Sequence[NDArray[np.float32] | None], caption: int) -> NDArray[np.float32] | None:
    known = [each for each in maps if each is not None]
    if not known:
        return None
    if len(known) < len(maps) or len({each.shape for each in known}) > 1:
        raise DataError(f"caption {caption}: the models' maps are {[None if m is None else m.shape for m in maps]}")
    mean: NDArray[np.float32] = np.mean(known, axis=0, dtype=np.float32)
    return mean
