"""Commands of some attneval, this one or another, each in a process of its own that is ready at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
SECONDS = 20
"""Damaged files of a few kB take no longer, on a busy machine."""
MEMORY = 2 * 2**30
"""Bytes of address space that a command may take beyond what it has at its start."""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind.

    Attributes:
        code: Its exit code; negative the signal that ended it.
        slow: Whether it was ended because it took too long.
        memory: The most memory that it had, in bytes.
    """

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    slow: bool
    memory: int
    seconds: float


class Server:
    """The commands of the attneval of a folder.

    Args:
        root: The folder that holds the package; this one's by default.
        heavy: Whether the commands run models.
        scratch: A folder for what they print.
    """

    def __init__(self, scratch: Path, *, root: Path = ROOT, heavy: bool = False) -> None:
        self._out, self._err, self._heavy = scratch / "stdout", scratch / "stderr", heavy
        answers, end = os.pipe()
        dropped = ("ATTNEVAL_", "GITHUB_", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "COMP_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), str(end), "heavy" if heavy else "light"],
            stdin=subprocess.PIPE,
            pass_fds=[end],
            env=kept | threads | {"PYTHONPATH": str(root), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            text=True,
            cwd=scratch,
        )
        os.close(end)
        self._answers = os.fdopen(answers, encoding="utf-8")
        self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the process that runs commands has ended")
        values: dict[str, Any] = json.loads(line)
        return values

    def __call__(
        self,
        folder: Path,
        arguments: Sequence[str],
        *,
        limits: Mapping[str, int] | None = None,
        kill_at: int | None = None,
        kill_after: float | None = None,
        environment: Mapping[str, str] | None = None,
        whole_seconds: bool = False,
    ) -> Outcome:
        """Run a command in a folder.

        Args:
            folder: The working directory, which is the home of caches, too.
            arguments: The command line.
            limits: Limits of the system by name, such as `RLIMIT_FSIZE`; of memory beyond what it has.
            kill_at: The number of the call that makes, renames or removes a file before which it is killed.
            kill_after: The seconds after which it is killed.
            environment: Variables.
            whole_seconds: Whether times of files have no fractions, as on some file systems.
        """
        request = {
            "folder": str(folder),
            "arguments": list(arguments),
            "out": str(self._out),
            "err": str(self._err),
            "seconds": 3 * SECONDS if self._heavy else SECONDS,
            "limits": {"RLIMIT_AS": MEMORY, "RLIMIT_CORE": 0, **(limits or {})},
            "kill_at": kill_at,
            "kill_after": kill_after,
            "whole_seconds": whole_seconds,
            "environment": {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), **(environment or {})},
        }
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = self._answer()
        out, err = (path.read_bytes().decode("utf-8", "replace") for path in (self._out, self._err))
        return Outcome(tuple(arguments), out=out, err=err, **answer)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._answers.close()
