"""Whole commands beside the evaluators of others, from the same files to the same numbers.

The inner seconds of an evaluator are those after its imports; ours is always the whole command.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval import Options, Protocol, score
from attneval.config.presets import PRESETS

from .kernels import PER_IMAGE, agree
from .made import SENTENCES, write_entities, write_export
from .timing import Row, at_least, attneval, bare_bytes, between, clock, megabytes, rounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attneval import Result

    from .timing import Command

ROOT = Path(__file__).parents[2]
IMAGES = 1000
"""Images of the test split of Flickr30k, on which these evaluators are run."""


@dataclass(frozen=True)
class Variant:
    """The same files, with other work.

    Attributes:
        title: What is measured.
        function: What the evaluator does.
        flags: More flags of ours.
        inner: What the ratio must reach, as of `Peer`.
    """

    title: str
    function: str = "evaluate"
    flags: tuple[str, ...] = ()
    inner: float = 0


@dataclass(frozen=True)
class Peer:
    """An evaluator beside a preset.

    Attributes:
        title: What is measured.
        module: The evaluator's module.
        needs: A package that it needs beyond this project's.
        whole: What the ratio of whole processes must reach; 0 for nothing.
        inner: What the ratio of its inner seconds to our whole process must reach.
        grid: Whether its maps are of 14 x 14 cells, not of 36 regions.
        protocol: How it is scored here.
        flags: The same as flags.
        same: Each of its values and ours, with how far they may be apart.
        agreeing: The function whose values are compared, where the evaluator has a rule that is not ours.
        prepared: Whether it reads files that are made once of annotations, before anything is timed.
        variants: More rows of inner seconds.
    """

    title: str
    module: str
    needs: str
    whole: float
    inner: float
    grid: bool
    protocol: Protocol
    flags: tuple[str, ...]
    same: dict[str, tuple[str, float]] = field(default_factory=dict)
    agreeing: str = "evaluate"
    prepared: bool = False
    variants: tuple[Variant, ...] = ()

    @property
    def functions(self) -> list[str]:
        """What the evaluator is asked for, each once."""
        return list(dict.fromkeys(["evaluate", *(own.function for own in self.variants)]))


EXACT = 1e-9
CENTER = Protocol(unit="phrase", overlap="center")
PEERS = {
    "mdetr": Peer(
        "MDETR's recall, any box",
        "mdetr",
        "torch",
        12,
        5,
        False,
        PRESETS["mdetr-any"].protocol,
        ("--preset", "mdetr-any"),
        {name: (name, EXACT) for name in ("r@1", "r@5", "r@10", "coverage")},
    ),
    "info-ground": Peer(
        "info-ground's recall and pointing",
        "info_ground",
        "torch",
        0,
        8,
        False,
        PRESETS["info-ground"].protocol,
        ("--preset", "info-ground"),
        {name: (name, EXACT) for name in ("r@1", "r@5", "r@10", "pointing")},
        prepared=True,
    ),
    "multigrounding": Peer(
        "MultiGrounding's evaluator, which draws boxes, too",
        "multi_grounding",
        "scipy",
        0,
        8,
        True,
        PRESETS["multigrounding"].protocol,
        ("--preset", "multigrounding"),
        # The mass is that of the enlarged map there, and of cells here.
        {"pointing": ("pointing", EXACT), "correctness": ("area_mass", 0.02)},
        "evaluate_by_shares",
        prepared=True,
        variants=(
            Variant("- pointing and correctness alone, no boxes drawn", "evaluate_without_boxes", inner=8),
            Variant(
                "- ours enlarges and draws a box from each map, too",
                flags=("--enlarge", "bilinear", "--box-from", "component:0.3"),
            ),
        ),
    ),
    "quantus": Peer(
        "Quantus, five metrics and AUC",
        "quantus",
        "sklearn",
        0,
        8,
        True,
        CENTER,
        ("--unit", "phrase", "--overlap", "center"),
        # Whether the centre of a cell that lies on an edge is inside is a matter of rounding; ties count by their
        # expected value here and by sort order there.
        {name: (name, 1e-4) for name in ("mass", "auc")}
        | {name: (name, 2e-3) for name in ("pointing", "rank_accuracy")},
    ),
    "gvd": Peer(
        "GVD's localisation",
        "gvd",
        "torch",
        0,
        10,
        False,
        PRESETS["gvd"].protocol,
        ("--preset", "gvd"),
        {name: (name, EXACT) for name in ("class_pointing", "pointing")},
        prepared=True,
    ),
}


class Evaluator:
    """An evaluator in a process of its own, as a task that keeps what each run told.

    Args:
        name: Its module, or a function of it.
        files: What it reads.
    """

    def __init__(self, name: str, *files: Path) -> None:
        self.told: list[dict[str, Any]] = []
        self._words = [sys.executable, "-m", "tests.benchmarks.evaluators", name, *map(str, files)]

    def __call__(self) -> None:
        """Run it to its end."""
        done = subprocess.run(self._words, check=True, stdout=subprocess.PIPE, cwd=ROOT)
        self.told.append(json.loads(done.stdout))

    @property
    def inner(self) -> list[float]:
        """The seconds of each run after its imports."""
        return [own["cpu" if clock[0] == "cpu" else "seconds"] for own in self.told]

    @property
    def peak(self) -> int:
        """Bytes at the peak of its last run, above an interpreter that does nothing."""
        return int(self.told[-1]["peak"]) - bare_bytes()


def phrases(name: str, folder: Path, entities: Path | None, runs: int, images: int = IMAGES) -> Iterator[Row]:
    """The rows of an evaluator of phrases."""
    peer = PEERS[name]
    if importlib.util.find_spec(peer.needs) is None:
        yield missing(peer.title, peer.needs)
        return
    truth, maps = folder / f"{name}-entities", folder / f"{name}.npz"
    names = write_entities(truth, images, entities)
    write_export(maps, truth, names, grid=(14, 14) if peer.grid else None)
    given = truth
    if peer.prepared:
        given = folder / f"{name}-prepared"
        Evaluator(f"{peer.module}.prepare", maps, truth, given)()
    agreeing = Evaluator(f"{peer.module}.{peer.agreeing}", maps, given)
    agreeing()
    result = score(maps, truth, protocol=peer.protocol, options=QUICK)
    compare(peer.same, agreeing.told[-1]["values"], result, peer.title)
    work = f"{peer.title}, {images * SENTENCES:,} captions"
    words: tuple[str | Path, ...] = ("score", maps, "--gt", truth, *peer.flags)
    theirs = {function: Evaluator(f"{peer.module}.{function}", maps, given) for function in peer.functions}
    others = [(own.title, attneval(*words, *own.flags), theirs[own.function], own.inner) for own in peer.variants]
    yield from beside(work, attneval(*words), theirs["evaluate"], (peer.whole, peer.inner), runs, others)
    shutil.rmtree(truth)
    if peer.prepared:
        shutil.rmtree(given)
    maps.unlink()


QUICK = Options(resamples=0)


def scan(folder: Path, runs: int, images: int = 5000) -> Iterator[Row]:
    """The rows of evaluators of the SCAN family: five folds of a fifth of the images each, and everything."""
    if importlib.util.find_spec("torch") is None:
        yield missing("SCAN's evaluation", "torch")
        return
    captions = images * PER_IMAGE
    scores = np.random.default_rng(0).standard_normal((images, captions), np.float32)
    scores[np.repeat(np.arange(images), PER_IMAGE), np.arange(captions)] += 3
    matrix = folder / "scan.npy"
    np.save(matrix, scores)
    del scores
    for title, function, folds, bound in (
        (f"SCAN's evaluation, {images // 5:,} images x 5 folds", "evaluate_folds", 5, 4),
        (f"SCAN's evaluation, {images:,} x {captions:,}", "evaluate", 1, 8),
    ):
        theirs = Evaluator(f"scan.{function}", matrix)
        theirs()
        values = theirs.told[-1]["values"]
        result = score(similarity=[matrix], protocol=Protocol(folds=folds), options=QUICK)
        compare({name: (name, EXACT) for name in values if "_r@" in name}, values, result, title)
        ours = attneval("score", "--similarity", matrix, "--folds", str(folds))
        yield from beside(title, ours, theirs, (bound, 0), runs)
    matrix.unlink()


def compare(same: dict[str, tuple[str, float]], values: dict[str, float], result: Result, what: str) -> None:
    """Stop if ours and the evaluator's values are farther apart than they may be."""
    for theirs, (ours, apart) in same.items():
        value = result[ours]
        agree(value is not None and abs(value - values[theirs]) <= apart, f"{what}, {theirs} {values[theirs]} {value}")


def beside(
    work: str,
    ours: Command,
    theirs: Evaluator,
    bounds: tuple[float, float],
    runs: int,
    others: Sequence[tuple[str, Command, Evaluator, float]] = (),
) -> Iterator[Row]:
    """Run both in turns: the row of whole processes, and that of the evaluator's inner seconds.

    Args:
        work: What is measured.
        ours: Our command.
        theirs: The evaluator.
        bounds: What both ratios must reach.
        runs: Rounds.
        others: Titles, commands, evaluators and bounds of more rows of inner seconds; each task is run once a round.
    """
    whole, inner = bounds
    pairs = [("- the same", ours, theirs, inner), *others]
    tasks: list[Command | Evaluator] = list(dict.fromkeys(command for _, command, _, _ in pairs))
    tasks += dict.fromkeys(evaluator for _, _, evaluator, _ in pairs)
    taken = dict(zip(tasks, rounds(tasks, runs), strict=True))
    memory = f"{megabytes(ours.peak())} / {megabytes(theirs.peak)}"
    yield between(work, taken[ours], "its whole process", taken[theirs], at_least(whole), memory)
    for title, command, evaluator, bound in pairs:
        yield between(title, taken[command], "its inner seconds", evaluator.inner[-runs:], at_least(bound))


def missing(title: str, package: str) -> Row:
    """A row that cannot be measured here."""
    return Row(f"{title}: not measured, {package} is not installed", "", "", "", math.nan, None)
