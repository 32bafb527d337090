"""Data of a run: two splits, a vocabulary, and encoded captions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import DataError
from attneval.training.data.captions import EncodedCaptions
from attneval.training.data.precomputed import open_split
from attneval.training.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.training.data.precomputed import Split
    from attneval.training.data.relevant import RelevantRegions
    from attneval.training.run.config import TrainConfig


@dataclass(frozen=True)
class RunData:
    """Data, ready for use.

    Args:
        train: Training images and captions.
        dev: Images and captions to validate on.
        vocabulary: Words.
        train_captions: Encoded, cut if the configuration says so.
        dev_captions: Encoded, never cut.
        relevant: Annotated relevant regions of the training captions, where attention is supervised.
    """

    train: Split
    dev: Split
    vocabulary: Vocabulary
    train_captions: EncodedCaptions
    dev_captions: EncodedCaptions
    relevant: RelevantRegions | None = None

    @classmethod
    def open(cls, config: TrainConfig) -> RunData:
        """Open the splits and read or build the vocabulary.

        Raises:
            DataError: A file cannot be used, or there is nothing to contrast.
        """
        folder, bottom_up = Path(config.data), [Path(path) for path in config.bottom_up]
        train = open_split(folder, "train", bottom_up=bottom_up)
        dev = open_split(folder, "dev", bottom_up=bottom_up)
        train = train.part(0, config.train_images) if config.train_images else train
        dev = dev.part(0, config.val_images) if config.val_images else dev
        if train.images < 2:
            raise DataError(f"{train.source}: a single image leaves nothing to contrast")
        if train.feature_shape[1] != dev.feature_shape[1]:
            raise DataError(
                f"{folder}: train has features of {train.feature_shape[1]} numbers, dev of {dev.feature_shape[1]}"
            )
        if config.vocabulary:
            vocabulary = Vocabulary.read(Path(config.vocabulary))
        else:
            vocabulary = Vocabulary.build(train.captions, config.min_count)
        return cls(
            train,
            dev,
            vocabulary,
            EncodedCaptions.from_texts(train.captions, vocabulary, config.max_tokens),
            EncodedCaptions.from_texts(dev.captions, vocabulary),
        )

    @cached_property
    def fingerprint(self) -> str:
        """Differs when the captions, the shape of the features or those of the first image of a split do."""
        digest = hashlib.sha256()
        for split in (self.train, self.dev):
            digest.update("\n".join(split.captions).encode())
            digest.update(repr((split.images, split.feature_shape)).encode())
            digest.update(split.regions.features(split.rows[:1])[0].tobytes())
        return digest.hexdigest()

    def batches(self, seed: int, epoch: int, size: int) -> list[NDArray[np.int64]]:
        """The training captions of an epoch, shuffled and cut into batches.

        A last batch of a single caption is left out: it has no negatives.
        """
        order = np.random.default_rng([seed, epoch]).permutation(len(self.train_captions))
        batches = np.split(order, range(size, len(order), size))
        return batches if len(batches[-1]) > 1 else batches[:-1]
