"""`attneval merge`: results of parts to the result of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, across_regions_option
from attneval.cli.output import Output, output_options
from attneval.cli.score import emit_result
from attneval.cli.settings import config_option
from attneval.cli.values import FILE
from attneval.errors import ResultError

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.result import Result


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
    """Put RESULTS of different images together to exactly the result of scoring them at once.

    Results of --part become the very result of the whole; the files that they were scored of are opened again.
    """
    from attneval.evaluation.parts import merge as run

    output = Output(values, "merge", inputs=results)
    emit_result(run(list(map(_loaded, results)), name=name, across_regions=across_regions), output)


def _loaded(path: Path) -> Result:
    """A result; of a part that was scored with --items, the items too."""
    from dataclasses import replace

    from attneval.results.items import ItemTable
    from attneval.results.result import Result, items_path

    result = Result.load(path)
    if result.part is None or not result.items_sha256:
        return result
    items = ItemTable.load(items_path(path))
    if items.sha256() != result.items_sha256:
        raise ResultError(f"{items_path(path)} holds the items of another result than {path}", hint="score it again")
    return replace(result, items=items)
