"""`attneval show`: one item over its image."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, boxes_file_option, channel_option, gt_options, quiet_option, verbose_option
from attneval.cli.output import check_outputs
from attneval.cli.protocol_options import protocol_from, protocol_options
from attneval.cli.settings import config_option
from attneval.cli.streams import say, tell
from attneval.cli.values import FILE, WholeNumber
from attneval.errors import ConfigError, NothingToScoreError, first_of

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.export.read.content import AttentionExport
    from attneval.report.overlay.scene import Scene
    from attneval.results.items import ItemTable

WAYS = ("auto", "kitty", "iterm", "sixel", "blocks", "none")
ENDINGS = (".png", ".svg")


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval show maps.npz --gt entities/ --image 36979 --word dog --images jpg/",
        "attneval show maps.npz --gt entities/ --image 36979 --caption 2 -o dog.svg",
    ),
)
@click.argument("export", type=FILE)
@option("--image", required=True, metavar="ID", help="The image.", group="Input")
@option("--caption", type=WholeNumber(0), metavar="K", help="Which of its captions.  [default: any]", group="Input")
@option("--word", metavar="WORD", help="The item with this word.  [default: the one with the lowest F1]", group="Input")
@gt_options("Annotations of the image.", required=True)
@option("--images", type=FILE, metavar="DIR", help="The photographs, by the ids of images.", group="Output")
@option("-o", "--output", type=FILE, metavar="FILE", help="Write a .png or .svg instead.", group="Output")
@option(
    "--picture",
    type=click.Choice(WAYS),
    default="auto",
    show_default=True,
    help="How a terminal shows the picture.",
    group="Output",
)
@channel_option()
@boxes_file_option
@protocol_options
@quiet_option
@verbose_option
@config_option
def show(export: Path, **values: Any) -> None:
    """Show one item of an EXPORT over its image: its map, what it attends to, what was annotated.

    On a terminal the picture itself, as an image where the terminal can show one (kitty, iTerm2, sixel) and else in
    blocks of true colour; elsewhere only words, unless --picture says how.
    """
    output: Path | None = values["output"]
    if output is not None:
        if output.suffix.lower() not in ENDINGS:
            raise ConfigError(f"-o {output}: a picture has the suffix .png or .svg")
        check_outputs([output], [export, *values["gt"].paths])
    scene, others = _chosen(export, values)
    photo = None
    if values["images"] is not None:
        from attneval.report.overlay.photos import Photos

        photos = Photos(values["images"])
        photo = photos.read(scene.image_id, scene.size)
        if photo is None:
            raise ConfigError(f"{photos.folder} has no file of image {scene.image_id}", hint="files are named by ids")
    if output is not None:
        write_picture(output, scene, photo)
        if not values["quiet"]:
            tell(str(output))
        return
    _print(scene, photo, values["picture"])
    if others and not values["quiet"]:
        tell(f"other items of these captions: {first_of(others, show=20)}")


def _chosen(export: Path, values: dict[str, Any]) -> tuple[Scene, list[str]]:
    """The item that was asked for, and the words of the others.

    Raises:
        NothingToScoreError: There is none.
    """
    from attneval.evaluation.manifest import open_exports
    from attneval.evaluation.pictures import read_pictures
    from attneval.report.overlay.scenes import Scenes

    protocol = protocol_from(values)
    source = values["gt"].open(protocol)
    opened = open_exports((export,), values["boxes_file"])
    if values["channel"] is not None:
        opened = replace(opened, averaged=_averaged(values["channel"], opened))
    pictures = read_pictures(opened, source, protocol, [values["image"]])
    table, scenes = pictures.table, Scenes(pictures.table, pictures)
    of_caption = table.caption_index[table.item_caption].tolist()
    rows = [row for row in range(len(table)) if values["caption"] in {None, of_caption[row]}]
    if not rows:
        known = sorted({int(table.caption_index[caption]) for caption in table.item_caption.tolist()})
        raise NothingToScoreError(
            f"caption {values['caption']} of image {values['image']} has no items",
            hint=f"these have: {first_of(known, show=20)}",
        )
    wanted = values["word"]
    matching = [row for row in rows if wanted is None or _has_word(table, row, wanted)]
    if not matching:
        raise NothingToScoreError(
            f"no item of image {values['image']} has the word {wanted!r}",
            hint=f"the items are {first_of(_texts(table, rows), show=20)}",
        )
    row = min(matching, key=lambda row: (not table.scored[row], float(table.item_scores[row, 2]), row))
    if wanted is not None:
        row = matching[0]
    return scenes.scene(row), [text for text in _texts(table, rows) if text != scenes.scene(row).text]


def _averaged(channel: str, export: AttentionExport) -> tuple[int, ...]:
    """The rows of the channels whose mean map is drawn.

    Raises:
        ConfigError: They would have to be chosen by the scores of many images first.
    """
    from attneval.evaluation.pick_channels import with_maps
    from attneval.results.channel_choice import named_channels, top_of

    if top_of(channel):
        raise ConfigError(
            f"channel {channel} is chosen by the scores of many images, and show reads one",
            hint="attneval heads names the best channels; or attneval inspect -o a folder, of a result with --channel",
        )
    export = with_maps(channel, export)
    return tuple(named_channels(channel, export.channel_names, export.channel.tolist(), str(export.path)))


def _text(table: ItemTable, row: int) -> str:
    start, stop = table.item_span[row].tolist()
    return str(table.caption_text[int(table.item_caption[row])])[start:stop]


def _texts(table: ItemTable, rows: list[int]) -> list[str]:
    return list(dict.fromkeys(_text(table, row) for row in rows))


def _has_word(table: ItemTable, row: int, wanted: str) -> bool:
    text = _text(table, row).casefold()
    return wanted.casefold() == text or wanted.casefold() in text.split()


def write_picture(path: Path, scene: Scene, photo: Any) -> None:
    """Write a scene as PNG or SVG, whole or not at all."""
    from attneval.storage.whole_files import replacing, write_text

    if path.suffix.lower() == ".svg":
        from attneval.report.overlay.vector import vector

        write_text(path, vector(scene, photo))
        return
    from attneval.report.overlay.raster import pictured

    picture = pictured(scene, photo)
    with replacing(path) as file:
        picture.save(file, "PNG", optimize=True)


def _print(scene: Scene, photo: Any, way: str) -> None:
    from attneval.report.overlay.terminal import on_terminal, way_of
    from attneval.report.overlay.words import described, lines_of

    columns = shutil.get_terminal_size((80, 24)).columns
    if way == "auto":
        plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
        way = "none" if plain else way_of(os.environ)
    text = ""
    if way != "none":
        from attneval.report.overlay.raster import pictured

        text = on_terminal(pictured(scene, photo, text=False), way, min(columns, 120))
    say(text + "\n".join([*lines_of(scene, columns), *described(scene, columns)]) + "\n")
