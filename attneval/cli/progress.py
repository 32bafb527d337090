"""A progress line on stderr: only on a terminal, only when it takes a while."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 1.0
"""Seconds before anything is shown."""


@contextmanager
def progress(what: str, *, quiet: bool, rate: str = "") -> Iterator[Callable[[int, int], None] | None]:
    """A function to call with how many of how many are done; None where nothing is to be shown.

    Args:
        what: What is done.
        quiet: Show nothing.
        rate: Unit of a rate, shown beside what is done.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    started = time.monotonic()
    bar = None

    def on_progress(done: int, total: int) -> None:
        nonlocal bar
        if bar is None and time.monotonic() - started > PATIENCE and done < total:
            from rich.console import Console
            from rich.progress import MofNCompleteColumn, Progress, TextColumn

            columns = (MofNCompleteColumn(), TextColumn("{task.fields[rate]}")) if rate else ()
            bar = Progress(*Progress.get_default_columns(), *columns, console=Console(stderr=True), transient=True)
            bar.add_task(what, total=total, rate="")
            bar.start()
        if bar is not None:
            speed = f"{done / (time.monotonic() - started):.1f} {rate}" if rate else ""
            bar.update(bar.task_ids[0], completed=done, total=total, rate=speed)

    try:
        yield on_progress
    finally:
        if bar is not None:
            bar.stop()
