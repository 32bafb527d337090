"""Commands of attneval in processes forked from this one, which has imported it: a process each, in a few milliseconds.

Run as a script by `server.py`, with the attneval under test on its path; it takes requests, lines of JSON, from its
stdin, and answers on the file descriptor that it is given. It imports nothing else of the tests.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
import types
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

HEAVY = ("training", "extraction", "integrations")
"""Rooms that import torch."""
CHANGES = ("os.rename", "os.link", "os.remove", "os.chmod", "os.rmdir", "os.mkdir", "open")
"""Audit events of calls that make, rename and remove files."""


def load(*, heavy: bool) -> None:
    """Import all of attneval, so that forked processes need not."""
    import numpy as np
    import rich.console  # noqa: F401 - loaded for others

    import attneval.__main__

    for module in pkgutil.walk_packages(attneval.__path__, "attneval."):
        parts = module.name.split(".")
        if parts[-1] != "__main__" and (heavy or not set(HEAVY) & set(parts)):
            with suppress(ImportError):
                importlib.import_module(module.name)
    if heavy:
        import torch

        torch.set_num_threads(1)
        torch.zeros(2) @ torch.zeros(2)
    np.zeros((2, 2)) @ np.zeros((2, 2))


def resident() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")


def run(request: dict[str, Any]) -> None:
    """Be the command: in the forked process."""
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        opened = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    for name, size in request["limits"].items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (size + resident() if name == "RLIMIT_AS" else size, resource.RLIM_INFINITY))
    if request["whole_seconds"]:
        os.stat = _whole_seconds(os.stat)
    if request["kill_at"] is not None:
        _kill_at(int(request["kill_at"]))
    if request["kill_after"] is not None:
        signal.setitimer(signal.ITIMER_REAL, float(request["kill_after"]))  # nothing catches the alarm
    warnings.simplefilter("default")
    warnings.simplefilter("ignore", ResourceWarning)
    sys.argv = ["attneval", *request["arguments"]]
    from attneval.__main__ import entry

    entry()


def _whole_seconds(stat: Any) -> Any:
    """What gives the state of files, with times as of a file system whose clock has whole seconds."""

    def coarse(*arguments: Any, **named: Any) -> Any:
        held = stat(*arguments, **named)
        values = {name: getattr(held, name) for name in dir(held) if name.startswith("st_")}
        for name in ("st_mtime_ns", "st_ctime_ns"):
            values[name] = values[name] // 10**9 * 10**9
            values[name[:-3]] = values[name] / 10**9
        return types.SimpleNamespace(**values)

    return coarse


def be(request: dict[str, Any]) -> None:
    """Be the command, and end as Python does where it does not end by itself."""
    code = 70
    try:
        run(request)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except BaseException:  # noqa: BLE001 - as Python would show it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_at(number: int) -> None:
    """End this process without a word before the call of some number that changes files."""
    left = [number]

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or (event == "open" and not _writes(arguments)):
            return
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _writes(arguments: tuple[Any, ...]) -> bool:
    return isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def wait(child: int, seconds: float) -> tuple[int, bool, int]:
    """Wait for a process and its own; the status, whether it was too slow, and the most memory it had, in bytes."""
    late = time.monotonic() + seconds
    slow = False
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        left = late - time.monotonic()
        if left <= 0 and not slow:
            slow = True
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, max(min(left, 0.5), 0.01))
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what it left running
    return os.waitstatus_to_exitcode(status), slow, usage.ru_maxrss * 1024


def main(answers: int, *, heavy: bool) -> None:
    """Serve until there are no more requests."""
    load(heavy=heavy)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    with os.fdopen(answers, "w", encoding="utf-8") as out:
        print("{}", file=out, flush=True)
        while line := sys.stdin.readline():
            request = json.loads(line)
            start = time.monotonic()
            child = os.fork()
            if child == 0:
                os.close(answers)
                be(request)
            code, slow, memory = wait(child, request["seconds"])
            answer = {"code": code, "slow": slow, "memory": memory, "seconds": time.monotonic() - start}
            print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), heavy=sys.argv[2] == "heavy")
