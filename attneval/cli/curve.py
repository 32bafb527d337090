"""`attneval curve`: precision, recall and F1 over thresholds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command
from attneval.cli.options import SETTINGS, Output, output_options
from attneval.cli.settings import config_option
from attneval.cli.values import FILE

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=("attneval curve result.json", "attneval curve base.json candidate.json -o curves.csv"),
)
@click.argument("results", type=FILE, nargs=-1, required=True)
@output_options("curve")
@config_option
def curve(results: tuple[Path, ...], **values: Any) -> None:
    """Show precision, recall and F1 of RESULTS over the thresholds of their rule; F1 alone for several results."""
    from attneval.report.curve import curve_dict, curve_lines, curve_page
    from attneval.results.comparability import check_protocols, distinct
    from attneval.results.result import Result

    output = Output(values, "curve", inputs=results)
    loaded = [Result.load(path) for path in results]
    names = distinct([result.name for result in loaded], list(map(str, results)))
    named = [dataclasses.replace(result, name=name) for name, result in zip(names, loaded, strict=True)]
    check_protocols([(result.name, result) for result in named])

    output.emit(
        {
            "page": lambda: curve_page(named, output.digits),
            "values": lambda: curve_dict(named),
            "lines": lambda: curve_lines(named),
        }
    )
