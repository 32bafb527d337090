"""`attneval config`: each setting and where it comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from attneval.cli import COMMANDS, cli
from attneval.cli.command import Command, option
from attneval.cli.options import PREFIX, SETTINGS
from attneval.cli.settings import configuration, setting_default
from attneval.cli.streams import say
from attneval.config.presets import preset
from attneval.config.protocol import Protocol

if TYPE_CHECKING:
    from attneval.config.settings import Config


@click.command(
    cls=Command, context_settings=SETTINGS, examples=("attneval config", "attneval config --config attneval.toml")
)
@option("--config", metavar="FILE|none", help="Use this file.")
def config(**values: str | None) -> None:
    """Show each setting and where it comes from: the environment, the nearest configuration file, or the default."""
    from attneval.config.settings import GATE, TOP
    from attneval.report.plain import render_plain
    from attneval.report.table import Cell, Page, Row, Table

    file = configuration(values["config"])
    params = _params({*TOP, *GATE})
    # Newer versions of click have a mark of their own for no default, which only this spells None.
    given = {name: param.to_info_dict()["default"] for name, param in params.items()}
    defaults = {name: ("" if value is None else value, "default") for name, value in given.items()}
    settings = {name: _setting(file, file.top, params[name], name, defaults[name]) for name in TOP}
    # What a preset says of the protocol stands where its fields would have their defaults.
    base, source = Protocol(), "default"
    if settings["preset"][0]:
        base, source = preset(settings["preset"][0]).protocol, f"preset {settings['preset'][0]}"
    for field, value in base.to_dict().items():
        name = field.replace("_", "-")
        settings[name] = _setting(file, file.top, params[name], name, (value, source))
    settings |= {f"gate.{name}": _setting(file, file.gate, params[name], name, defaults[name]) for name in GATE}
    rows = [Row([Cell(name), Cell(_text(value)), Cell(origin)]) for name, (value, origin) in settings.items()]
    note = f"file: {file.path}" if file.path else "file: none (attneval.toml, or pyproject.toml with [tool.attneval])"
    say(render_plain(Page([Table("Settings", ["setting", "value", "from"], rows, texts=3)], [note])))


def _params(names: set[str]) -> dict[str, click.Parameter]:
    """The options that settings are defaults of, of the first command that has each."""
    params: dict[str, click.Parameter] = {}
    for command in COMMANDS:
        if names <= params.keys():
            break
        made = cli.get_command(click.Context(cli), command)
        for param in made.params if made is not None else ():
            for flag in param.opts:
                params.setdefault(flag.lstrip("-"), param)
    return params


def _setting(
    file: Config, settings: dict[str, Any], param: click.Parameter, name: str, otherwise: tuple[Any, str]
) -> tuple[Any, str]:
    """A setting's value and where it comes from; what stands in the file is held against what its flag takes."""
    variable = f"{PREFIX}_{name.replace('-', '_').upper()}"
    value = setting_default(file, param, name, settings[name]) if name in settings else None
    if (given := os.environ.get(variable)) is not None:
        return given, variable
    return otherwise if value is None else (value, str(file.path))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
