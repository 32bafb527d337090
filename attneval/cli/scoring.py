"""Parameters of commands that score, handed over."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attneval.config.options import Options


def options_from(values: Mapping[str, Any], **others: Any) -> Options:
    """Take the options out of a command's parameters, whose names are theirs.

    Args:
        values: The parameters.
        others: Options that are no flags.
    """
    from attneval.config.options import Options

    given = {field.name: values[field.name] for field in dataclasses.fields(Options) if field.name in values}
    # Of the command it is a file, of the options a switch.
    given.pop("similarity", None)
    return Options(**given, **others)


def read_beside(values: Mapping[str, Any]) -> dict[str, Any]:
    """Take the files that are read beside an export, as `attneval.score` calls them."""
    return {"boxes": values["boxes_file"], "split": values["split"], "detections": values["detections"]}
