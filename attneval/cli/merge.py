"""`attneval merge`: results of parts to the result of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, Output, across_regions_option, output_options
from attneval.cli.score import emit_result
from attneval.cli.settings import config_option
from attneval.cli.values import FILE

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=("attneval merge part-*.json -o whole.json", "attneval merge a.json b.json --name both"),
)
@click.argument("results", type=FILE, nargs=-1, required=True)
@option("--name", group="Output", help="How the whole is called in tables.")
@across_regions_option
@output_options("merge")
@config_option
def merge(results: tuple[Path, ...], name: str | None, *, across_regions: bool, **values: Any) -> None:
    """Put RESULTS of different images together to exactly the result of scoring them at once."""
    from attneval.results.merge import merge as run
    from attneval.results.result import Result

    output = Output(values, "merge", inputs=results)
    whole = run([Result.load(path) for path in results], name=name, across_regions=across_regions)
    emit_result(whole, output)
