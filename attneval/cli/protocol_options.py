"""The protocol's flags: one for each of its fields, and the protocol that they make."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import option
from attneval.cli.values import BoxesType, FieldType, PresetType
from attneval.config.presets import preset
from attneval.config.protocol import Protocol
from attneval.config.settings import BOX_RULES
from attneval.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.cli.options import Command

SCORING = ("split", "boxes_file", "detections", "preset", *(field.name for field in Protocol.choices()))
"""Parameters that say how an export is scored, and nothing else."""


COMMON = ("unit", "iou", "overlap", "boxes", "threshold")
"""Fields of the protocol that `--help` shows; `--help-all` shows the others, too."""


def protocol_options(command: Command) -> Command:
    """One flag for each field of the protocol, in the protocol's order."""
    for field in reversed(Protocol.choices()):
        command = _protocol_option(field)(command)
    return option("--preset", type=PresetType(), group="Protocol", help=PRESET_HELP)(command)


PRESET_HELP = "A named protocol to start from; see attneval explain --presets."


def _protocol_option(field: dataclasses.Field[Any]) -> Callable[[Command], Command]:
    """The flag of a field."""
    shown = f"{field.metadata['help']}  [default: {field.default}]"
    named: dict[str, Any] = {"group": "Protocol", "rare": field.name not in COMMON}
    if "brief" in field.metadata:
        named["brief"] = f"{field.metadata['brief']}  [default: {field.default}]"
    if field.name == "boxes":
        metavar = f"[{'|'.join(BOX_RULES)}|FILE]"
        shown += "; or a FILE of region boxes (.tsv, .npz, .npy) for an export without any. Give it twice for both."
        return option("--boxes", type=BoxesType(), multiple=True, metavar=metavar, help=shown, **named)
    flag, form = f"--{field.name.replace('_', '-')}", field.metadata.get("form", "")
    if "choices" in field.metadata:
        return option(flag, type=click.Choice(field.metadata["choices"]), default=None, help=shown, **named)
    metavar = form.upper() if len(form) < LONGEST_FORM else "VALUE"
    return option(flag, type=FieldType(field), default=None, metavar=metavar, help=shown, **named)


LONGEST_FORM = 12
"""Characters of a value's form that stand beside its flag."""


def protocol_from(values: dict[str, Any]) -> Protocol:
    """Take the protocol's fields out of a command's parameters; a file of boxes is left as `boxes_file`.

    Raises:
        ProtocolError: They contradict each other.
    """
    names = [field.name for field in Protocol.choices()]
    given = {name: values.pop(name) for name in names}
    rules = [value for value in given["boxes"] if isinstance(value, str)]
    files = [value for value in given["boxes"] if isinstance(value, Path)]
    if len(rules) > 1 or len(files) > 1:
        raise ProtocolError(f"--boxes is given {len(given['boxes'])} times", hint="give one rule and one file at most")
    given["boxes"] = rules[0] if rules else None
    values["boxes_file"] = files[0] if files else values["boxes_file"]
    name = values.pop("preset", None)
    base = Protocol() if name is None else preset(name).protocol
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})
