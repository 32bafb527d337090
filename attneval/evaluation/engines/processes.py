"""Work that is shared with other processes, its results in the order of the tasks.

Tasks are dealt out in turn before anything begins, and this process takes its share. Another process hands a result
over when it is asked for, so that none is ever more than one result ahead, whatever there is to do.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from multiprocessing.connection import Connection

Task = TypeVar("Task")
Result = TypeVar("Result")


def can_fork() -> bool:
    """Whether a process can be had in a millisecond: by a copy of this one, while nothing else runs in it."""
    return sys.platform == "linux" and threading.active_count() == 1


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def share_out(
    tasks: Sequence[Task], here: Callable[[Task], Result], there: Callable[[], Callable[[Task], Result]], jobs: int
) -> Generator[Result, None, None]:
    """Start other processes, and give the results of tasks, in their order.

    Where so many processes are not to be had, this one does everything.

    Args:
        tasks: What is to be done.
        here: What does a task in this process, and in its forks.
        there: Called once in a process that is no fork, for what does a task there.
        jobs: How many processes share the tasks, this one among them.

    Raises:
        AttnevalError: A process is killed; and whatever a task raises, as if it had been raised here.
    """
    others: list[_Other[Task, Result]] = []
    jobs = min(jobs, len(tasks))
    try:
        for turn in range(1, jobs):
            others.append(_Other(here, there, tasks[turn::jobs], others))
    except OSError:  # the system has no more processes or no memory for one
        for other in others:
            other.stop()
        others = []
    return _in_turn(tasks, here, others)


def _in_turn(
    tasks: Sequence[Task], here: Callable[[Task], Result], others: list[_Other[Task, Result]]
) -> Generator[Result, None, None]:
    try:
        for number, task in enumerate(tasks):
            turn = number % (len(others) + 1)
            yield others[turn - 1].result() if turn else here(task)
    finally:
        for other in others:
            other.stop()


class _Other(Generic[Task, Result]):
    """Another process and its tasks.

    Args:
        here: See `share_out`.
        there: See `share_out`.
        tasks: Its tasks.
        earlier: Those started before.
    """

    def __init__(
        self,
        here: Callable[[Task], Result],
        there: Callable[[], Callable[[Task], Result]],
        tasks: Sequence[Task],
        earlier: Sequence[_Other[Task, Result]],
    ) -> None:
        from multiprocessing import get_context

        forked = can_fork()
        context = get_context("fork") if forked else get_context("spawn")
        self._results, theirs = context.Pipe(duplex=False)
        # A forked process gets this one's ends of all pipes too. Where it did not close them it would not be told that
        # nobody listens any more, and would wait for ever.
        ours = [self._results, *(other._results for other in earlier)] if forked else []  # noqa: SLF001 - the same class
        do = here if forked else None
        self._process = context.Process(target=_work, args=(do, there, tasks, theirs, ours), daemon=True)
        self._process.start()
        theirs.close()

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


class _ElsewhereError(Exception):
    """The traceback of another process."""


def _work(
    do: Callable[[Any], Any] | None,
    there: Callable[[], Callable[[Any], Any]],
    tasks: Sequence[Any],
    results: Connection,
    close: Sequence[Connection],
) -> None:
    """What another process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted parent ends it
    for connection in close:
        connection.close()
    try:
        try:
            do = do or there()
            for task in tasks:
                results.send((do(task), None, ""))
        except Exception as error:  # noqa: BLE001 - told to the parent, who raises it
            import traceback

            _tell(results, error, traceback.format_exc())
    except BrokenPipeError:
        return  # nobody waits for results any more


def _tell(results: Connection, error: Exception, where: str) -> None:
    try:
        results.send((None, error, where))
    except (pickle.PicklingError, TypeError, AttributeError):  # what pickle says of what it cannot do
        results.send((None, RuntimeError(repr(error)), where))
