"""`python -m tests.benchmarks.scale`: how time and memory grow with captions, up to a million."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from .__main__ import ENTITIES, line, say
from .made import SENTENCES, write_entities, write_export
from .timing import ATTNEVAL, duration, megabytes, peak_bytes, run

SIZES = (5_000, 25_000, 100_000, 1_000_000)
HEAD = ("captions", "images", "export", "one process", "per caption", "two processes", "peak memory")


def main() -> None:
    """Score exports of growing size, once each; annotations are parsed anew every time."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("captions", nargs="*", type=int, default=SIZES, help="how many captions (default %(default)s)")
    chosen = parser.parse_args()
    say(line(HEAD))
    say(line(["---"] * len(HEAD)))
    for captions in chosen.captions:
        with tempfile.TemporaryDirectory(prefix="attneval-scale-") as name:
            say(line(measured(Path(name), captions // SENTENCES)))


def measured(folder: Path, images: int) -> list[str]:
    """A row of the table: memory is that of both processes, above an interpreter that does nothing."""
    truth, maps, result = folder / "entities", folder / "maps.npz", folder / "result.json"
    write_export(maps, truth, write_entities(truth, images, ENTITIES))
    score = ("score", maps, "--gt", truth, "--no-cache", "-o", result)
    peak = peak_bytes(*score)
    alone, shared = (seconds(*score, "--jobs", jobs) for jobs in "12")
    captions = images * SENTENCES
    size = megabytes(maps.stat().st_size)
    each = f"{alone / captions * 1e6:.0f} us"
    return [f"{captions:,}", f"{images:,}", size, duration(alone), each, duration(shared), megabytes(peak)]


def seconds(*arguments: str | Path) -> float:
    """How long `attneval ARGUMENTS` takes."""
    start = time.perf_counter()
    run(ATTNEVAL, *arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
