"""`attneval config`: each setting and where it comes from."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import click

from attneval.cli.options import PREFIX, SETTINGS, say


@click.command(context_settings=SETTINGS)
@click.option("--config", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Use this file.")
def config(path: Path | None) -> None:
    """Show each setting and where it comes from: the environment, the nearest configuration file, or the default."""
    from attneval.config import GATE, TOP, find, load
    from attneval.protocol import Protocol
    from attneval.report.plain import render_plain
    from attneval.report.table import Cell, Page, Row, Table

    found = load(path or find(Path.cwd()))
    defaults = {field.name.replace("_", "-"): str(field.default) for field in dataclasses.fields(Protocol)}
    rows = []
    for prefix, names, values in (("", TOP, found.top), ("gate.", GATE, found.gate)):
        for name in names:
            variable = f"{PREFIX}_{name.replace('-', '_').upper()}"
            if variable in os.environ:
                value, source = os.environ[variable], variable
            elif name in values:
                own = values[name]
                value, source = ", ".join(map(str, own)) if isinstance(own, list) else str(own), str(found.path)
            else:
                value, source = defaults.get(name, ""), "default"
            rows.append(Row([Cell(prefix + name), Cell(value), Cell(source)]))
    note = f"file: {found.path}" if found.path else "file: none (attneval.toml, or pyproject.toml with [tool.attneval])"
    say(render_plain(Page([Table("Settings", ["setting", "value", "from"], rows)], [note])))
