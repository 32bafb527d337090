"""Tasks for processes, which a process that is started anew can import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attneval.errors import AlignmentError

if TYPE_CHECKING:
    from pathlib import Path


def with_process(task: int) -> tuple[int, int]:
    """The square of a task, and who computed it."""
    return task * task, os.getpid()


def refuses_odd(task: int) -> int:
    if task % 2:
        raise AlignmentError(f"{task} is odd", hint="take another")
    return task


def killed(task: int) -> int:
    if task:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def large(task: int) -> tuple[int, bytes]:
    """More than a pipe holds."""
    return os.getpid(), bytes([task]) * 10**6


def slow(task: int) -> tuple[int, int]:
    """As `with_process`, later tasks sooner."""
    time.sleep(0.02 + 0.01 * (task % 5))
    return with_process(task)


def fails(task: int) -> int:
    if task == 1:
        raise ZeroDivisionError("by nobody")
    return task


@dataclass(frozen=True)
class Deadly:
    """Kills its process as often as there are files to take."""

    folder: Path

    def __call__(self, task: int) -> int:
        if task == 1:
            for life in self.folder.iterdir():
                life.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return task


@dataclass(frozen=True)
class Opened:
    """Says in a file that it was opened, by which process, and then works."""

    folder: Path

    def __reduce__(self) -> tuple[object, ...]:
        return opened, (self.folder,)

    def __call__(self, task: int) -> tuple[int, int]:
        return slow(task)


def opened(folder: Path) -> Opened:
    with (folder / str(os.getpid())).open("a") as file:
        file.write("opened\n")
    return Opened(folder)
