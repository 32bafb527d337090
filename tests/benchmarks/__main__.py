"""`python -m tests.benchmarks`: every promise about speed and memory, measured, as one table."""

from __future__ import annotations

import argparse
import compileall
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import beside, cluster, commands, disk, heads, kernels, relevance
from .timing import CLOCKS, RUNS, clock, processor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .timing import Row

PACKAGE = Path(__file__).parents[2] / "attneval"
REAL = Path(__file__).parents[3] / "shared" / "data" / "flickr30k_entities"
ENTITIES = REAL if REAL.is_dir() else None
"""Real annotations, where they are beside the repository; otherwise annotations are made up."""
PEERS = ("scan", *beside.PEERS)
"""The measurements beside whole evaluators of others."""
HEAD = ("work", "ours", "against", "theirs", "ratio", "must be", "", "peak memory, ours / theirs")


def main() -> int:
    """Measure what is asked for, a row as soon as it is known.

    Returns:
        0 if every row keeps to its bound, 1 if one does not.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which measurements; all by default")
    parser.add_argument("--peers", action="store_true", help="the rows beside the evaluators of others")
    parser.add_argument("--runs", type=int, default=RUNS, help="rounds of each comparison (default %(default)s)")
    parser.add_argument(
        "--entities", type=Path, default=ENTITIES, help="a directory of real annotations (default %(default)s)"
    )
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="processor time on a busy machine")
    chosen = parser.parse_args()
    clock[0] = chosen.clock
    # An installed package is compiled; one that was just changed is not, which would be measured, too.
    compileall.compile_dir(PACKAGE, quiet=1)
    with tempfile.TemporaryDirectory(prefix="attneval-benchmarks-") as name:
        # Indexes of annotations are measured, and belong with what is thrown away.
        os.environ["XDG_CACHE_HOME"] = str(Path(name, "cache"))
        measurements = known(Path(name), chosen.entities, chosen.runs)
        unknown = set(chosen.names) - set(measurements)
        if unknown:
            parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(measurements)}")
        say(
            f"{processor()}; annotations: {chosen.entities or 'made up'}; {chosen.clock} time, "
            f"medians of {chosen.runs} runs or more\n"
        )
        say(line(HEAD))
        say(line(["---"] * len(HEAD)))
        every = [name for name in measurements if (name in PEERS) == chosen.peers]
        met = [report(row) for key in chosen.names or every for row in measurements[key]()]
    return 0 if all(met) else 1


def known(folder: Path, entities: Path | None, runs: int) -> dict[str, Callable[[], Iterable[Row]]]:
    """The measurements by name."""
    return {
        "startup": lambda: commands.startup(3 * runs),
        "score": lambda: commands.score(folder, entities, runs),
        "patches": lambda: commands.patches(folder, entities, runs),
        "linear": lambda: commands.linear(folder, entities, runs),
        "recall": lambda: kernels.recall(runs),
        "relevance": lambda: relevance.sets(folder),
        "overlap": lambda: kernels.overlap(runs),
        "sweep": lambda: kernels.thresholds(runs),
        "bootstrap": lambda: kernels.bootstrap(runs),
        "entities": lambda: disk.entities(folder, entities, runs),
        "heads": lambda: heads.channels(folder, entities, runs),
        "cluster": lambda: cluster.cluster(folder, entities, runs),
        "memory": lambda: commands.memory(folder, entities),
        "writer": lambda: disk.writer(folder, entities, runs),
        "scan": lambda: beside.scan(folder, runs),
        **{name: partial(beside.phrases, name, folder, entities, runs) for name in beside.PEERS},
    }


def report(row: Row) -> bool:
    """Print a row and say whether it keeps to its bound."""
    ratio = f"{row.ratio:.3g}"
    verdict = (str(row.must), "met" if row.met else "MISSED") if row.must and row.must.bound else ("-", "")
    say(line((row.work, row.ours, row.peer, row.theirs, ratio, *verdict, row.memory)))
    return row.met


def say(text: str) -> None:
    """Print a line at once, since the next one may take minutes."""
    print(text, flush=True)  # noqa: T201 - the table is what this is for


def line(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
