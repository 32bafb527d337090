"""A trained model, read from a checkpoint with the words that it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attneval.errors import ConfigError, DataError
from attneval.storage.digests import sha256_of
from attneval.training.data.vocabulary import Vocabulary
from attneval.training.models.table import MODELS
from attneval.training.run.checkpoint import read_checkpoint
from attneval.training.run.config import to_dict
from attneval.training.run.updates import resolve_device

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.training.models.matching import MatchingModel
    from attneval.training.run.checkpoint import Checkpoint


@dataclass(frozen=True)
class Trained:
    """A trained model, the words it knows, and what is known of it.

    Args:
        model: In evaluation mode.
        vocabulary: Its words.
        about: `model`, `checkpoint`, `checkpoint_sha256`, `epoch`, `constraints` and, for runs of this package,
            `training`, the configuration.
        data: Folder that it was trained on, empty if unknown.
        bottom_up: TSV files that it was trained with.
    """

    model: MatchingModel
    vocabulary: Vocabulary
    about: dict[str, Any]
    data: str = ""
    bottom_up: tuple[str, ...] = ()

    @property
    def directions(self) -> tuple[str, ...]:
        """The attention maps that it has."""
        return MODELS[self.model.config.name].directions


def load_trained(path: Path, *, vocabulary: Path | None = None, name: str = "", device: str = "cpu") -> Trained:
    """Read a checkpoint of this package or of the originals.

    Args:
        path: The checkpoint.
        vocabulary: Published vocabulary JSON; a run's checkpoints carry their own words.
        name: A key of `MODELS`, for checkpoints that do not tell.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        DataError: A file cannot be read, or they do not fit together.
        ConfigError: No vocabulary is known, or there is no such device.
    """
    checkpoint = read_checkpoint(path)
    model = checkpoint.build(name).to(resolve_device(device))
    words = checkpoint.vocabulary if vocabulary is None else Vocabulary.read(vocabulary)
    if words is None:
        raise ConfigError(f"{path}: brings no vocabulary", hint="name its JSON file with --vocab")
    if len(words) != model.config.vocab_size:
        raise DataError(
            f"{vocabulary or path}: has {len(words)} words, but the {model.config.name} of {path} knows "
            f"{model.config.vocab_size}"
        )
    identity = {"model": model.config.name, "checkpoint": str(path), "checkpoint_sha256": sha256_of(path)}
    config = checkpoint.config
    return Trained(
        model,
        words,
        identity | _training(checkpoint),
        "" if config is None else config.data,
        () if config is None else config.bottom_up,
    )


def _training(checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.config
    if config is None:
        return {"epoch": checkpoint.epoch, "constraints": "unknown"}
    used = ",".join(config.constraints.use) or "none"
    return {"epoch": checkpoint.epoch, "constraints": used, "training": to_dict(config)}
