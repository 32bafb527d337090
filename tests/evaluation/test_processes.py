"""Tasks that processes share: results in order, errors as if they had been raised here, and nobody left behind."""

from __future__ import annotations

import multiprocessing.process
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from tasks import killed, large, refuses_odd, with_process

from attneval.errors import AlignmentError, AttnevalError
from attneval.evaluation.engines import processes as workers
from attneval.evaluation.engines.processes import SharedWork, processors

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")
BOTH = pytest.mark.parametrize("forked", [True, False], ids=["forked", "started anew"])


@pytest.fixture(autouse=True)
def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are had in the way that a test asks for."""
    forked = getattr(request.node, "callspec", None) and request.node.callspec.params.get("forked", True)
    if forked is False:
        monkeypatch.setattr(workers, "can_fork", lambda: False)


def shared(does: Callable[[int], Result], tasks: list[int], jobs: int) -> list[Result]:
    with SharedWork(tasks, does, jobs) as results:
        return list(results)


@BOTH
@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_order_from_all_processes(forked: bool, jobs: int) -> None:
    results = shared(with_process, list(range(7)), jobs)
    assert [square for square, _ in results] == [0, 1, 4, 9, 16, 25, 36]
    owners = [owner for _, owner in results]
    mine = owners[jobs - 1 :: jobs]
    assert mine == [os.getpid()] * len(mine)
    assert len(set(owners)) == jobs


@pytest.mark.parametrize("tasks", [[], [5], [5, 6]])
def test_more_processes_than_tasks(tasks: list[int]) -> None:
    results = shared(with_process, tasks, 9)
    assert [square for square, _ in results] == [task * task for task in tasks]


@BOTH
def test_errors_are_raised_here(forked: bool) -> None:
    with pytest.raises(AlignmentError) as caught:
        shared(refuses_odd, [1, 0, 2], 2)
    assert str(caught.value) == "1 is odd; take another"
    assert "in refuses_odd" in str(caught.value.__cause__)


def test_the_first_error_in_order_is_raised() -> None:
    with pytest.raises(AlignmentError, match="3 is odd"):
        shared(refuses_odd, [2, 3, 5, 7], 3)


class Unspeakable(Exception):  # noqa: N818
    """An error that another process cannot hand over."""

    def __init__(self) -> None:
        super().__init__("cannot be told")
        self.lock = threading.Lock()


def unspeakable(task: int) -> int:
    if task:
        raise Unspeakable
    return task


def test_an_error_that_cannot_be_handed_over_is_told_all_the_same() -> None:
    with pytest.raises(RuntimeError, match="cannot be told"):
        shared(unspeakable, [1, 0], 2)


@BOTH
def test_a_killed_process_is_said_to_be(forked: bool) -> None:
    with pytest.raises(AttnevalError, match=r"was killed.*--jobs"):
        shared(killed, [1, 0], 2)


def test_without_more_processes_this_one_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    start = multiprocessing.process.BaseProcess.start
    started: list[int] = []

    def refused(process: multiprocessing.process.BaseProcess) -> None:
        if started:
            raise BlockingIOError("Resource temporarily unavailable")
        start(process)
        started.append(process.pid or 0)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refused)
    results = shared(with_process, [1, 2, 3, 4], 3)
    assert results == [(task * task, os.getpid()) for task in (1, 2, 3, 4)]
    assert len(started) == 1
    assert gone(started[0])


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(process: int, seconds: float = 10) -> bool:
    """Whether a process ends before some seconds have passed."""
    end = time.monotonic() + seconds
    while alive(process) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(process)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@BOTH
def test_whoever_stops_listening_ends_the_others(forked: bool) -> None:
    with SharedWork(list(range(40)), large, 2) as results:
        other, data = next(results)
        assert (other != os.getpid(), data[:1]) == (True, b"\0")
        assert alive(other)
    assert gone(other)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_processes_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Each has a pipe of its own, and none may keep another's open."""
    script = (
        "import os, sys, time\n"
        "from attneval.evaluation.engines.processes import SharedWork\n"
        "def does(task):\n"
        "    return os.getpid(), bytes(10**6)\n"
        "results = iter(SharedWork(list(range(40)), does, 4))\n"
        "owners = [next(results)[0] for _ in range(4)]\n"
        "open(sys.argv[1], 'w').write(' '.join(map(str, owners)))\n"
        "time.sleep(60)\n"
    )
    told = tmp_path / "owners"
    with subprocess.Popen([sys.executable, "-c", script, str(told)]) as parent:
        end = time.monotonic() + 20
        while not (told.exists() and len(told.read_text().split()) == 4) and time.monotonic() < end:
            time.sleep(0.01)
        owners = [int(owner) for owner in told.read_text().split()]
        assert (owners[-1], len(set(owners))) == (parent.pid, 4)
        assert all(map(alive, owners))
        parent.kill()
    assert all(map(gone, owners))


def test_a_process_with_threads_is_not_forked() -> None:
    """Asked in a new process: in this one other tests may have left threads."""
    script = (
        "import threading\n"
        "from attneval.evaluation.engines.processes import can_fork\n"
        "print(can_fork())\n"
        "wait = threading.Event()\n"
        "threading.Thread(target=wait.wait).start()\n"
        "print(can_fork())\n"
        "wait.set()\n"
    )
    asked = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert asked.stdout.split() == [str(sys.platform == "linux"), "False"]


def test_processors_that_may_be_used() -> None:
    assert 1 <= processors() <= (os.cpu_count() or 1)
