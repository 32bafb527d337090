"""`attneval inspect`: items one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.channels import scored_now
from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, channel_option
from attneval.cli.output import Output, output_options
from attneval.cli.overlays import folders_of, overlay_options, write_overlays
from attneval.cli.settings import config_option
from attneval.cli.values import FILE, WholeNumber
from attneval.errors import ConfigError, ResultError

if TYPE_CHECKING:
    from collections.abc import Callable
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
@option("--joint", is_flag=True, group="Input", help="Captions that are retrieved right but attended wrong.")
@option("--type", group="Input", help="Only items of this phrase type.")
@option("--word", group="Input", help="Only items with this word.")
@option("--image", group="Input", help="Only items of this image.")
@option("--kind", group="Input", help="Only items with this kind of error.")
@channel_option()
@overlay_options
@output_options("inspect")
@config_option
def inspect(result: Path, worst: int, diff: Path | None, *, joint: bool, **values: Any) -> None:
    """Show the worst items of a RESULT that was scored with --items, and what each kind of error costs.

    The word of the item stands in brackets; words that were attended in its place stand in braces. With -o DIR each
    item is drawn over its photograph of --images, with its map where --attn and --gt are given. With --joint, show
    the captions whose image is found first although their words attend to the wrong regions.
    """
    from attneval.results.item_choice import choose, choose_captions, paired

    folders = folders_of(values)
    if joint and diff is not None:
        raise ConfigError("--joint looks at one result, and --diff at two", hint="leave one of them out")
    output = Output(values, "inspect", inputs=[result] if diff is None else [result, diff])
    channel, given = values["channel"], values
    scored, table = (None, _load(result)) if channel is None else _of_channel(result, channel, given)
    other = None
    if diff is not None:
        table, other = paired(table, _load(diff) if channel is None else _of_channel(diff, channel, given)[1])
    filters = {"type_name": values["type"], **{name: values[name] for name in ("word", "image", "kind")}}
    captions: list[int] = []
    every: list[int] = []
    if joint:
        every = choose_captions(table, **filters)
        captions = every[:worst]
        items = [item for row in captions for item, of in enumerate(table.item_caption.tolist()) if of == row]
    else:
        items = choose(table, worst, other=other, **filters)

    if folders:
        from attneval.results.result import Result

        if scored is None and result.suffix != ".npz":
            scored = Result.load(result)
        write_overlays(folders, table, items, scored, values | {"quiet": output.quiet})
    output.emit(
        _of_captions(table, captions, len(every), output.digits)
        if joint
        else _of_items(table, items, other, output.digits)
    )


def _of_items(table: ItemTable, items: list[int], other: ItemTable | None, digits: int) -> dict[str, Callable[[], Any]]:
    from attneval.report.inspect import inspect_lines, inspect_page, inspect_rows

    return {
        "page": lambda: inspect_page(table, items, other, digits),
        "values": lambda: inspect_rows(table, items, other),
        "lines": lambda: inspect_lines(table, items, other),
    }


def _of_captions(table: ItemTable, captions: list[int], total: int, digits: int) -> dict[str, Callable[[], Any]]:
    from attneval.report.joint import caption_lines, caption_rows, captions_page

    return {
        "page": lambda: captions_page(table, captions, total, digits),
        "values": lambda: caption_rows(table, captions),
        "lines": lambda: caption_lines(table, captions),
    }


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
