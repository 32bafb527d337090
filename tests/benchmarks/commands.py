"""The command as a user runs it, in processes of its own."""

from __future__ import annotations

import functools
import shutil
import statistics
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from .made import SENTENCES, write_entities, write_export
from .peers import UNAVOIDABLE
from .timing import Row, at_most, compared, duration, megabytes, peak_bytes, python, rounds, run

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTNEVAL = Path(sysconfig.get_path("scripts"), "attneval")


def startup(runs: int) -> Iterator[Row]:
    """Help and version."""
    for option in ("--help", "--version"):
        yield compared(
            f"attneval {option}",
            functools.partial(run, ATTNEVAL, option),
            "python -c 'import click'",
            lambda: python("import click"),
            at_most(2),
            runs,
        )


def score(folder: Path, entities: Path | None, runs: int, images: int = 1000) -> Iterator[Row]:
    """A whole scoring, retrieval included: as one types it, and as the first of its annotations."""
    truth, maps = folder / "score", folder / "score.npz"
    write_export(maps, truth, write_entities(truth, images, entities), similarity=True)
    typed = (ATTNEVAL, "score", "--attn", maps, "--gt", truth)
    works = (
        (f"attneval score, {images * SENTENCES:,} captions x 36 regions", (), at_most(2)),
        ("- without the index of annotations that the run before has left", ("--no-cache",), None),
    )
    for work, flags, must in works:
        yield compared(
            work,
            functools.partial(run, *typed, *flags),
            "its unavoidable parts",
            lambda: python(UNAVOIDABLE, maps, truth),
            must,
            3 * runs,
        )


def linear(folder: Path, entities: Path | None, runs: int, images: tuple[int, int] = (1000, 5000)) -> Iterator[Row]:
    """How time grows with captions: start-up is what a single image takes."""
    truth = folder / "linear"
    names = write_entities(truth, images[1], entities)
    sizes = (1, *images)
    maps = [folder / f"linear-{size}.npz" for size in sizes]
    for path, size in zip(maps, sizes, strict=True):
        write_export(path, truth, names[:size])
    tasks = [functools.partial(run, ATTNEVAL, "score", path, "--gt", truth, "--no-cache") for path in maps]
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
