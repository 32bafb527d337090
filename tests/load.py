"""Trials of the command under load: many runs at once, full disks, processes killed at random, schedulers lost.

`python tests/load.py --trials 200` does so many trials of each kind, says what went wrong in which of them, and exits
with 1 if anything did; `--kinds` takes some kinds alone. A few trials are among the tests (`test_load.py`). After each
trial three things must hold: every file that is there is whole and what a quiet run writes, nothing else is left
behind, and exit codes say what happened.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from clusters import Cluster, end  # noqa: E402 - after the path is set
from commands import environment  # noqa: E402
from worlds import make_world  # noqa: E402

from attneval import Options, Protocol, score  # noqa: E402
from attneval.errors import AttnevalError  # noqa: E402
from attneval.groundtruth.index import Index  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IMAGES = 240
"""Images of the annotations: enough for an index of them to be kept."""
RUNS = 24
DISK = 3 * 2**20
"""Bytes of a disk that fills up: a few results and an index."""
MOUNT, UMOUNT = (shutil.which(name) or "" for name in ("mount", "umount"))
BLOCKS = 24
"""Blocks that a cluster gets."""
LONGEST = 600
"""Seconds after which a run is taken to hang."""


@dataclass
class Stage:
    """What all trials share: three exports, their annotations, and what quiet runs write.

    Attributes:
        folder: Where everything is.
        quiet: The result of each export, as a quiet run writes it.
        seconds: How long a quiet run takes.
        cluster_seconds: How long one on a cluster takes.
        ends: What is ended with it.
    """

    folder: Path
    quiet: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0
    cluster_seconds: float = 5.0
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @functools.cached_property
    def cluster(self) -> Cluster:
        """Three workers, of which trials kill and replace some."""
        (self.folder / "cluster").mkdir()
        return self.ends.enter_context(Cluster(self.folder / "cluster", 3))

    def score_here(self, options: Options) -> str:
        """Score the second export in this process."""
        maps, truth = self.folder / "maps1.npz", self.folder / "entities1"
        return score(maps, truth, protocol=Protocol(missing="skip"), options=options).to_json()

    @functools.cached_property
    def quiet_here(self) -> str:
        """Its result in quiet: products of matrices may have more threads here than in a command."""
        return self.score_here(Options(resamples=50, cache=False))

    @classmethod
    def built(cls, folder: Path, images: int = IMAGES) -> Stage:
        """Write the inputs, and score them in quiet."""
        stage = cls(folder)
        for number in range(3):
            world = make_world(number, images=images, captions=2)
            world.packed(folder / f"maps{number}.npz")
            world.entities(folder / f"entities{number}")
            start = time.monotonic()
            run = stage.start(number, folder / f"quiet{number}.json", folder / "quiet-cache")
            code, text = finished(run)
            if code:
                raise AssertionError(text)
            stage.seconds = time.monotonic() - start
            stage.quiet[f"maps{number}"] = (folder / f"quiet{number}.json").read_bytes()
        return stage

    def start(self, number: int, out: Path, cache: Path, *flags: str) -> subprocess.Popen[bytes]:
        """Start to score an export."""
        command = [sys.executable, "-m", "attneval", "score", f"maps{number}.npz", "--gt", f"entities{number}"]
        command += ["--missing", "skip", "--resamples", "50", "-q", "-f", "csv", "-o", str(out), *flags]
        variables = environment(PYTHONPATH=str(ROOT), XDG_CACHE_HOME=str(cache))
        return subprocess.Popen(
            command, cwd=self.folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def breaches(self, out: Path, cache: Path, *, drafts: bool = False) -> Iterator[str]:
        """List what must not be: files that are not whole, or nobody's.

        Args:
            out: Where results are.
            cache: Where indexes are.
            drafts: Whether a process may have been killed while it named its file.
        """
        for path in sorted(out.iterdir()):
            if path.suffix == ".part" and drafts:
                continue
            if path.read_bytes() != self.quiet.get(path.stem.partition("-")[0]):
                yield f"{path.name} is not what a quiet run writes"
        for path in sorted((cache / "attneval").iterdir()) if (cache / "attneval").is_dir() else ():
            if path.suffix == ".part" and drafts:
                continue
            if path.suffix != ".npz" or Index.load(path) is None:
                yield f"index {path.name} cannot be read"


def finished(run: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for a run: its exit code, and what it says on stderr."""
    try:
        _, err = run.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        run.kill()
        return 999, f"it hangs {run.communicate()[1]!r}"
    return run.returncode, err.decode("utf-8", "replace")


def refusal(code: int, text: str, says: str) -> str:
    """What is wrong with a run that should have been refused in one line; empty if nothing is."""
    right = code == 2 and text.startswith("error: ") and text.count("\n") == 1 and says in text
    return "" if right else f"exit code {code}: {text[:300]!r}"


def together(stage: Stage, folder: Path, chance: random.Random, runs: int = RUNS) -> Iterator[str]:
    """Many runs share one cache and one folder, some of them one file."""
    out, cache = fresh(folder)
    started = []
    for k in range(runs):
        number, flags = k % 3, chance.choice([(), ("--jobs", "2"), ("--items",), ("--jobs", "3")])
        name = f"maps{number}-shared.json" if "--items" not in flags and k % 2 else f"maps{number}-{k}.json"
        started.append(stage.start(number, out / name, cache, *flags))
    for code, text in map(finished, started):
        if code or text:
            yield f"exit code {code}: {text[:300]!r}"
    for path in out.glob("*.items.npz"):
        path.unlink()
    for path in out.glob("*.json"):
        # Items add their digest, and nothing else.
        if b'"items_sha256": "' in path.read_bytes():
            path.unlink()
    yield from stage.breaches(out, cache)


def killed(stage: Stage, folder: Path, chance: random.Random, runs: int = 6) -> Iterator[str]:
    """Runs are killed, whole or one process of them, beside others that are not."""
    out, cache = fresh(folder)
    started = [
        (number := k % 3, stage.start(number, out / f"maps{number}-{k % 4}.json", cache, "--jobs", str(1 + k % 3)))
        for k in range(runs)
    ]
    victims = chance.sample(range(runs), max(runs // 2, 1))
    begun = time.monotonic()
    moments = sorted((chance.uniform(0, 2 * stage.seconds), k) for k in victims)
    fallen = {}
    for moment, k in moments:
        time.sleep(max(begun + moment - time.monotonic(), 0))
        run = started[k][1]
        children = children_of(run.pid)
        if children and chance.random() < 0.5:
            fallen[k] = "a child"
            kill(chance.choice(children))
        else:
            fallen[k] = "itself"
            run.kill()
    for k, (_, run) in enumerate(started):
        code, text = finished(run)
        whole = fallen.get(k) == "itself" and code in {0, -signal.SIGKILL}
        lamed = fallen.get(k) == "a child" and (code == 0 or not refusal(code, text, "was killed"))
        if not (whole or lamed or (code == 0 and not text)):
            yield f"exit code {code} with {fallen.get(k, 'nobody')} killed: {text[:300]!r}"
    yield from stage.breaches(out, cache, drafts=True)
    code, text = finished(stage.start(0, out / "maps0-after.json", cache))
    if code or text:
        yield f"afterwards exit code {code}: {text[:300]!r}"
    yield from stage.breaches(out, cache, drafts=True)


def full(stage: Stage, folder: Path, chance: random.Random, runs: int = 4) -> Iterator[str]:
    """The disk of results and cache fills up while runs are at work; what was there before stays."""
    with small_disk(folder) as disk:
        if disk is None:
            return  # none can be mounted, as `can_mount` says
        out, cache = fresh(disk)
        for number in range(2):
            (out / f"maps{number}-0.json").write_bytes(stage.quiet[f"maps{number}"])
        started = [stage.start(k % 3, out / f"maps{k % 3}-{k // 2}.json", cache) for k in range(runs)]
        time.sleep(chance.uniform(0, 1.5 * stage.seconds))
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        for code, text in map(finished, started):
            if not (code == 0 and not text) and (wrong := refusal(code, text, "cannot be written (No space left")):
                yield wrong
        yield from stage.breaches(out, cache)
        filler.unlink()
        code, text = finished(stage.start(2, out / "maps2-after.json", cache))
        if code or text:
            yield f"afterwards exit code {code}: {text[:300]!r}"
        yield from stage.breaches(out, cache)


def workers(stage: Stage, folder: Path, chance: random.Random) -> Iterator[str]:
    """Workers of a cluster are killed while it scores, and replaced: one after some blocks, or two."""
    cluster = stage.cluster
    moments = sorted(chance.sample(range(1, BLOCKS), chance.randint(1, 2)))

    def on_progress(done: int, total: int) -> None:
        while moments and done * BLOCKS >= moments[0] * total:
            moments.pop(0)
            cluster.replace(chance.randrange(len(cluster.workers)))

    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    options = Options(resamples=50, jobs=BLOCKS, engine="dask", scheduler=cluster.address, progress=on_progress)
    try:
        text = stage.score_here(options)
    except AttnevalError as error:
        yield f"refused: {error}"
        return
    if text != stage.quiet_here:
        yield "the result is not that of a quiet run"


def command_workers(stage: Stage, folder: Path, chance: random.Random) -> Iterator[str]:
    """The same at any moment of the command, its start and its end included."""
    out, cache = fresh(folder)
    cluster = stage.cluster
    flags = ("--engine", "dask", "--scheduler", cluster.address, "--jobs", str(BLOCKS))
    begun = time.monotonic()
    run = stage.start(1, out / "maps1-0.json", cache, *flags)
    for _ in range(chance.randint(1, 2)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(chance.uniform(0, stage.cluster_seconds / 2))
        cluster.replace(chance.randrange(len(cluster.workers)))
    code, text = finished(run)
    stage.cluster_seconds = time.monotonic() - begun
    if code or text:
        yield f"exit code {code}: {text[:300]!r}"
    if not (out / "maps1-0.json").exists():
        yield "there is no result"
    yield from stage.breaches(out, cache)


def scheduler(stage: Stage, folder: Path, chance: random.Random) -> Iterator[str]:
    """The scheduler is killed: the run is refused, or was done before."""
    out, cache = fresh(folder)
    (folder / "cluster").mkdir()
    with Cluster(folder / "cluster", 1) as cluster:
        flags = ("--engine", "dask", "--scheduler", cluster.address, "--jobs", str(BLOCKS))
        run = stage.start(2, out / "maps2-0.json", cache, *flags)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(chance.uniform(0, 1.2 * stage.cluster_seconds))
        end(cluster.scheduler)
        code, text = finished(run)
    there = (out / "maps2-0.json").exists()
    if (code == 0) != there or (code != 0 and (wrong := refusal(code, text, "the scheduler "))):
        yield f"{'a' if there else 'no'} result, {wrong if code else 'exit code 0'}"
    yield from stage.breaches(out, cache)


KINDS: dict[str, Callable[[Stage, Path, random.Random], Iterator[str]]] = {
    "together": together,
    "killed": killed,
    "full": full,
    "workers": workers,
    "command-workers": command_workers,
    "scheduler": scheduler,
}


def fresh(folder: Path) -> tuple[Path, Path]:
    """Empty folders for results and for indexes."""
    made = folder / "out", folder / "cache"
    for path in made:
        path.mkdir()
    return made


class small_disk:  # noqa: N801 - used as a function
    """A disk of a few megabytes, where one can be mounted; None elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._disk = folder / "disk"

    def __enter__(self) -> Path | None:
        self._disk.mkdir()
        command = [MOUNT, "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(self._disk)]
        self._mounted = bool(MOUNT) and subprocess.run(command, check=False, capture_output=True).returncode == 0
        return self._disk if self._mounted else None

    def __exit__(self, *_: object) -> None:
        if self._mounted:
            subprocess.run([UMOUNT, str(self._disk)], check=True)


def can_mount() -> bool:
    """Whether there can be a small disk."""
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name)) as disk:
        return disk is not None


def children_of(process: int) -> list[int]:
    """The child processes of a process."""
    try:
        return [int(text) for text in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def kill(process: int) -> None:
    """Kill a process, if it is still there."""
    try:
        os.kill(process, signal.SIGKILL)
    except OSError:
        return


def trial(kind: str, stage: Stage, seed: int) -> list[str]:
    """Do one trial: what went wrong in it."""
    with tempfile.TemporaryDirectory(prefix=f"attneval-{kind}-", dir=stage.folder) as name:
        return list(KINDS[kind](stage, Path(name), random.Random(seed)))  # noqa: S311 - any will do


def main() -> int:
    """Do the trials that are asked for."""
    parser = argparse.ArgumentParser(prog="python tests/load.py", description=__doc__)
    parser.add_argument("--trials", type=int, default=20, help="how many of each kind (default %(default)s)")
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0, help="of the first trial (default %(default)s)")
    chosen = parser.parse_args()
    wrong: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="attneval-load-") as name:
        stage = Stage.built(Path(name))
        for kind in chosen.kinds:
            for seed in range(chosen.seed, chosen.seed + chosen.trials):
                for breach in trial(kind, stage, seed):
                    wrong[kind] += 1
                    say(f"{kind}, seed {seed}: {breach}")
                if seed % 10 == 9:
                    say(f"{kind}: {seed - chosen.seed + 1} done")
            trials = 0 if kind == "full" and not can_mount() else chosen.trials
            say(f"{kind}: {trials} trials, {wrong[kind]} breaches")
        stage.ends.close()
    return 1 if wrong.total() else 0


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what this is for


if __name__ == "__main__":
    sys.exit(main())
