"""`attneval inspect`: items one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.channels import scored_now
from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, Output, channel_option, output_options
from attneval.cli.overlays import folders_of, overlay_options, write_overlays
from attneval.cli.settings import config_option
from attneval.cli.values import FILE, WholeNumber
from attneval.errors import ResultError

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.items import ItemTable
    from attneval.results.result import Result


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
@channel_option()
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
    channel, given = values["channel"], values
    scored, table = (None, _load(result)) if channel is None else _of_channel(result, channel, given)
    other = None
    if diff is not None:
        table, other = paired(table, _load(diff) if channel is None else _of_channel(diff, channel, given)[1])
    filters = {name: values[name] for name in ("word", "image", "kind")}
    items = choose(table, worst, other=other, type_name=values["type"], **filters)

    if folders:
        from attneval.results.result import Result

        if scored is None and result.suffix != ".npz":
            scored = Result.load(result)
        write_overlays(folders, table, items, scored, values | {"quiet": output.quiet})
    output.emit(
        {
            "page": lambda: inspect_page(table, items, other, output.digits),
            "values": lambda: inspect_rows(table, items, other),
            "lines": lambda: inspect_lines(table, items, other),
        }
    )


def _of_channel(path: Path, channel: str, values: dict[str, Any]) -> tuple[Result, ItemTable]:
    """The result of a channel and its items: those beside a result of that very channel, or scored now."""
    from attneval.results.result import Result

    result = Result.load(path)
    if result.channel == channel:
        return result, _load(path)
    if not values["attn"]:
        raise ResultError(
            f"{path} has the items of {result.channel or 'the mean of all channels'}, and none of channel {channel!r}",
            hint="add --attn EXPORT --gt PATH to look at its maps now, or score with --channel and --items",
        )
    made = scored_now(result, channel, values, items=True)
    if made.items is None:
        raise ResultError(f"{path}: items are those of words, and it was scored in direction {made.protocol.direction}")
    return made, made.items


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
