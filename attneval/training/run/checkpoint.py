"""Checkpoints in the originals' layout, {epoch, model, best_rsum, opt, Eiters}, to which a run adds one key.

`model` is a list of state dicts and `opt` a pickled `argparse.Namespace`. Files are unpickled with torch's
restricted unpickler, which builds tensors and plain containers; the Namespace and numpy's numbers are allowed by name
and nothing else is. What this package adds (configuration, vocabulary, state of training) is under the key `attneval`.
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
from argparse import Namespace
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from attneval.errors import AttnevalError, DataError
from attneval.storage.read_files import open_to_read, reading
from attneval.storage.whole_files import replacing
from attneval.training.data.vocabulary import Vocabulary
from attneval.training.models.table import build_model
from attneval.training.run.config import TrainConfig, from_dict, to_dict
from attneval.training.run.options import from_options, to_options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attneval.training.models.matching import MatchingModel, StateDict

LAYOUT = 1  # of what is under the key `attneval`
WRAPPER = "module."
"""Prefix of the keys of a model that was saved inside `torch.nn.DataParallel`."""


@dataclass(frozen=True)
class Checkpoint:
    """Contents of a file.

    Args:
        source: The file.
        states: State dict of each part of the model.
        epoch: Epochs done. The originals disagree whether they count from 0 or 1.
        best_rsum: Best sum of recalls so far, in percent (0 to 600) as in the originals.
        steps: Training steps done.
        options: The originals' options, if the file has them.
        config: The run, if it is one of this package.
        vocabulary: Its words, if it is one of this package.
        progress: What it takes to go on with the run, if the file was written for that.
    """

    source: str
    states: list[StateDict]
    epoch: int
    best_rsum: float
    steps: int
    options: Namespace | None = None
    config: TrainConfig | None = None
    vocabulary: Vocabulary | None = None
    progress: dict[str, Any] | None = None

    def build(self, name: str = "") -> MatchingModel:
        """The model, in evaluation mode on the CPU.

        Args:
            name: A key of `models.MODELS`, for author checkpoints that do not tell.

        Raises:
            DataError: The file is not of that model.
        """
        _refuse_wrapped(self.states, self.source)
        if self.config is not None:
            if name and name != self.config.model.name:
                raise DataError(f"{self.source}: is a {self.config.model.name}, not a {name}")
            model = build_model(self.config.model)
        else:
            model = build_model(from_options(self.options, self.states, self.source, name))
        model.load_state_dicts(self.states, self.source)
        return model.eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of this package or of the originals, never running code from it.

    Raises:
        DataError: It cannot be read, holds anything but tensors, plain values and a Namespace, or lacks a key.
    """
    try:
        with open_to_read(path) as file, reading(path), _restricted(), warnings.catch_warnings():
            # Torch warns of unusual pickles before it refuses them.
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: holds something that a checkpoint has no need of: {_first_line(error)}",
            hint="it was not loaded; nothing but tensors, plain values and argparse.Namespace is accepted",
        ) from error
    except RuntimeError as error:
        raise DataError(f"{path}: is damaged or no checkpoint: {_first_line(error)}") from error
    except (EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError) as error:
        # What the unpickler says of a text file is the code of a character.
        raise DataError(f"{path}: is damaged or no checkpoint: torch.load cannot read it ({error!r})") from error
    return _checked(content, str(path))


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a run in the originals' layout; the old file stays until the new one is whole.

    Raises:
        DataError: The folder cannot be written.
    """
    if checkpoint.config is None or checkpoint.vocabulary is None:
        raise ValueError("only a run with its configuration and vocabulary can be written")
    content = {
        "epoch": checkpoint.epoch,
        "model": checkpoint.states,
        "best_rsum": checkpoint.best_rsum,
        "opt": to_options(checkpoint.config),
        "Eiters": checkpoint.steps,
        "attneval": {
            "layout": LAYOUT,
            "config": to_dict(checkpoint.config),
            "vocabulary": list(checkpoint.vocabulary.words),
            "progress": checkpoint.progress,
        },
    }
    with replacing(path) as file:
        target = _Watched(file)
        try:
            torch.save(content, cast("IO[bytes]", target))
        except RuntimeError:
            # Torch reports its own state, whatever the reason that the system gave.
            if target.error is None:
                raise
            raise target.error from None


class _Watched:
    """A file whose last failure to write is kept.

    Args:
        file: Open for writing.

    Attributes:
        error: The failure; None if there was none.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write all of the data."""
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Do as the file does."""
        self._file.flush()


class _NumberType:
    """Stand-in for numpy's dtype in restricted unpickling: the type of a single number, and nothing else.

    Args:
        code: Such as `f8`.
    """

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch(r"[fiu][1248]|b1", code):
            raise pickle.UnpicklingError(f"GLOBAL numpy.dtype of {code!r} is no type of a number")
        self.type = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.type = self.type.newbyteorder("big" if state[1] == ">" else "little")


def _number(kind: _NumberType, raw: bytes) -> float:
    """Stand-in for numpy's scalars in restricted unpickling, which the originals' best sum of recalls may be."""
    value: float = np.frombuffer(raw, kind.type, count=1)[0].item()
    return value


_ALLOWED: list[Any] = [
    Namespace,
    (_NumberType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
]
"""Names that may stand in a file, beside those that torch allows."""


@contextmanager
def _restricted() -> Iterator[None]:
    """Allow argparse.Namespace and numbers in restricted unpickling, and nothing that other code may have allowed."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(_ALLOWED)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _checked(content: Any, source: str) -> Checkpoint:
    if not isinstance(content, dict) or "model" not in content:
        content_is = (
            f"has only {', '.join(map(str, content))}"
            if isinstance(content, dict)
            else f"is a {type(content).__name__}"
        )
        raise DataError(f"{source}: {content_is}", hint="a checkpoint holds epoch, model, best_rsum, opt and Eiters")
    states = content["model"]
    if not isinstance(states, list) or not states or not all(map(_is_state_dict, states)):
        raise DataError(f"{source}: model is {_kind(states)}, not a list of state dicts")
    options = content.get("opt")
    if options is not None and not isinstance(options, Namespace):
        raise DataError(f"{source}: opt is {_kind(options)}, not an argparse.Namespace")
    numbers = {key: content.get(key, 0) for key in ("epoch", "best_rsum", "Eiters")}
    for key, value in numbers.items():
        numbers[key] = value.item() if isinstance(value, Tensor) and value.numel() == 1 else value
        if not isinstance(numbers[key], int | float):
            raise DataError(f"{source}: {key} is {_kind(value)}, not a number")
        if not math.isfinite(numbers[key]):
            raise DataError(f"{source}: {key} is {numbers[key]}, not a finite number")
    config, vocabulary, progress = _attneval_part(content.get("attneval"), source)
    return Checkpoint(
        source,
        states,
        int(numbers["epoch"]),
        float(numbers["best_rsum"]),
        int(numbers["Eiters"]),
        options,
        config,
        vocabulary,
        progress,
    )


def _attneval_part(content: Any, source: str) -> tuple[TrainConfig | None, Vocabulary | None, dict[str, Any] | None]:
    if content is None:
        return None, None, None
    if not isinstance(content, dict) or content.get("layout") != LAYOUT:
        layout = content.get("layout") if isinstance(content, dict) else _kind(content)
        raise DataError(f"{source}: was written in layout {layout}; this version reads {LAYOUT}")
    try:
        config = from_dict(TrainConfig, _with_old_defaults(content["config"]), "config")
        vocabulary, progress = Vocabulary(tuple(content["vocabulary"])), content["progress"]
    except (KeyError, TypeError) as error:
        raise DataError(f"{source}: what attneval recorded is damaged: {error!r}") from error
    except AttnevalError as error:
        raise DataError(f"{source}: what attneval recorded is damaged: {error}") from error
    if progress is not None and not isinstance(progress, dict):
        raise DataError(f"{source}: what attneval recorded is damaged: progress is {_kind(progress)}")
    return config, vocabulary, progress


def _with_old_defaults(config: dict[str, Any]) -> dict[str, Any]:
    """What a run did that recorded less: before `through` could be chosen, constraints changed everything."""
    return {**config, "constraints": {"through": "everything", **config.get("constraints", {})}}


def _refuse_wrapped(states: list[StateDict], source: str) -> None:
    for index, state in enumerate(states):
        if state and all(key.startswith(WRAPPER) for key in state):
            raise DataError(
                f"{source}: model[{index}] has {WRAPPER!r} before each key, as torch.nn.DataParallel puts it there",
                hint="save the state dict of the model inside, model.module.state_dict(), or take the prefix off",
            )


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


def _first_line(error: Exception) -> str:
    """The reason of an error; torch goes on to explain how to turn the check off."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    return (reasons or lines or [type(error).__name__])[0]
