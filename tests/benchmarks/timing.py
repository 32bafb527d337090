"""Measuring: tasks take turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Task = Callable[[], object]

RUNS = 5
"""Rounds of every comparison, after one that is not counted."""

_PEAK = """
import os, sys
from attneval.evaluation.engines import processes as workers
from attneval.__main__ import main
def tell(result):
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print("peak", os.getpid(), peak, file=sys.stderr, flush=True)
    return result
work = workers._work
workers._work = lambda scorer, *others: work(lambda task: tell(scorer(task)), *others)
sys.exit(tell(main(sys.argv[1:])))
"""
_BARE = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"


@dataclass(frozen=True)
class Must:
    """What a ratio must keep to."""

    bound: float
    at_least: bool = False

    def met(self, ratio: float) -> bool:
        """Whether a ratio keeps to it."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


def at_most(bound: float) -> Must:
    """Ours may take this many times as much as the peer."""
    return Must(bound)


def at_least(bound: float) -> Must:
    """The peer must take this many times as much as ours."""
    return Must(bound, at_least=True)


@dataclass(frozen=True)
class Row:
    """A line of the table: medians, and their ratio, with the bound that it must keep to if there is one."""

    work: str
    ours: str
    peer: str
    theirs: str
    ratio: float
    must: Must | None

    @property
    def met(self) -> bool:
        """Whether the ratio keeps to its bound."""
        return self.must is None or self.must.met(self.ratio)


def processor_time() -> float:
    """Seconds of processor time that this process and those it waited for have had."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(own.ru_utime + own.ru_stime for own in used)


CLOCKS = {"wall": time.perf_counter, "cpu": processor_time}
"""What is measured; processor time is steadier where others share the machine."""
clock = ["wall"]


def rounds(tasks: Sequence[Task], runs: int) -> list[list[float]]:
    """Seconds of each task in each of some rounds, in which all tasks take turns."""
    now = CLOCKS[clock[0]]
    for task in tasks:
        task()
    taken: list[list[float]] = [[] for _ in tasks]
    for _ in range(runs):
        for task, seconds in zip(tasks, taken, strict=True):
            start = now()
            task()
            seconds.append(now() - start)
            _settle()
    return taken


def _settle() -> None:
    """Wait until threads that a task has left behind have ended, so that the next does not pay for them."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()


def compared(work: str, ours: Task, peer: str, theirs: Task, must: Must | None, runs: int) -> Row:
    """Time a task of ours and a peer's; the ratio is the median over rounds."""
    mine, other = rounds([ours, theirs], runs)
    pairs = zip(mine, other, strict=True)
    ratio = statistics.median(b / a if must and must.at_least else a / b for a, b in pairs)
    return Row(work, duration(statistics.median(mine)), peer, duration(statistics.median(other)), ratio, must)


def duration(seconds: float) -> str:
    """Seconds or milliseconds, with three digits."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def megabytes(count: float) -> str:
    """Bytes as millions."""
    return f"{count / 1e6:.0f} MB"


def run(*command: str | Path) -> None:
    """Run a command to its end and throw away what it prints."""
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, env=_environment())


def python(script: str, *arguments: str | Path) -> None:
    """Run a script in an interpreter of its own."""
    run(sys.executable, "-c", script, *arguments)


def peak_bytes(*arguments: str | Path) -> int:
    """The largest resident sets of `attneval ARGUMENTS` and its forks, above that of an interpreter that does nothing.

    The kernel's own record of each process is asked, since what it tells of children begins with the parent's size.
    Pages that processes share count for each of them.
    """
    command = [sys.executable, "-c", _PEAK, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment())
    bare = subprocess.run([sys.executable, "-c", _BARE], check=True, capture_output=True)
    told = (line.split() for line in done.stderr.decode().splitlines() if line.startswith("peak "))
    peaks = {process: int(peak) for _, process, peak in told}
    return 1024 * (sum(peaks.values()) - int(bare.stdout))


def _environment() -> dict[str, str]:
    """The environment without what would make each process compile the package anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
