"""Shards of whole images: each is put in place in one step, and is not made again where it is there."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval import ExportWriter
from attneval.errors import AttnevalError, ProtocolError
from attneval.extraction.transformers.regions import Grid, boxes
from attneval.storage.json_text import parse_json
from attneval.storage.read_files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from PIL.Image import Image

    from attneval.extraction.transformers.families.base import Adapter, NumberedMap
    from attneval.extraction.transformers.pairs import Pair
    from attneval.extraction.transformers.perturb import Perturbation


def maps_of(
    adapter: Adapter, pair: Pair, image: Image, batch_size: int
) -> tuple[list[NumberedMap], list[AttnevalError]]:
    """Run the model on the captions of an image, batch by batch.

    Returns:
        The maps, and what is wrong with the captions that have none.
    """
    made: list[NumberedMap] = []
    wrong: list[AttnevalError] = []
    for start in range(0, len(pair.captions), batch_size):
        batch = pair.captions[start : start + batch_size]
        try:
            maps = adapter.maps(image, [text for _, text in batch], pair.image_id)
            made += [(index, text, one) for (index, text), one in zip(batch, maps, strict=True)]
        except ProtocolError:
            # What is asked for does not exist, whatever the caption.
            raise
        except AttnevalError as error:
            if len(batch) == 1:
                wrong.append(pair.named(error, batch[0][0]))
                continue
            # One of them is to blame: each is tried alone.
            for caption in batch:
                alone, of_caption = maps_of(adapter, replace(pair, captions=(caption,)), image, 1)
                made += alone
                wrong += of_caption
    return made, wrong


def add_to(
    out: ExportWriter, pair: Pair, image: Image, maps: Sequence[NumberedMap], *, as_grid: bool, windows: bool
) -> None:
    """Write an image and the maps of its captions.

    Args:
        out: The export.
        pair: The image's name.
        image: The image.
        maps: The maps of its captions, at least one.
        as_grid: The regions of all images are written as one grid each, else as boxes.
        windows: Each caption has regions of its own.

    Raises:
        AttnevalError: Regions of an image differ by caption, or form no grid where those of others do.
    """
    width, height = image.size
    if windows:
        of_caption = [boxes(one.regions, width, height) for _, _, one in maps]
        out.add_image(pair.image_id, size=image.size, boxes=np.concatenate(of_caption))
        first = 0
        for numbered, array in zip(maps, of_caption, strict=True):
            write_caption(out, pair.image_id, numbered, window=(first, len(array)))
            first += len(array)
        return
    regions = maps[0][2].regions
    if as_grid:
        if not isinstance(regions, Grid):
            raise AttnevalError(
                f"image {pair.image_id}: its cells form no single grid, those of other images do",
                hint="export images that the processor treats alike together",
            )
        out.add_image(pair.image_id, size=image.size, grid=(regions.rows, regions.cols), affine=regions.affine)
    else:
        out.add_image(pair.image_id, size=image.size, boxes=boxes(regions, width, height))
    for numbered in maps:
        write_caption(out, pair.image_id, numbered)


def write_caption(
    out: ExportWriter, image_id: str, numbered: NumberedMap, window: tuple[int, int] | None = None
) -> None:
    """Write one caption's map, with the mass of its rows and its own regions."""
    index, text, one = numbered
    out.add_caption(
        image_id,
        one.weights,
        index=index,
        text=text,
        spans=one.span,
        mass=one.mass,
        window=window,
        perturbed=one.curves,
    )


class Shards:
    """A folder of shards beside the target.

    Args:
        target: The file to be.
        items: All images, in order.
        size: Images of a shard.
    """

    def __init__(self, target: Path, items: Sequence[Pair], size: int) -> None:
        self.target, self.items, self.size = target, items, size
        self.folder = target.with_name(f"{target.name}.parts")

    def claim(self, description: dict[str, Any]) -> None:
        """Make the folder this export's, or see that it is.

        Raises:
            AttnevalError: The shards there are of another export.
        """
        description = {**description, "images": [[pair.image_id, list(pair.captions)] for pair in self.items]}
        description["shard_images"] = self.size
        text = json.dumps(description, indent=1, sort_keys=True)
        place = self.folder / "description.json"
        if place.exists():
            try:
                before = parse_json(read_bytes(place), str(place))
            except AttnevalError as error:
                raise AttnevalError(error.message, hint="delete the folder") from error
            now = json.loads(text)
            if different := sorted(_different(before, now)):
                raise AttnevalError(
                    f"{self.folder} holds shards of another export: {', '.join(different)} differ",
                    hint="delete the folder, or write to another file",
                )
            return
        try:
            self.folder.mkdir(parents=False, exist_ok=True)
            if any(self.folder.iterdir()):
                raise AttnevalError(f"{self.folder} holds files without a description", hint="delete the folder")
            _put(place, text)
        except OSError as error:
            raise AttnevalError(f"{self.folder} cannot be written ({error.strerror})") from error

    def __iter__(self) -> Iterator[tuple[Path, Sequence[Pair]]]:
        for number, start in enumerate(range(0, len(self.items), self.size)):
            yield self.folder / f"{number:05d}.npz", self.items[start : start + self.size]

    def __len__(self) -> int:
        return len(range(0, len(self.items), self.size))

    def pack(self) -> list[str]:
        """Put the shards together and take the folder away.

        Returns:
            Warnings.

        Raises:
            AttnevalError: Every image of every shard was left out.
        """
        from attneval.export.pack import pack

        paths = [place for place, _ in self if place.exists()]
        if not paths:
            raise AttnevalError(f"{self.target}: no image could be exported", hint="leave out --errors skip to see why")
        warnings = pack(paths, self.target)
        shutil.rmtree(self.folder)
        return warnings


def _different(before: Any, now: Any) -> set[str]:
    """Names of what differs between two descriptions; entries of the header under their own names."""
    if not isinstance(before, dict):
        return {"description"}
    names = {name for name in {*before, *now} if before.get(name) != now.get(name)}
    if "header" in names and isinstance(before.get("header"), dict):
        old, new = before["header"], now.get("header", {})
        names = (names - {"header"}) | {name for name in {*old, *new} if old.get(name) != new.get(name)}
    return names


def _put(place: Path, text: str) -> None:
    draft = place.with_name(f"{place.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(place)


def write_shard(
    place: Path,
    adapter: Adapter,
    chosen: Sequence[Pair],
    header: dict[str, Any],
    *,
    batch_size: int,
    as_grid: bool,
    skip: bool,
    done: Callable[[Pair], None],
    perturbation: Perturbation | None = None,
) -> list[str]:
    """Write one shard, whole or not at all.

    Args:
        place: The file.
        adapter: What serves the model; it has been run, so that it knows its channels.
        chosen: The shard's images.
        header: What the header says.
        batch_size: Captions that the model sees at a time.
        as_grid: The regions are written as one grid an image, else as boxes.
        skip: Leave out what cannot be exported.
        done: Called after each image.
        perturbation: What removes cells of images, if that is asked for.

    Returns:
        What was left out, and why.

    Raises:
        AttnevalError: Something cannot be exported, and nothing is to be left out.
    """
    skipped: list[str] = []
    written = 0
    with (
        suppress(_NothingLeft),
        ExportWriter(
            place,
            kind=adapter.kind,
            normalised_over=adapter.normalised_over,
            channels=adapter.channels,
            dtype=adapter.dtype,
            **header,
        ) as out,
    ):
        for pair in chosen:
            try:
                image = pair.open()
                maps, wrong = maps_of(adapter, pair, image, batch_size)
                if perturbation is not None:
                    maps, unscored = perturbation.added_to(pair, image, maps)
                    wrong += unscored
            except AttnevalError as error:
                maps, wrong = [], [error]
            if wrong and not skip:
                refuse(wrong)
            skipped += map(str, wrong)
            if maps:
                add_to(out, pair, image, maps, as_grid=as_grid, windows=adapter.regions_per_caption)
                written += 1
            done(pair)
        # The list comes first: a shard that is there has its list.
        _put(place.with_suffix(".json"), json.dumps(skipped))
        if not written:
            raise _NothingLeft
    return skipped


class _NothingLeft(Exception):  # noqa: N818 - no error: the shard's file is given up
    """Every image of a shard was left out."""


def skipped_of(place: Path) -> list[str] | None:
    """Read what a finished shard left out, None where it is not finished.

    A shard of which everything was left out has a list and no file.
    """
    listed = place.with_suffix(".json")
    if not listed.exists():
        return None
    wrong_ones = parse_json(read_bytes(listed), str(listed))
    if not isinstance(wrong_ones, list):
        raise AttnevalError(f"{listed} is no list", hint="delete it")
    return wrong_ones if place.exists() else None


def refuse(wrong: Sequence[AttnevalError]) -> None:
    """Raise what is wrong with images and captions, the first five by their messages.

    Raises:
        AttnevalError: If there is any.
    """
    if not wrong:
        return
    if len(wrong) == 1:
        raise AttnevalError(wrong[0].message, hint=wrong[0].hint or "leave it out with --errors skip")
    more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    raise AttnevalError(
        f"{len(wrong)} images or captions cannot be exported: {'; '.join(error.message for error in wrong[:5])}{more}",
        hint="leave them out with --errors skip",
    )
