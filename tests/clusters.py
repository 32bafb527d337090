"""Dask clusters whose scheduler and workers are processes of their own, which a test may stop and kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from commands import environment

if TYPE_CHECKING:
    from types import TracebackType

HERE = Path(__file__).parent
PATIENCE = 300
"""Seconds that a scheduler may take to start, on a machine that does other work."""


class Cluster:
    """A scheduler and some workers of one thread each.

    Args:
        folder: Where the scheduler says its address and workers keep their files.
        workers: How many workers there are at first.
    """

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self._folder, self._stack = folder, ExitStack()
        self._file = folder / "scheduler.json"
        self.scheduler = self._start(
            "dask_scheduler",
            f"--scheduler-file={self._file}",
            "--host=127.0.0.1",
            "--port=0",
            "--no-dashboard",
        )
        end = time.monotonic() + PATIENCE
        while not self._file.exists() or not self._file.read_text():
            assert time.monotonic() < end, "the scheduler did not start"
            time.sleep(0.05)
        self.address: str = json.loads(self._file.read_text())["address"]
        self.workers = [self.add() for _ in range(workers)]

    def __enter__(self) -> Cluster:  # noqa: PYI034 - `Self` is from Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.workers, self.scheduler):
            end(process)
        self._stack.close()

    def add(self, *flags: str) -> subprocess.Popen[bytes]:
        """Start another worker."""
        fixed = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(self._folder))
        return self._start("dask_worker", self.address, *fixed, *flags)

    def replace(self, number: int) -> None:
        """Kill a worker and start another."""
        end(self.workers[number])
        self.workers[number] = self.add()

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        path = os.pathsep.join([str(HERE), str(HERE.parent)])
        log = self._stack.enter_context((self._folder / "cluster.log").open("ab"))
        return subprocess.Popen(command, env=environment(PYTHONPATH=path), stdout=log, stderr=log, cwd=HERE.parent)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, whatever state it is in, and wait for its end."""
    process.send_signal(signal.SIGKILL)
    process.wait()
