"""Tasks for processes, which a process that is started anew can import."""

from __future__ import annotations

import os
import signal

from attneval.errors import AlignmentError


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
