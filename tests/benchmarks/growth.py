"""`python -m tests.benchmarks.growth`: how time and memory grow with captions, regions and channels, and by what power.

Whole commands in one process, maps alone. The power is the slope of a line through the logarithms of what a size takes
beyond a single image; what a command takes to start is no part of it. That between the two largest sizes stands beside
it, since what does not grow at all, such as annotations with regions, makes the slope less.
"""

from __future__ import annotations

import argparse
import math
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .__main__ import ENTITIES, line, say
from .made import SENTENCES, write_entities, write_export
from .timing import CLOCKS, attneval, clock, duration, megabytes, processor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST = 1.05
"""The power that nothing may exceed; the logarithm of the number of regions, by which they are sorted, left aside."""
STEADY = 3
"""Times as many runs of what is short."""
IMAGES_OF_A_SECOND = 500
HEAD = ("what grows", "size", "export", "time", "beyond one image", "peak memory")


@dataclass(frozen=True)
class Growing:
    """Something that grows.

    Attributes:
        name: What.
        sizes: How many of it.
        images: How many images an export of a size has.
        about: The other arguments of `write_export`.
        logarithm: Whether time may also grow by the logarithm of the size.
    """

    name: str
    sizes: tuple[int, ...]
    images: Callable[[int], int]
    about: Callable[[int], dict[str, Any]]
    logarithm: bool = False


GROWING = {
    "captions": Growing(
        "captions, 9 regions each",
        (1_000, 10_000, 100_000, 1_000_000),
        lambda size: size // SENTENCES,
        lambda _: {"regions": 9},
    ),
    "regions": Growing(
        "regions, 1,000 captions",
        (36, 144, 576, 1_440, 2_880),
        lambda _: 200,
        lambda size: {"grid": (36, size // 36)},
        logarithm=True,
    ),
    # Up to 16 channels each is scored in full, and of more the columns of the heads table.
    "channels": Growing(
        "channels in full, 250 captions x 36 regions",
        (1, 4, 8, 16),
        lambda _: 50,
        lambda size: {"channels": size, "dtype": "float16"},
    ),
    "heads": Growing(
        "channels beyond, 250 captions x 36 regions",
        (32, 128, 512, 1_024),
        lambda _: 50,
        lambda size: {"channels": size, "dtype": "float16"},
    ),
}


def main() -> int:
    """Measure what is asked for.

    Returns:
        0 if no power is too large, 1 if one is.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(GROWING)}; all by default")
    parser.add_argument("--most", type=int, default=10**6, help="leave out larger sizes (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each size, but for the largest (%(default)s)")
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="processor time on a busy machine")
    chosen = parser.parse_args()
    clock[0] = chosen.clock
    unknown = set(chosen.names) - set(GROWING)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(GROWING)}")
    say(f"{processor()}; {chosen.clock} time, medians of {chosen.runs} runs\n")
    say(line(HEAD))
    say(line(["---"] * len(HEAD)))
    powers = [power for name in chosen.names or GROWING for power in measured(GROWING[name], chosen.most, chosen.runs)]
    return 0 if all(power <= MOST for power in powers) else 1


def measured(growing: Growing, most: int, runs: int) -> list[float]:
    """Print the rows of something that grows, and return the powers of time and of memory."""
    sizes = [size for size in growing.sizes if size <= most]
    with tempfile.TemporaryDirectory(prefix="attneval-growth-") as name:
        least, _, floor = taken(Path(name), 1, growing.about(sizes[0]), STEADY * runs)
        seconds: list[float] = []
        peaks: list[float] = []
        for size in sizes:
            images = growing.images(size)
            times = 1 if size >= 10**6 else runs if images > IMAGES_OF_A_SECOND else STEADY * runs
            time, export, peak = taken(Path(name), images, growing.about(size), times)
            seconds.append((time - least) / (math.log(size) if growing.logarithm else 1))
            peaks.append(peak - floor)
            cells = (duration(time), duration(time - least), megabytes(peak))
            say(line((growing.name, f"{size:,}", megabytes(export), *cells)))
    powers = [power(sizes, values) for values in (seconds, peaks)]
    last = [power(sizes[-2:], values[-2:]) for values in (seconds, peaks)]
    aside = ", its logarithm aside" if growing.logarithm else ""
    told = [f"{whole:.2f}, at the end {end:.2f}" for whole, end in zip(powers, last, strict=True)]
    say(line((f"- power of {growing.name.split(',')[0]}{aside}", "", "", told[0], "", told[1])))
    return powers


def power(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The slope of the line of least squares through the logarithms of sizes and values; values below 0 say nothing."""
    pairs = [(math.log(size), math.log(value)) for size, value in zip(sizes, values, strict=True) if value > 0]
    x, y = np.array(pairs).reshape(-1, 2).T
    return float(np.polyfit(x, y, 1)[0]) if len(pairs) > 1 else math.nan


def taken(folder: Path, images: int, about: dict[str, Any], runs: int) -> tuple[float, int, int]:
    """What scoring an export of some images takes: seconds, the export's bytes, and bytes at the peak."""
    truth, maps = folder / "entities", folder / "maps.npz"
    write_export(maps, truth, write_entities(truth, images, ENTITIES), **about)
    ours, now = attneval("score", maps, "--gt", truth, "--no-cache", "--jobs", "1", "-q"), CLOCKS[clock[0]]
    seconds = []
    for _ in range(runs):
        start = now()
        ours()
        seconds.append(now() - start)
    found = statistics.median(seconds), maps.stat().st_size, ours.peak()
    shutil.rmtree(truth)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
