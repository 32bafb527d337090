from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from training.toy import write_toy

from attneval.errors import DataError
from attneval.training.data.rundata import RunData
from attneval.training.data.vocabulary import SPECIALS, Vocabulary
from attneval.training.models.table import model_config
from attneval.training.run.config import TrainConfig

if TYPE_CHECKING:
    from pathlib import Path


def config(folder: Path, **choices: object) -> TrainConfig:
    return TrainConfig(model=model_config("scan-t2i", 0), data=str(folder), **choices)  # type: ignore[arg-type]


def test_parts_and_cut(toy: Path) -> None:
    data = RunData.open(config(toy, train_images=7, val_images=3, max_tokens=5))
    assert (data.train.images, len(data.train_captions)) == (7, 35)
    assert (data.dev.images, len(data.dev_captions)) == (3, 15)
    assert max(map(len, data.train_captions.tokens)) == 5
    assert min(map(len, data.dev_captions.tokens)) > 5


def test_vocabulary_is_built_on_the_training_captions_alone(toy: Path, tmp_path: Path) -> None:
    data = RunData.open(config(toy, train_images=2, min_count=1))
    seen = {token for tokens in data.train_captions.tokens for token in tokens}
    assert set(data.vocabulary.words) == seen | set(SPECIALS)
    given = Vocabulary((*SPECIALS, "dog"))
    given.write(tmp_path / "v.json")
    assert RunData.open(config(toy, vocabulary=str(tmp_path / "v.json"))).vocabulary == given


def test_batches_are_those_of_the_seed_and_epoch(toy: Path) -> None:
    data = RunData.open(config(toy, train_images=7))
    batches = data.batches(3, 0, 10)
    assert [len(batch) for batch in batches] == [10, 10, 10, 5]
    assert sorted(np.concatenate(batches)) == list(range(35))
    again, other_epoch, other_seed = data.batches(3, 0, 10), data.batches(3, 1, 10), data.batches(4, 0, 10)
    assert all(map(np.array_equal, batches, again))
    assert not np.array_equal(batches[0], other_epoch[0])
    assert not np.array_equal(batches[0], other_seed[0])


def test_a_lone_caption_is_no_batch(toy: Path) -> None:
    data = RunData.open(config(toy, train_images=7))
    assert [len(batch) for batch in data.batches(0, 0, 17)] == [17, 17]


def test_fingerprint_follows_the_data(toy: Path, tmp_path: Path) -> None:
    one = RunData.open(config(toy)).fingerprint
    assert RunData.open(config(toy)).fingerprint == one
    assert RunData.open(config(toy, train_images=5)).fingerprint != one
    assert RunData.open(config(toy, val_images=5)).fingerprint != one
    assert RunData.open(config(write_toy(tmp_path / "other", seed=1))).fingerprint != one


def test_refuses(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a single image leaves nothing to contrast"):
        RunData.open(config(toy, train_images=1))
    folder = write_toy(tmp_path / "toy", train=4, dev=2)
    np.save(folder / "dev_ims.npy", np.ones((2, 6, 3), np.float32))
    with pytest.raises(DataError, match="train has features of 16 numbers, dev of 3"):
        RunData.open(config(folder))
