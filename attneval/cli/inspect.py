"""`attneval inspect`: items one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, Output, output_options
from attneval.cli.overlays import folders_of, overlay_options, write_overlays
from attneval.cli.settings import config_option
from attneval.cli.values import FILE, WholeNumber
from attneval.errors import ResultError

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.items import ItemTable


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval inspect result.json -n 20 --type people",
        "attneval inspect candidate.json --diff base.json",
    ),
)
@click.argument("result", type=FILE)
@option("-n", "--worst", type=WholeNumber(1), default=10, show_default=True, group="Input", help="How many items.")
@option("--diff", type=FILE, group="Input", help="Another result: the items that are worst compared with it.")
@option("--type", group="Input", help="Only items of this phrase type.")
@option("--word", group="Input", help="Only items with this word.")
@option("--image", group="Input", help="Only items of this image.")
@option("--kind", group="Input", help="Only items with this kind of error.")
@overlay_options
@output_options("inspect")
@config_option
def inspect(result: Path, worst: int, diff: Path | None, **values: Any) -> None:
    """Show the worst items of a RESULT that was scored with --items, and what each kind of error costs.

    The word of the item stands in brackets; words that were attended in its place stand in braces. With -o DIR each
    item is drawn over its photograph of --images, with its map where --attn and --gt are given.
    """
    from attneval.report.inspect import inspect_lines, inspect_page, inspect_rows
    from attneval.results.item_choice import choose, paired

    folders = folders_of(values)
    output = Output(values, "inspect", inputs=[result] if diff is None else [result, diff])
    table, other = _load(result), None
    if diff is not None:
        table, other = paired(table, _load(diff))
    filters = {name: values[name] for name in ("word", "image", "kind")}
    items = choose(table, worst, other=other, type_name=values["type"], **filters)

    if folders:
        from attneval.results.result import Result

        scored = None if result.suffix == ".npz" else Result.load(result)
        write_overlays(folders, table, items, scored, values | {"quiet": output.quiet})
    output.emit(
        {
            "page": lambda: inspect_page(table, items, other, output.digits),
            "values": lambda: inspect_rows(table, items, other),
            "lines": lambda: inspect_lines(table, items, other),
        }
    )


def _load(path: Path) -> ItemTable:
    """The items beside a result, or those of an items file itself."""
    from attneval.results.item_choice import belong
    from attneval.results.items import ItemTable
    from attneval.results.result import Result, items_path

    beside = items_path(path)
    table = ItemTable.load(beside)
    if beside != path and path.is_file() and not belong(table, Result.load(path)):
        raise ResultError(f"{beside} holds the items of another result than {path}", hint="score the export again")
    return table
