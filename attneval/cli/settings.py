"""Settings of a configuration file as defaults of flags, held against what the flags take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import option
from attneval.errors import AttnevalError, ConfigError

if TYPE_CHECKING:
    from attneval.cli.options import Command
    from attneval.config.settings import Config


def config_option(command: Command) -> Command:
    """`--config`, read before the other options so that it can give their defaults."""

    def apply(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001
        config = configuration(value)
        settings = config.top | (config.gate if ctx.info_name == "gate" else {})
        defaults = {
            str(flagged.name): setting_default(config, flagged, name, settings[name])
            for flagged in ctx.command.params
            for name in (flag.lstrip("-") for flag in flagged.opts)
            if name in settings
        }
        ctx.default_map = {**(ctx.default_map or {}), **defaults}
        return value

    return option(
        "--config",
        metavar="FILE|none",
        is_eager=True,
        expose_value=False,
        callback=apply,
        group="Process",
        help="A configuration file.",
    )(command)


def configuration(value: str | None) -> Config:
    """The configuration that `--config` names: a file, `none`, or without it the nearest one."""
    from attneval.config.settings import NOTHING, find, load

    return NOTHING if value == "none" else load(Path(value) if value else find())


def setting_default(config: Config, param: click.Parameter, name: str, value: Any) -> Any:
    """A setting as the default of a parameter, held against what the flag takes.

    Raises:
        ConfigError: The flag does not take that.
    """
    values = value if param.multiple and isinstance(value, list) else [value]
    for one in values:
        reason = _reason_to_refuse(param.type, one)
        if reason:
            raise ConfigError(f"{config.path}: {name} = {one!r} cannot be used: {reason.rstrip('.')}")
    return values if param.multiple else value


def _reason_to_refuse(kind: click.ParamType, value: Any) -> str:  # type: ignore[type-arg]
    """The reason why a flag does not take a value of a file; empty where it does."""
    kinds = _kinds(kind)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return f"expected {_KIND_NAMES[kinds[0]]}"
    try:
        kind.convert(value, None, None)
    except (click.BadParameter, AttnevalError) as error:
        return str(error)
    return ""


_KIND_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def _kinds(kind: click.ParamType) -> tuple[type, ...]:  # type: ignore[type-arg]
    """The types of TOML that a flag takes."""
    if isinstance(kind, type(click.BOOL)):
        return (bool,)
    if isinstance(kind, type(click.INT)) or getattr(kind, "kind", None) is int:
        return (int,)
    if isinstance(kind, type(click.FLOAT)) or getattr(kind, "kind", None) is float:
        return (float, int)
    return (str,)
