"""Faults of the system while files are written: the process is killed, the disk is full, memory is short."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import inputs
from .laws import listing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from .inputs import Run
    from .laws import Listing
    from .server import Outcome, Server

Found = tuple[str, str, str, list[str]]
"""An outcome, the command, what was done to it, and the laws that it broke."""


@dataclass(frozen=True)
class Fault:
    """Something that happens to a command.

    Attributes:
        files: The name of what it works on.
        build: Write that into an empty folder.
        run: Run a command, have it happen, and say what was broken.
    """

    files: str
    build: Callable[[Path, Run], object]
    run: Callable[[Server, Path, Path, Random], Found]


WRITERS: dict[str, tuple[str, ...]] = {
    "score maps.npz --gt entities -q --resamples 9 --overlap iof --items -o r.json -o r.md": (
        "r.items.npz",
        "r.channels.npz",
        "r.md",
        "r.json",
    ),
    "score maps.npz --gt entities -q --resamples 9 --overlap iof -o r.json": ("r.channels.npz", "r.json"),
    "pack other.npz -o packed.npz": ("packed.npz",),
    "merge r.json -o merged.json -f json": ("merged.channels.npz", "merged.json"),
    "gate r.json --baseline base.json --update-baseline": ("base.channels.npz", "base.json"),
    "report r.json -o x.html": ("x.html",),
    "compare base.json r.json -o x.csv -f json --resamples 9 --trials 20": ("x.csv",),
    "show maps.npz --gt entities --image 20 -o x.svg": ("x.svg",),
    "show maps.npz --gt entities --image 20 -o x.png": ("x.png",),
    "inspect r.json -o shown --images photos": (),
}
"""Commands that write files, and in which order these take their places."""


def written(folder: Path, run: Run) -> None:
    """Write what the commands read, and what they are going to replace."""
    inputs.results(folder, run)
    # What stands there is of another export, so that files of two runs can be told apart.
    for name in ("json", "items.npz", "channels.npz"):
        new, old = folder / f"r.{name}", folder / f"base.{name}"
        if new.exists():
            new.rename(folder / "between")
            old.rename(new)
            (folder / "between").rename(old)
    for name in ("packed.npz", "merged.json", "x.html", "x.csv", "x.svg", "x.png", "r.md"):
        (folder / name).write_bytes(b"old")


def _draw(draw: Random) -> tuple[str, tuple[str, ...]]:
    line = draw.choice(list(WRITERS))
    return line, tuple(line.split())


def _left(folder: Path, before: Listing, whole: Listing) -> list[str]:
    """What a command that was stopped may not leave: files that are neither the old nor the new ones."""
    after = listing(folder)
    found = [f"removes {name}" for name in before if name not in after and name not in whole and _stays(name)]
    for name, digest in after.items():
        if digest not in {before.get(name), whole.get(name)}:
            found.append(f"leaves {name}" if name not in before else f"damages {name}")
    return found


def _stays(name: str) -> bool:
    """What belongs to a result goes when another takes its place."""
    return not name.endswith((".items.npz", ".channels.npz"))


class Expected:
    """What commands write when nothing happens to them, and how many calls that takes; found out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], Listing] = {}

    def __call__(self, server: Server, whole: Path, line: str) -> Listing:
        if (whole, line) not in self._known:
            folder = whole.with_name("expected")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            done = server(folder, line.split())
            self._known[whole, line] = listing(folder) if done.code == 0 else {}
            shutil.rmtree(folder)
        return self._known[whole, line]


_expected = Expected()


def kill(server: Server, folder: Path, whole: Path, draw: Random) -> Found:
    """Kill a command before some call, or at some time; what it leaves is old or new, and the next run tidies up."""
    line, arguments = _draw(draw)
    expected, before = _expected(server, whole, line), listing(folder)
    if not expected:
        return "refused", line, "another attneval does not have this command", []
    if draw.random() < 0.7:
        number = draw.randrange(30)
        done, text = server(folder, arguments, kill_at=number), f"killed before call {number}"
    else:
        seconds = draw.uniform(0.001, 0.4)
        done, text = server(folder, arguments, kill_after=seconds), f"killed after {seconds:.3f} s"
    found = []
    if done.code not in {0, -9, -14}:
        found.append(f"exits with {done.code}: {done.err[-200:]}")
    drafts = {name for name in listing(folder) if name.startswith(".")}
    found += [each for each in _left(folder, before, expected) if each.removeprefix("leaves ") not in drafts]
    found += _fits(server, folder, before, expected)
    again = server(folder, arguments)
    if again.code:
        found.append(f"cannot be run again: {again.err[-200:]}")
    elif listing(folder) != expected and "gate" not in line:
        found += [f"after another run: {each}" for each in _left(folder, expected, expected)]
    hidden = sorted(path.name for path in folder.iterdir() if path.name.startswith("."))
    if hidden:
        found.append(f"another run leaves {hidden[0]}")
    return _outcome(done), line, text, found


def _fits(server: Server, folder: Path, before: Listing, expected: Listing) -> list[str]:
    """A result and what stands beside it are of one run, or that is refused."""
    done, after = server(folder, ("inspect", "r.json", "-f", "json")), listing(folder)
    if done.code not in {0, 2}:
        return [f"inspect exits with {done.code}"]
    both = [after.get(name) for name in ("r.json", "r.items.npz")]
    of_one_run = any(both == [run.get(name) for name in ("r.json", "r.items.npz")] for run in (before, expected))
    if done.code == 0 and not of_one_run:
        return ["shows the items of another run"]
    if "r.items.npz" in before and "r.items.npz" not in after and after["r.json"] == before["r.json"]:
        return ["has lost the items of the old result"]
    return []


def full(server: Server, folder: Path, whole: Path, draw: Random) -> Found:
    """Let files grow to some size alone, as on a full disk; nothing is replaced then, and the command says so."""
    line, arguments = _draw(draw)
    expected, before = _expected(server, whole, line), listing(folder)
    if not expected:
        return "refused", line, "another attneval does not have this command", []
    size = int(10 ** draw.uniform(2.9, 5.5))  # what it says goes into a file, too
    done = server(folder, arguments, limits={"RLIMIT_FSIZE": size})
    found = _left(folder, before, expected)
    if done.code == 2:
        if "cannot be written" not in done.err:
            found.append(f"does not say what cannot be written: {done.err[-200:]}")
        changed = [name for name, digest in listing(folder).items() if before.get(name) != digest]
        found += [f"refuses, and changes {name}" for name in changed]
    elif done.code != 0:
        found.append(f"exits with {done.code}: {done.err[-200:]}")
    return _outcome(done), line, f"files of {size} bytes at most", found + _said(done)


def memory(server: Server, folder: Path, whole: Path, draw: Random) -> Found:
    """Let a command have little memory: it does its work or says that there is not enough, and fails no gate."""
    line, arguments = _draw(draw)
    if draw.random() < 0.4:
        line = "gate r.json --min f1=0.0001 -f json"
        arguments = tuple(line.split())
        expected = listing(whole)
    else:
        expected = _expected(server, whole, line)
        if not expected:
            return "refused", line, "another attneval does not have this command", []
    before = listing(folder)
    size = int(2 ** draw.uniform(10, 28))
    done = server(folder, arguments, limits={"RLIMIT_AS": size})
    found = _left(folder, before, expected)
    if done.code not in {0, 2}:
        found.append(f"exits with {done.code}: {done.err[-200:]}")
    return _outcome(done), line, f"{size} bytes of memory more: {done.err[-300:]}", found + _said(done)


def index(server: Server, folder: Path, whole: Path, draw: Random) -> Found:
    """Change annotations behind the index, within the file system's clock or under its own files."""
    line = "score maps.npz --gt entities -q --resamples 0 --overlap iof -f json"
    boxes = folder / "entities" / "Annotations" / f"{draw.choice(list(inputs.MANY))}.xml"
    text = boxes.read_text("utf-8")
    kind = draw.choice(["clock", "clock", "size", "index", "older"])
    coarse = kind == "clock"
    if coarse:
        # Everything happens within a second that has just begun, and the file system has no finer times.
        time.sleep(max(1.02 - time.time() % 1, 0))
        boxes.write_text(text, "utf-8")
    if kind == "index":
        time.sleep(0.1)  # of files that have only just changed no index is kept
    first = server(folder, line.split(), whole_seconds=coarse)
    if kind == "index" and not list((folder / "cache").rglob("*.npz")):
        return "broken", line, kind, ["keeps no index"]
    if kind == "index":
        held = [path for path in (folder / "cache").rglob("*") if path.is_file()]
        if held:
            path = draw.choice(held)
            data = bytearray(path.read_bytes())
            for _ in range(draw.randint(1, 5)):
                data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            path.write_bytes(bytes(data[: draw.choice([len(data), draw.randrange(len(data) + 1)])]))
    else:
        # A file system whose clock has whole seconds: both versions have the time of the second.
        state = boxes.stat()
        second = state.st_mtime_ns // 10**9 * 10**9
        boxes.write_text(text.replace("<ymax>", "<zmax>", 1).replace("</ymax>", "</zmax>", 1), "utf-8")
        boxes.write_text(text.replace("<xmax>40<", f"<xmax>{draw.randrange(10, 39)}<", 1), "utf-8")
        if kind == "size":
            os.utime(boxes, ns=(state.st_atime_ns, state.st_mtime_ns if draw.random() < 0.5 else second))
    cached = server(folder, line.split(), whole_seconds=coarse)
    plain = server(folder, (*line.split(), "--no-cache"))
    found = []
    if (first.code, cached.code, plain.code) != (0, 0, 0):
        found.append(f"exits with {first.code}, {cached.code}, {plain.code}: {cached.err[-200:]}")
    elif _metrics(cached) != _metrics(plain):
        found.append("what is read from the index is not what the annotations say")
    return "done", line, f"annotations changed: {kind}", found


def _metrics(done: Outcome) -> object:
    return json.loads(done.out).get("metrics")


def _outcome(done: Outcome) -> str:
    return {0: "done", 2: "refused", -9: "killed", -14: "killed"}.get(done.code, "broken")


def _said(done: Outcome) -> list[str]:
    return [f"says {word!r}" for word in ("internal error", "Traceback") if word in done.err]


FAULTS = {
    "kill": Fault("written", written, kill),
    "full": Fault("written", written, full),
    "memory": Fault("written", written, memory),
    "index": Fault("indexed", lambda folder, _: inputs.world(folder, inputs.MANY, similarity=False), index),
}
"""Faults by name."""
