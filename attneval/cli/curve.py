"""`attneval curve`: precision, recall and F1 over thresholds."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.channels import of_channel, scored_now
from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, boxes_file_option, channel_option, gt_options
from attneval.cli.output import Output, output_options
from attneval.cli.settings import config_option
from attneval.cli.values import FILE
from attneval.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.result import Result


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=("attneval curve result.json", "attneval curve base.json candidate.json -o curves.pdf"),
)
@click.argument("results", type=FILE, nargs=-1, required=True)
@channel_option()
@option("--attn", type=FILE, multiple=True, group="Input", help="The export, for the curve of one of many channels.")
@gt_options("Its annotations. --attn needs them.")
@boxes_file_option
@output_options("curve")
@config_option
def curve(results: tuple[Path, ...], **values: Any) -> None:
    """Show precision, recall and F1 of RESULTS over the thresholds of their rule; F1 alone for several results."""
    from attneval.report.curve import curve_dict, curve_lines, curve_page
    from attneval.report.figures import draw
    from attneval.results.comparability import check_protocols, distinct

    output = Output(values, "curve", inputs=results)
    if values["attn"] and (values["channel"] is None or len(results) > 1):
        raise ConfigError("--attn is for the channel of one result", hint="add --channel, or leave --attn out")
    loaded = [_loaded(path, values) for path in results]
    names = distinct([result.name for result in loaded], list(map(str, results)))
    named = [dataclasses.replace(result, name=name) for name, result in zip(names, loaded, strict=True)]
    check_protocols([(result.name, result) for result in named])

    output.emit(
        {
            "page": lambda: curve_page(named, output.digits),
            "values": lambda: curve_dict(named),
            "lines": lambda: curve_lines(named),
            "figure": lambda: draw("curve", named, output.digits),
        }
    )


def _loaded(path: Path, values: dict[str, Any]) -> Result:
    """A result, or a channel of it, scored now where the result keeps no curve of it."""
    from attneval.results.result import Result

    result, channel = Result.load(path), values["channel"]
    if channel is not None and values["attn"]:
        return scored_now(result, channel, values)
    return of_channel(result, channel)
