"""The command as a user runs it, in processes of its own."""

from __future__ import annotations

import shutil
import statistics
from typing import TYPE_CHECKING

import numpy as np

from .evaluators.inputs import boxed_phrases, read_annotations, read_maps
from .made import SENTENCES, write_entities, write_export
from .peers import READ_AND_SORT, UNAVOIDABLE
from .timing import Row, at_most, attneval, compared, duration, megabytes, peak_bytes, rounds, script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def startup(runs: int) -> Iterator[Row]:
    """Help, version, and the package imported."""
    least = script("import click")
    for option in ("--help", "--version"):
        yield compared(f"attneval {option}", attneval(option), "python -c 'import click'", least, at_most(1.1), runs)
    ours = script("import attneval")
    yield compared("python -c 'import attneval'", ours, "python -c 'import click'", least, at_most(1.1), runs)


def score(folder: Path, entities: Path | None, runs: int, images: int = 1000) -> Iterator[Row]:
    """A whole scoring, retrieval included: as one types it, and as the first of its annotations in one process."""
    truth, maps = folder / "score", folder / "score.npz"
    write_export(maps, truth, write_entities(truth, images, entities), similarity=True)
    typed = ("score", "--attn", maps, "--gt", truth)
    works = (
        (f"attneval score, {images * SENTENCES:,} captions x 36 regions, two processes, warm", (), 1.5),
        (
            "- one process, without the index of annotations that the run before has left",
            ("--no-cache", "--jobs", "1"),
            2,
        ),
    )
    for work, flags, bound in works:
        yield compared(
            work,
            attneval(*typed, *flags),
            "its unavoidable parts",
            script(UNAVOIDABLE, maps, truth),
            at_most(bound),
            3 * runs,
        )


def patches(folder: Path, entities: Path | None, runs: int, images: int = 1000) -> Iterator[Row]:
    """A patch grid: one channel of half precision over 24 x 24 cells, against reading and sorting it."""
    truth, maps = folder / "patches", folder / "patches.npz"
    names = write_entities(truth, images, entities)
    write_export(maps, truth, names, grid=(24, 24), dtype="float16")
    given, annotated = read_maps(maps), read_annotations(truth, names)
    first = np.concatenate(([0], np.cumsum([len(own) for _, _, own in given.caption])))
    start = {(image, number): row for (image, number, _), row in zip(given.caption, first.tolist(), strict=False)}
    rows = np.array(
        [start[a, b] + place for a, b, _, phrase in boxed_phrases(given, annotated) for place in phrase.places]
    )
    np.save(folder / "rows.npy", rows)
    work = f"attneval score, {images * SENTENCES:,} captions x 576 cells, half precision"
    least = script(READ_AND_SORT, maps, folder / "rows.npy")
    for more, flags in (("", ()), ("- one process", ("--jobs", "1"))):
        ours = attneval("score", maps, "--gt", truth, *flags)
        must = None if more else at_most(3)
        yield compared(more or work, ours, f"reading, sorting {len(rows):,} rows", least, must, runs)
    shutil.rmtree(truth)
    maps.unlink()


def linear(folder: Path, entities: Path | None, runs: int, images: tuple[int, int] = (1000, 5000)) -> Iterator[Row]:
    """How time grows with captions: start-up is what a single image takes."""
    truth = folder / "linear"
    names = write_entities(truth, images[1], entities)
    sizes = (1, *images)
    maps = [folder / f"linear-{size}.npz" for size in sizes]
    for path, size in zip(maps, sizes, strict=True):
        write_export(path, truth, names[:size])
    tasks = [attneval("score", path, "--gt", truth, "--no-cache") for path in maps]
    one, few, many = (statistics.median(seconds) for seconds in rounds(tasks, runs))
    each = [(few - one) / (images[0] * SENTENCES), (many - one) / (images[1] * SENTENCES)]
    yield Row(
        f"attneval score, {images[1] * SENTENCES:,} captions: {duration(many)}; per caption",
        f"{each[1] * 1e6:.3g} us",
        f"{images[0] * SENTENCES:,} captions: {duration(few)}",
        f"{each[0] * 1e6:.3g} us",
        each[1] / each[0],
        at_most(1.2),
    )
    shutil.rmtree(truth)


def memory(folder: Path, entities: Path | None, images: int = 5000, channels: int = 6) -> Iterator[Row]:
    """The peak of scoring maps over 24 x 24 cells, and how little of it grows with the export, for 1 / 10 of it."""
    truth, maps = folder / "memory", folder / "memory.npz"
    names = write_entities(truth, images, entities)
    score = ("score", maps, "--gt", truth, "--no-cache", "--overlap", "iof")
    peaks, sizes = [], []
    for count in (images // 10, images):
        write_export(maps, truth, names[:count], grid=(24, 24), channels=channels)
        peaks.append(peak_bytes(*score, "--jobs", "1"))
        sizes.append(maps.stat().st_size)
    both = peak_bytes(*score)
    maps.unlink()
    shutil.rmtree(truth)
    work = f"peak memory, {images * SENTENCES:,} captions x 576 cells x {channels} channels, {megabytes(sizes[1])}"
    yield Row(work, megabytes(both), "400 MB above the interpreter", "400 MB", both / 400e6, at_most(1))
    more, larger = peaks[1] - peaks[0], sizes[1] - sizes[0]
    yield Row(
        "- growth of memory, one process",
        megabytes(more),
        "growth of the export",
        megabytes(larger),
        more / larger,
        at_most(0.01),
    )
