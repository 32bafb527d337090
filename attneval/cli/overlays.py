"""A folder of overlays: one picture an item."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import option
from attneval.cli.options import gt_options
from attneval.cli.streams import tell
from attneval.cli.summaries import is_summary
from attneval.cli.values import FILE
from attneval.errors import ConfigError, DataError, first_of
from attneval.storage.whole_files import replacing_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from attneval.report.overlay.photos import Photos
    from attneval.report.overlay.scenes import Scenes
    from attneval.results.items import ItemTable
    from attneval.results.result import Result

_WRITTEN = re.compile(r"\d{3,}-.*\.(?:png|svg)")
"""Files that an earlier run may have written here."""
LONGEST_NAME = 80


def overlay_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that pictures of items need beside their result."""
    for one in reversed(
        (
            option(
                "--images",
                type=FILE,
                group="Output",
                metavar="DIR",
                help="The photographs, for -o DIR: a picture an item.",
            ),
            option(
                "--attn",
                type=FILE,
                group="Input",
                multiple=True,
                help="The export that was scored: its maps are drawn.",
            ),
            option("--boxes-file", type=FILE, group="Input", help="The file of region boxes that it was scored with."),
            gt_options("Its annotations: their shapes are drawn. --attn needs them."),
            option(
                "--overlay-format",
                group="Output",
                type=click.Choice(("png", "svg")),
                default="png",
                show_default=True,
                help="Of these.",
            ),
        )
    ):
        command = one(command)
    return command


def folders_of(values: dict[str, Any]) -> list[Path]:
    """Take the folders out of the outputs of a command: what has no suffix and is no file, or is a folder already.

    Raises:
        ConfigError: Flags do not go together.
    """
    outputs = values["output"]
    folders = [path for path in outputs if path.is_dir() or not (path.suffix or path.is_file() or is_summary(path))]
    values["output"] = tuple(path for path in outputs if path not in folders)
    if values["images"] is not None and not folders:
        raise ConfigError("--images needs a folder to draw into", hint="add -o overlays/")
    if bool(values["attn"]) != (values["gt"] is not None):
        raise ConfigError("--attn and --gt go together: maps are drawn with what was annotated")
    for folder in folders:
        _check(folder)
    return folders


def _check(folder: Path) -> None:
    """Refuse a folder whose files are not ours to replace.

    Raises:
        DataError: There are such files, or the folder cannot be made.
    """
    if folder.is_dir():
        foreign = sorted(path.name for path in folder.iterdir() if not _WRITTEN.fullmatch(path.name))
        if foreign:
            raise DataError(
                f"{folder} holds other files (first: {first_of(foreign)})", hint="name an empty folder, or a new one"
            )
    elif folder.exists() or not folder.parent.is_dir():
        reason = "it is a file" if folder.exists() else f"there is no directory {folder.parent}"
        raise DataError(f"{folder} cannot be written: {reason}")


def write_overlays(
    folders: Sequence[Path], table: ItemTable, items: Sequence[int], result: Result | None, values: dict[str, Any]
) -> None:
    """Draw some items, all or none.

    Args:
        folders: Where to.
        table: The items.
        items: Rows of those to draw, in the order of their numbers.
        result: What they are items of; needed for their maps.
        values: The command's parameters, those of `overlay_options` among them.
    """
    from attneval.cli.show import write_picture
    from attneval.report.overlay.photos import Photos

    photos = None if values["images"] is None else Photos(values["images"])
    scenes, rows = _scenes(table, items, result, photos, values)
    for folder in folders:
        with replacing_folder(folder) as draft:
            lacking = set()
            for number, row in enumerate(rows, 1):
                scene = scenes.scene(row)
                photo = None if photos is None else photos.read(scene.image_id, scene.size)
                if photos is not None and photo is None:
                    lacking.add(scene.image_id)
                name = _name(number, scene.caption_id, scene.text, values["overlay_format"])
                write_picture(draft / name, scene, photo)
            if photos is not None and lacking and not values["quiet"]:
                text = f"note: {photos.folder} has no file of {len(lacking)} images ({first_of(sorted(lacking))})"
                tell(text)


def _scenes(
    table: ItemTable, items: Sequence[int], result: Result | None, photos: Photos | None, values: dict[str, Any]
) -> tuple[Scenes, list[int]]:
    """The items as scenes, and their rows there."""
    from attneval.report.overlay.scenes import Scenes

    names = [str(name) for name in table.image_id]
    wanted = list(dict.fromkeys(names[table.image_of(item)] for item in items))
    if not values["attn"]:
        return Scenes(table, sizes={} if photos is None else photos.sizes(wanted)), list(items)
    if result is None:
        raise ConfigError("--attn needs the result, not its items alone", hint="name the .json file")
    from attneval.cli.maps import pictures_of

    pictures = pictures_of(
        values["attn"],
        values["gt"],
        result,
        table,
        boxes=values["boxes_file"],
        image_id=wanted,
    )
    drawn = {place: row for row, place in enumerate(_places(pictures.table))}
    stored = _places(table)
    return Scenes(table, pictures), [drawn[stored[item]] for item in items]


def _places(table: ItemTable) -> list[tuple[str, int]]:
    """The image of each item, and its number within the image."""
    names, seen = [str(name) for name in table.image_id], Counter[int]()
    places = []
    for image in table.caption_image[table.item_caption].tolist():
        places.append((names[image], seen[image]))
        seen[image] += 1
    return places


def _name(number: int, caption: str, text: str, suffix: str) -> str:
    """A file's name, whatever ids and words hold."""
    plain = re.sub(r"[^\w-]+", "_", f"{caption}-{text}").strip("_")[:LONGEST_NAME]
    return f"{number:03d}-{plain}.{suffix}"
