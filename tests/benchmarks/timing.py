"""Measuring: tasks take turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import threading
import time
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Task = Callable[[], object]

ATTNEVAL = Path(sysconfig.get_path("scripts"), "attneval")
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
_LARGEST_CHILD = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


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
    """The peer must take this many times as much as ours; 0 for a ratio that is shown and need reach nothing."""
    return Must(bound, at_least=True)


@dataclass(frozen=True)
class Row:
    """A line of the table: medians, and their ratio, with the bound that it must keep to if there is one.

    `memory` is the peak of ours and of the peer's.
    """

    work: str
    ours: str
    peer: str
    theirs: str
    ratio: float
    must: Must | None
    memory: str = ""

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
    now, before = CLOCKS[clock[0]], set(threading.enumerate())
    for task in tasks:
        task()
    taken: list[list[float]] = [[] for _ in tasks]
    for _ in range(runs):
        for task, seconds in zip(tasks, taken, strict=True):
            start = now()
            task()
            seconds.append(now() - start)
            _settle(before)
    return taken


def _settle(before: set[threading.Thread]) -> None:
    """Wait until threads that a task has left behind have ended, so that the next does not pay for them.

    Args:
        before: Those that there were before; an earlier row may have left some that never end.
    """
    for thread in set(threading.enumerate()) - before:
        thread.join()


@dataclass(frozen=True)
class Command:
    """A command in a process of its own, as a task; what it prints is thrown away."""

    words: tuple[str | Path, ...]

    def __call__(self) -> None:
        """Run it to its end."""
        run(*self.words)

    def peak(self) -> int:
        """Bytes at its peak, above an interpreter that does nothing; see `peak_bytes` for `attneval`."""
        return peak_bytes(*self.words[1:]) if self.words[0] == ATTNEVAL else largest_child(*self.words)


def attneval(*arguments: str | Path) -> Command:
    """The command `attneval ARGUMENTS`."""
    return Command((ATTNEVAL, *arguments))


def script(text: str, *arguments: str | Path) -> Command:
    """A script in an interpreter of its own."""
    return Command((sys.executable, "-c", text, *arguments))


def compared(work: str, ours: Task, peer: str, theirs: Task, must: Must | None, runs: int) -> Row:
    """Time a task of ours and a peer's; the ratio is the median over rounds, and their peaks stand beside it."""
    mine, other = rounds([ours, theirs], runs)
    return between(work, mine, peer, other, must, memory=" / ".join(megabytes(peak(task)) for task in (ours, theirs)))


def between(
    work: str, mine: Sequence[float], peer: str, other: Sequence[float], must: Must | None, memory: str = ""
) -> Row:
    """The row of seconds that were taken in turns."""
    pairs = zip(mine, other, strict=True)
    ratio = statistics.median(b / a if must and must.at_least else a / b for a, b in pairs)
    return Row(work, duration(statistics.median(mine)), peer, duration(statistics.median(other)), ratio, must, memory)


def peak(task: Task) -> int:
    """Bytes at the peak of a task: of a command's process, or of what Python and numpy allocate while it runs."""
    if isinstance(task, Command):
        return task.peak()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    task()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - before


def duration(seconds: float) -> str:
    """Seconds or milliseconds, with three digits."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


def megabytes(count: float) -> str:
    """Bytes as millions."""
    return f"{count / 1e6:.0f} MB"


def run(*command: str | Path) -> None:
    """Run a command to its end and throw away what it prints."""
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, env=_environment())


def peak_bytes(*arguments: str | Path) -> int:
    """The largest resident sets of `attneval ARGUMENTS` and its forks, above that of an interpreter that does nothing.

    The kernel's own record of each process is asked, since what it tells of children begins with the parent's size.
    Pages that processes share count for each of them.
    """
    command = [sys.executable, "-c", _PEAK, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_environment())
    told = (line.split() for line in done.stderr.decode().splitlines() if line.startswith("peak "))
    peaks = {process: int(most) for _, process, most in told}
    return 1024 * sum(peaks.values()) - bare_bytes()


def largest_child(*command: str | Path) -> int:
    """The largest resident set among a command and what it starts, above that of an interpreter that does nothing."""
    words = [sys.executable, "-c", _LARGEST_CHILD, *map(str, command)]
    return 1024 * int(subprocess.run(words, check=True, capture_output=True).stdout) - bare_bytes()


def bare_bytes() -> int:
    """The resident set of an interpreter that does nothing."""
    return 1024 * int(subprocess.run([sys.executable, "-c", _BARE], check=True, capture_output=True).stdout)


def processor() -> str:
    """The name of the processor, and whether it has AVX-512, which numpy sorts by."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "processor unknown"
    about = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    wide = "with" if "avx512f" in about.get("flags", "") else "without"
    return f"{about.get('model name', 'processor unknown')} x {os.cpu_count()}, {wide} AVX-512"


def _environment() -> dict[str, str]:
    """The environment without what would make each process compile the package anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
