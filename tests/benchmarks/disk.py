"""Reading annotations and writing exports."""

from __future__ import annotations

import shutil
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval import ExportWriter, open_ground_truth
from attneval.evaluation.plan_blocks import IMAGES_AT_ONCE
from attneval.groundtruth.index import Cached, cache_folder

from .made import AT_ONCE, SENTENCES, write_entities, write_export
from .peers import saved
from .timing import Row, at_least, at_most, compared, duration, rounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from attneval.groundtruth import Source

    from .timing import Task

EVERYTHING = 31_783
"""Images of Flickr30k."""


def read_all(source: Source, image_ids: Sequence[str], keep: Cached | None = None) -> None:
    """Read annotations block by block, as scoring does."""
    for first in range(0, len(image_ids), IMAGES_AT_ONCE):
        truth = source.read(image_ids[first : first + IMAGES_AT_ONCE])
        if keep is not None:
            keep.collect(truth)


def entities(folder: Path, source: Path | None, runs: int, images: int = EVERYTHING, few: int = 5000) -> Iterator[Row]:
    """Parsing, and reading again through the index."""
    path = folder / "everything"
    names = write_entities(path, images, source)

    def parse(count: int) -> Task:
        return lambda: read_all(open_ground_truth(path), names[:count])

    first = Cached(open_ground_truth(path), names)
    read_all(first, names, keep=first)
    first.save("0" * 64)
    index = sum(file.stat().st_size for file in (cache_folder() or folder).iterdir())
    some, every, again = (
        statistics.median(seconds)
        for seconds in rounds(
            [parse(few), parse(images), lambda: read_all(Cached(open_ground_truth(path), names), names)], runs
        )
    )
    each = every / images, some / few
    yield Row(
        f"parsing Entities, {images:,} images: {duration(every)}; per image",
        f"{each[0] * 1e6:.3g} us",
        f"{few:,} images: {duration(some)}",
        f"{each[1] * 1e6:.3g} us",
        each[0] / each[1],
        at_most(1.2),
    )
    work = f"- again, through an index of {index / 1e6:.0f} MB"
    yield Row(work, duration(again), "parsing", duration(every), every / again, at_least(10))
    shutil.rmtree(path)


def writer(folder: Path, source: Path | None, runs: int, images: int = 5000) -> Iterator[Row]:
    """Writing through `ExportWriter` in batches, as a model gives maps."""
    truth, maps, copy = folder / "writer", folder / "writer.npz", folder / "copy.npz"
    write_export(maps, truth, write_entities(truth, images, source))
    with np.load(maps) as data:
        members: dict[str, Any] = dict(data)
    part = open_ground_truth(truth).read([f"{number:07d}" for number in range(images)])
    texts = list(part.text)
    tokens = np.diff(members["token_offset"])
    longest = int(tokens.max())
    spans = np.split(members["token_span"], members["token_offset"][1:-1])
    names = [part.image_id[image] for image in members["caption_image"].tolist()]
    numbers = part.caption_index.tolist()
    padded = np.zeros((len(texts), longest, 36), np.float32)
    padded[np.arange(longest) < tokens[:, None]] = members["attention"].reshape(-1, 36)
    boxes = members["region_box"].reshape(images, 36, 4)

    def ours() -> None:
        with ExportWriter(maps, normalised_over="regions") as out:
            for first in range(0, images, IMAGES_AT_ONCE):
                batch = slice(first, first + IMAGES_AT_ONCE)
                out.add_images(part.image_id[batch], size=part.image_size[batch], boxes=boxes[batch])
            for first in range(0, len(texts), AT_ONCE):
                batch = slice(first, first + AT_ONCE)
                out.add_captions(
                    names[batch],
                    padded[batch],
                    indices=numbers[batch],
                    texts=texts[batch],
                    spans=spans[batch],
                )

    ours()
    with np.load(maps) as data:
        same = all(np.array_equal(data[name], members[name]) for name in members if name != "format")
    if not same:
        raise AssertionError("what was written differs from what was read")
    work = f"writing {images * SENTENCES:,} captions with ExportWriter"
    yield compared(work, ours, "np.savez of the same arrays", lambda: saved(copy, members), at_most(2), 3 * runs)
    shutil.rmtree(truth)
