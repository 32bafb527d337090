"""Cases by seed: some files damaged in some way, and a command that reads them."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import faults
from .laws import Meaning, breaches, listing, meaning
from .server import ROOT, Server
from .targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from .server import Outcome
    from .targets import Target


AIMED = 0.25
"""The share of cases of a target that has aims whose damage is one of these."""


@dataclass(frozen=True)
class Broken:
    """A case that broke a law.

    Attributes:
        target: What was damaged.
        case: Its number, which with the seed says all of it.
        line: The command.
        text: How its files were damaged.
        breach: Which law, and how.
        said: The end of what the command said.
    """

    target: str
    case: int
    line: str
    text: str
    breach: str
    said: str


@dataclass
class Counts:
    """Outcomes of the cases of a target."""

    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[Broken] = field(default_factory=list)


class Campaign:
    """The cases of a seed.

    Args:
        seed: Everything follows from it.
        root: The folder that holds the attneval under test.
        keep: A folder in which the last case of each target is left; thrown away if None.
    """

    def __init__(self, seed: int, *, root: Path = ROOT, keep: Path | None = None) -> None:
        self.seed = seed
        self._root = root
        self._stack = ExitStack()
        self._folder = keep or Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="attneval-fuzz-")))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._servers: dict[bool, Server] = {}
        self._meant: dict[tuple[str, tuple[str, ...]], Meaning | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers.values():
            server.close()
        self._stack.close()

    def server(self, *, heavy: bool) -> Server:
        """The process that runs commands."""
        if heavy not in self._servers:
            scratch = self._folder / ("heavy" if heavy else "light")
            scratch.mkdir(exist_ok=True)
            self._servers[heavy] = Server(scratch, root=self._root, heavy=heavy)
        return self._servers[heavy]

    def whole(self, name: str, build: Callable[..., object], *, heavy: bool) -> Path:
        """The folder of a target's files as they should be."""
        folder = self._folder / name / "whole"
        if not folder.exists():
            folder.mkdir(parents=True)
            build(folder, self.server(heavy=heavy))
        return folder

    def refused_whole(self, name: str) -> dict[tuple[str, ...], str]:
        """Commands that refuse files as they should be, and what they say."""
        target = TARGETS[name]
        whole, server = self.whole(name, target.build, heavy=target.heavy), self.server(heavy=target.heavy)
        done = [server(self.fresh(name, whole), line) for line in target.lines]
        return {each.arguments: each.err for each in done if each.code not in {0, 1} or each.slow}

    def draw(self, target: str, case: int) -> random.Random:
        """What chance decides by in a case."""
        return random.Random(f"{self.seed} {target} {case}")  # noqa: S311 - not a secret

    def fresh(self, name: str, whole: Path) -> Path:
        """A copy of a target's files, in place of that of the last case."""
        folder = self._folder / name / "case"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder, symlinks=True, copy_function=_copy)
        return folder

    def run(self, name: str, cases: range) -> Counts:
        """Run some cases of a target."""
        counts = Counts()
        if name in faults.FAULTS:
            fault = faults.FAULTS[name]
            whole = self.whole(fault.files, fault.build, heavy=False)
            for case in cases:
                draw, folder = self.draw(name, case), self.fresh(name, whole)
                outcome, line, text, found = fault.run(self.server(heavy=False), folder, whole, draw)
                counts.outcomes[outcome] += 1
                counts.broken += [Broken(name, case, line, text, each, "") for each in found]
            return counts
        target = TARGETS[name]
        whole = self.whole(name, target.build, heavy=target.heavy)
        if self._root != ROOT:
            # Another attneval has not all of the commands, flags and formats.
            lacking = self.refused_whole(name)
            lines = tuple(line for line in target.lines if line not in lacking)
            if target.lines and not lines:
                return counts
            target = replace(target, lines=lines)
        for case in cases:
            self._case(name, target, case, whole, counts)
        return counts

    def _case(self, name: str, target: Target, case: int, whole: Path, counts: Counts) -> None:
        draw, folder = self.draw(name, case), self.fresh(name, whole)
        aimed = bool(target.aims) and draw.random() < AIMED
        damage = draw.choice(target.aims)(folder, draw) if aimed else target.damage(folder, draw)
        # What can mean nothing is seen in numbers, where these are printed in full.
        told = [line for line in target.lines if "json" in line] if damage.senseless else []
        line = damage.line or draw.choice(told or target.lines)
        meant = self._meaning(name, target, line, whole) if damage.senseless or damage.alike else None
        before = listing(folder)
        server = self.server(heavy=target.heavy)
        done = server(folder, line)
        found = list(breaches(done, damage, folder, before, meant))
        if target.oracle is not None:
            found += target.oracle(server, folder, damage, done)
        counts.outcomes["broken" if found else _outcome(done)] += 1
        said = done.err.strip()[-300:]
        counts.broken += [Broken(name, case, " ".join(line), damage.text, each, said) for each in found]

    def _meaning(self, name: str, target: Target, line: tuple[str, ...], whole: Path) -> Meaning | None:
        """What a command says of files as they should be."""
        if (name, line) not in self._meant:
            folder = self.fresh(f"{name}-meant", whole)
            self._meant[name, line] = meaning(self.server(heavy=target.heavy)(folder, line))
        return self._meant[name, line]


def _copy(source: str, target: str) -> None:
    """Copy a file; a pipe is made anew."""
    if Path(source).is_fifo():
        import os

        os.mkfifo(target)
    else:
        shutil.copy2(source, target)


def _outcome(done: Outcome) -> str:
    return {0: "done", 1: "gate failed", 2: "refused"}[done.code]


NAMES = (*TARGETS, *faults.FAULTS)
"""All targets."""
