"""Reasons for which a run does not go on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attneval.errors import AttnevalError, ConfigError
from attneval.training.run.config import to_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attneval.training.run.config import TrainConfig

MAY_CHANGE = ("epochs", "device", "data", "gt", "vocabulary", "bottom_up")
"""Choices that a run may be gone on with: it may be moved, and be longer than first planned."""


def refuse_other_choices(recorded: TrainConfig, config: TrainConfig, source: str) -> None:
    """Refuse to go on with other choices.

    Args:
        recorded: The choices that the run was begun with.
        config: Those that it should go on with.
        source: Its checkpoint, named in the error.

    Raises:
        ConfigError: They differ in more than `MAY_CHANGE`.
    """
    old, new = to_dict(recorded), to_dict(config)
    changed = [name for name in new if name not in MAY_CHANGE and old[name] != new[name]]
    if changed:
        differences = ", ".join(f"{name} was {old[name]!r}, not {new[name]!r}" for name in changed)
        raise ConfigError(
            f"{source}: belongs to a run with other choices: {differences}",
            hint="choose another folder for this run",
        )


def refuse_non_finite(values: Mapping[str, float], where: str) -> None:
    """Refuse losses and scores that are not finite.

    Args:
        values: By name.
        where: Epoch and step, named in the error.

    Raises:
        AttnevalError: One is NaN or infinite.
    """
    if bad := [name for name, value in values.items() if not math.isfinite(value)]:
        raise AttnevalError(
            f"{where}: {', '.join(bad)} is not finite",
            hint="a smaller learning rate may help; the last checkpoint is intact",
        )
