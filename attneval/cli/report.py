"""`attneval report`: results as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.command import Command, option
from attneval.cli.options import SETTINGS, across_regions_option, gt_options, quiet_option, verbose_option
from attneval.cli.output import check_outputs
from attneval.cli.settings import config_option
from attneval.cli.streams import tell
from attneval.cli.values import FILE, WholeNumber
from attneval.errors import ConfigError

if TYPE_CHECKING:
    from attneval.report.html.gallery import Gallery
    from attneval.report.overlay.photos import Photos
    from attneval.report.overlay.scenes import Scenes
    from attneval.results.items import ItemTable
    from attneval.results.result import Result

ENDINGS = (".html", ".htm")


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval report result.json -o report.html",
        "attneval report a.json b.json --attn maps.npz --gt entities/ --images photos/",
    ),
)
@click.argument("results", type=FILE, nargs=-1, required=True)
@option("-o", "--output", type=FILE, metavar="FILE", help="The page.  [default: report.html]", group="Output")
@option("--images", type=FILE, metavar="DIR", help="The photographs, by the ids of images.", group="Output")
@option(
    "--attn",
    type=FILE,
    multiple=True,
    help="The export that was scored: its maps are drawn. Repeatable.",
    group="Input",
)
@option("--boxes-file", type=FILE, help="The file of region boxes that it was scored with.", group="Input")
@gt_options("Its annotations: their shapes are drawn. --attn needs them.")
@option("--cards", type=WholeNumber(0), help="At most so many items.  [default: what 3 MB hold]", group="Output")
@option("--intersect", is_flag=True, help="Compare on the images that all results have.", group="Input")
@option(
    "--allow-mismatch", is_flag=True, help="Compare under different protocols; the fields are noted.", group="Input"
)
@across_regions_option
@quiet_option
@verbose_option
@config_option
def report(results: tuple[Path, ...], **values: Any) -> None:
    """Write RESULTS as one page that needs nothing else: open it, mail it, keep it beside the numbers.

    The first result is the subject, others are compared with it. Items are shown where it was scored with --items, or
    with --attn and --gt; with these, maps and annotated shapes are drawn, and with --images on the photographs.
    """
    from attneval.storage.whole_files import write_text

    output: Path = values["output"] or Path("report.html")
    named = [*results, *values["attn"], *(() if values["gt"] is None else values["gt"].paths)]
    named += [] if values["boxes_file"] is None else [values["boxes_file"]]
    if output.suffix.lower() not in ENDINGS:
        raise ConfigError(f"-o {output}: a page has the suffix .html")
    check_outputs([output], named)
    if bool(values["attn"]) != (values["gt"] is not None):
        raise ConfigError("--attn and --gt go together: maps are drawn with what was annotated")
    text = build(list(results), values)
    write_text(output, text)
    if not values["quiet"]:
        tell(f"{output}: {len(text.encode('utf-8', 'backslashreplace')) / 1e6:.2f} MB")


def build(paths: list[Path], values: dict[str, Any]) -> str:
    """The page of some results, small enough."""
    from attneval.report.html.gallery import BUDGET
    from attneval.report.html.page import LARGEST, page_of, render
    from attneval.results.result import Result

    loaded = [Result.load(path) for path in paths]
    comparison = _comparison(loaded, paths, values) if len(loaded) > 1 else None
    items = _Items(paths[0], loaded[0], values)
    budget = BUDGET
    while True:
        gallery = items.gallery(budget) if values["cards"] != 0 else None
        text = render(page_of(loaded[0], comparison=comparison, table=items.table, gallery=gallery))
        over = len(text.encode("utf-8", "backslashreplace")) - LARGEST
        if over <= 0 or gallery is None:
            return text
        budget -= over + 50_000


def _comparison(loaded: list[Result], paths: list[Path], values: dict[str, Any]) -> dict[str, Any]:
    from attneval.report.compare import compare_dict
    from attneval.results.comparability import distinct
    from attneval.results.compare import compare
    from attneval.results.comparison import System

    names = distinct([result.name for result in loaded], list(map(str, paths)))
    systems = [System(name, (result,)) for name, result in zip(names, loaded, strict=True)]
    allowed = {name: values[name] for name in ("intersect", "allow_mismatch", "across_regions")}
    return compare_dict(compare(systems, **allowed))


class _Items:
    """What is known of the items of a result.

    Args:
        path: The result's file.
        result: The result.
        values: The command's parameters.
    """

    def __init__(self, path: Path, result: Result, values: dict[str, Any]) -> None:
        from attneval.report.overlay.photos import Photos

        self.result, self.values = result, values
        self.table: ItemTable | None = stored_items(path, result)
        self.photos: Photos | None = None if values["images"] is None else Photos(values["images"])
        self._scenes: Scenes | None = None
        self._chosen: list[str] = []
        self._sources: dict[str, str | None] = {}

    def gallery(self, budget: int) -> Gallery | None:
        """The items to show, within some bytes."""
        from attneval.report.html.gallery import gallery

        if self.table is None and not self.values["attn"]:
            return None
        if self._scenes is None:
            self._scenes, self._chosen = self._read()
        scenes = self._scenes
        every = scenes.table if self.table is None else self.table
        return gallery(
            scenes,
            self._photo,
            images=self._chosen,
            total=len(every),
            all_images=len(every.image_id),
            ranks=caption_ranks(self.result, scenes.table),
            cards=self.values["cards"],
            budget=budget,
        )

    def _read(self) -> tuple[Scenes, list[str]]:
        """The items as scenes, and the images that are shown."""
        from attneval.report.html.chosen import choose_images
        from attneval.report.overlay.scenes import Scenes

        chosen = None
        if self.table is not None:
            chosen = choose_images(self.table, self._shown(self.table))
            if not self.values["attn"]:
                sizes = {} if self.photos is None else self.photos.sizes(chosen)
                return Scenes(self.table, sizes=sizes), chosen
        from attneval.cli.maps import pictures_of

        pictures = pictures_of(
            self.values["attn"],
            self.values["gt"],
            self.result,
            self.table,
            boxes=self.values["boxes_file"],
            image_id=chosen,
        )
        scenes = Scenes(pictures.table, pictures)
        return scenes, chosen or choose_images(scenes.table, self._shown(scenes.table))

    def _shown(self, table: ItemTable) -> list[str]:
        """The images that can be shown: those with photographs, where there are any."""
        names = [str(name) for name in table.image_id]
        if self.photos is None:
            return names
        shown = [name for name in names if self.photos.find(name) is not None]
        if not shown:
            raise ConfigError(
                f"{self.photos.folder} has none of the {len(names)} images (first: {names[0]})",
                hint="files are named by the ids of images, such as 36979.jpg, or as COCO names them",
            )
        return shown

    def _photo(self, name: str, size: tuple[int, int]) -> str | None:
        from attneval.report.overlay.photos import as_data_uri, shrunk

        if self.photos is None:
            return None
        if name not in self._sources:
            photo = self.photos.read(name, size)
            self._sources[name] = None if photo is None else as_data_uri(shrunk(photo))
        return self._sources[name]


def stored_items(path: Path, result: Result) -> ItemTable | None:
    """The items beside a result; None if there are none.

    Raises:
        ResultError: They are those of another result.
    """
    from attneval.errors import ResultError
    from attneval.results.item_choice import belong
    from attneval.results.items import ItemTable
    from attneval.results.result import items_path

    beside = items_path(path)
    if not beside.is_file():
        return None
    table = ItemTable.load(beside)
    if not belong(table, result):
        raise ResultError(f"{beside} holds the items of another result than {path}", hint="score the export again")
    return table


def caption_ranks(result: Result, table: ItemTable) -> dict[tuple[str, int], float] | None:
    """The rank of its image for each caption, where the result tells whose rank is whose.

    A result lists the ranks of an image's captions in their order. An image of which it ranks other captions than are
    annotated is left out.
    """
    stored = result.scores.sums.ranks.get("t2i")
    if stored is None or result.protocol.folds != 1:
        return None
    names = [str(name) for name in table.image_id]
    row = {name: place for place, name in enumerate(result.scores.sums.image_id)}
    of_image: dict[int, list[float]] = {}
    for image, rank in zip(stored.image.tolist(), stored.rank.tolist(), strict=True):
        of_image.setdefault(image, []).append(rank)
    captions: dict[str, list[int]] = {}
    for image, index in zip(table.caption_image.tolist(), table.caption_index.tolist(), strict=True):
        captions.setdefault(names[image], []).append(index)
    ranked = {}
    for name, indices in captions.items():
        ranks = of_image.get(row.get(name, -1), [])
        if len(ranks) == len(indices) and sorted(indices) == list(range(len(indices))):
            ranked.update({(name, index): ranks[index] for index in indices})
    return ranked or None
