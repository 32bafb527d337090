"""The engine that shares blocks with other processes of this machine; their sums come in the order of the blocks.

Blocks are dealt out in turn before anything begins, and this process, which has more to do, comes last. Another process
hands a result over when it is asked for, so that none is ever more than one result ahead, whatever there is to do.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from types import TracebackType

Task = TypeVar("Task")
Result = TypeVar("Result")

SHARED_BYTES = 2**21
"""Maps from which a second process saves more time than it takes to start: some 200 images with 36 regions."""


PIPE_BYTES = 2**20
"""Bytes that a pipe may hold for anybody; the sums of a thousand images are about half of that."""


def can_fork() -> bool:
    """Say if a process can be had in a millisecond: by a copy of this one, while nothing else runs in it."""
    return sys.platform == "linux" and threading.active_count() == 1


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def worthwhile_jobs(size: int) -> int:
    """Two processes for maps of so many bytes where a second one pays, else one."""
    return 2 if size >= SHARED_BYTES and can_fork() and processors() > 1 else 1


class SharedWork(Generic[Task, Result]):
    """Tasks that several processes share. Iterating gives their results, in the order of the tasks, once.

    Where so many processes are not to be had, this one does everything. Leaving the context ends the others.

    Args:
        tasks: The tasks.
        scorer: Does one; it is pickled for a process that is no fork of this one.
        jobs: How many processes share the tasks, this one among them.
    """

    def __init__(self, tasks: Sequence[Task], scorer: Callable[[Task], Result], jobs: int) -> None:
        self._tasks, self._scorer = tasks, scorer
        self._others: list[_Other[Task, Result]] = []
        jobs = min(jobs, len(tasks))
        try:
            for turn in range(jobs - 1):
                self._others.append(_Other(scorer, tasks[turn::jobs], self._others))
        except OSError:  # the system has no more processes or no memory for one
            self.stop()

    def __enter__(self) -> Iterator[Result]:
        return iter(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __iter__(self) -> Iterator[Result]:
        """Give the results.

        Raises:
            AttnevalError: A process is killed; and whatever a task raises, as if it had been raised here.
        """
        size = len(self._others) + 1
        for first in range(0, len(self._tasks), size):
            # This process does its task before it waits for the others; whichever task fails first is told, though.
            mine = [_attempt(self._scorer, task) for task in self._tasks[first + size - 1 : first + size]]
            for other, _ in zip(self._others, self._tasks[first:], strict=False):
                yield other.result()
            for result, error in mine:
                if error is not None:
                    raise error
                yield result

    def stop(self) -> None:
        """End the other processes, whatever they are doing."""
        for other in self._others:
            other.stop()
        self._others = []


start = SharedWork
"""See `attneval.evaluation.engines`."""


class _Other(Generic[Task, Result]):
    """Another process and its tasks.

    Args:
        scorer: See `SharedWork`.
        tasks: Its tasks.
        earlier: Those started before.
    """

    def __init__(
        self, scorer: Callable[[Task], Result], tasks: Sequence[Task], earlier: Sequence[_Other[Task, Result]]
    ) -> None:
        from multiprocessing import get_context

        forked = can_fork()
        context = get_context("fork") if forked else get_context("spawn")
        self._results, remote = context.Pipe(duplex=False)
        _widen(remote)
        # A forked process gets this one's ends of all pipes too. Where it did not close them it would not be told that
        # nobody listens any more, and would wait for ever.
        ours = [self._results, *(other._results for other in earlier)] if forked else []  # noqa: SLF001 - the same class
        self._process = context.Process(target=_work, args=(scorer, tasks, remote, ours), daemon=True)
        self._process.start()
        remote.close()

    def result(self) -> Result:
        """Wait for the next result."""
        try:
            result, error, where = self._results.recv()
        except (EOFError, OSError) as end:
            raise AttnevalError(
                "one of several processes was killed, as happens when memory runs out", hint="use fewer --jobs"
            ) from end
        if error is not None:
            raise error from _ElsewhereError(where)
        done: Result = result
        return done

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._results.close()
        self._process.terminate()


def _attempt(scorer: Callable[[Task], Result], task: Task) -> tuple[Any, Exception | None]:
    """Do a task; gives its result, or what it raised."""
    try:
        return scorer(task), None
    except Exception as error:  # noqa: BLE001 - raised when its turn comes
        return None, error


def _widen(pipe: Connection) -> None:
    """Let a pipe hold the sums of a block, so that who writes them need not wait until they are read."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class _ElsewhereError(Exception):
    """The traceback of another process."""


def _work(scorer: Callable[[Any], Any], tasks: Sequence[Any], results: Connection, close: Sequence[Connection]) -> None:
    """Do the tasks of another process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted parent ends it
    for connection in close:
        connection.close()
    with suppress(BrokenPipeError):  # nobody waits for results any more
        try:
            for task in tasks:
                results.send((scorer(task), None, ""))
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - told to the parent, who raises it
            import traceback

            _tell(results, error, traceback.format_exc())


def _tell(results: Connection, error: Exception, where: str) -> None:
    try:
        results.send((None, error, where))
    except (pickle.PicklingError, TypeError, AttributeError):  # what pickle says of what it cannot do
        results.send((None, RuntimeError(repr(error)), where))
