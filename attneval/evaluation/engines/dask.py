"""The engine that shares blocks with the workers of a Dask cluster: one that is there, or one of this machine.

Workers open the files themselves, once each, and give back sums, never maps. Sums come in the order of the blocks, to
the last bit what one process gives. A block whose worker dies is given to another. Few blocks are on their way at a
time, so that neither scheduler nor workers hold more for more images.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import os
import pickle
import queue
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval._version import __version__
from attneval.config.extras import to_install
from attneval.errors import AttnevalError
from attneval.evaluation.engines.dask_worker import SAME, Outcome, score_on_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from distributed import Client, Future, LocalCluster

AHEAD = 16
"""Blocks on their way beside two for each thread of the cluster."""
PULSE = 0.5
"""Seconds between looks at the cluster while no block is finished."""
PATIENCE = 60.0
"""Seconds without any worker after which nobody is waited for."""
CONNECT = "30s"
"""Time that a scheduler may take to answer."""
QUIET = {
    # Workers would look a hundred times a second at what they do, which nobody asks for.
    "distributed.worker.profile.enabled": False,
    # They would give back each array to the system, and ask for the next one anew.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
}
"""What workers of this machine leave."""
LOGGERS, SILENCE = "distributed", logging.CRITICAL + 1


def start(blocks: Sequence[Any], scorer: Callable[[Any], Any], jobs: int, scheduler: str = "") -> ClusterWork:
    """Share blocks with a cluster; see `attneval.evaluation.engines`.

    Args:
        blocks: The blocks.
        scorer: Scores one; it is pickled.
        jobs: How many workers a cluster of this machine has.
        scheduler: The address of a scheduler, `tcp://host:port`; empty for a cluster of this machine.

    Raises:
        AttnevalError: Dask is not installed, or the scheduler does not answer.
    """
    return ClusterWork(blocks, scorer, jobs, scheduler)


class ClusterWork:
    """Blocks that workers of a cluster share. Iterating gives their sums, in the order of the blocks, once.

    Args:
        blocks: See `start`, as for the others.
        scorer: See `start`.
        jobs: See `start`.
        scheduler: See `start`.
    """

    def __init__(self, blocks: Sequence[Any], scorer: Callable[[Any], Any], jobs: int, scheduler: str) -> None:
        self._blocks = blocks
        self._scorer = pickle.dumps(scorer)
        # Workers open files anew for every run: annotations may have changed since the last one.
        self._run = os.urandom(8).hex()
        self._jobs = max(min(jobs, len(blocks)), 1)
        self._scheduler = scheduler
        self._stack = ExitStack()
        self._client: Client | None = None
        self._pending: dict[int, Future] = {}
        self._finished = queue.SimpleQueue[int]()
        self._next = 0
        self._lonely_since: float | None = None

    def __enter__(self) -> Iterator[Any]:
        if self._blocks:
            with ExitStack() as stack:
                self._client = _connected(stack, self._jobs, self._scheduler)
                self._stack = stack.pop_all()
            try:
                self._feed()
            except BaseException:
                self._stack.close()
                raise
        return iter(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pending.clear()  # a block that nobody waits for is given up
        self._stack.close()

    def __iter__(self) -> Iterator[Any]:
        """Give the sums of the blocks.

        Raises:
            AttnevalError: A block is wrong, the scheduler is lost, or there are no workers.
        """
        done: dict[int, Outcome] = {}
        for number in range(len(self._blocks)):
            while number not in done:
                self._feed(stop=any(outcome.error is not None for outcome in done.values()))
                done |= self._await_one()
            outcome = done.pop(number)
            if outcome.error is not None:
                raise _placed(outcome.error, outcome.worker)
            yield outcome.sums

    @property
    def _cluster(self) -> Client:
        if self._client is None or self._client.status != "running":
            raise self._lost()
        return self._client

    def _feed(self, *, stop: bool = False) -> None:
        """Hand blocks to the cluster, unless a later one has been found wrong: those before it are still awaited."""
        if stop or self._next == len(self._blocks):
            return
        client = self._cluster
        try:
            threads = sum(client.nthreads().values())
        except (OSError, AttributeError) as error:  # a client that has lost its scheduler has no comm to it
            raise self._lost() from error
        while self._next < len(self._blocks) and len(self._pending) < AHEAD + 2 * threads:
            number = self._next
            future = client.submit(
                score_on_worker,
                self._scorer,
                self._blocks[number],
                run=self._run,
                made_with=(__version__, np.__version__),
                key=f"attneval-{self._run}-{number}",
                priority=-number,  # those that are waited for first go first
                pure=False,
            )
            self._pending[number] = future
            future.add_done_callback(functools.partial(self._tell, number))
            self._next += 1

    def _tell(self, number: int, _: Future) -> None:
        self._finished.put(number)

    def _await_one(self) -> dict[int, Outcome]:
        """Wait until a block is finished, looking after the cluster meanwhile."""
        while True:
            try:
                number = self._finished.get(timeout=PULSE)
            except queue.Empty:
                self._look_after()
                continue
            if number in self._pending:
                return {number: self._outcome(number)}

    def _look_after(self) -> None:
        """Give up waiting for a cluster that is not there any more.

        Raises:
            AttnevalError: The scheduler is lost, or there have been no workers for long.
        """
        client = self._cluster
        try:
            workers = len(client.nthreads())
        except (OSError, AttributeError) as error:
            raise self._lost() from error
        if workers:
            self._lonely_since = None
            return
        now = time.monotonic()
        self._lonely_since = self._lonely_since or now
        if now - self._lonely_since > PATIENCE:
            raise AttnevalError(
                f"the cluster of {self._where} has had no workers for {PATIENCE:.0f} s",
                hint=f"start some: dask worker {self._where} --nthreads 1",
            )

    def _outcome(self, number: int) -> Outcome:
        """Fetch the answer of a worker."""
        from distributed import KilledWorker

        future = self._pending[number]
        while True:
            try:
                outcome = future.result(timeout=10 * PULSE)
                break
            except (TimeoutError, asyncio.TimeoutError):  # one and the same from Python 3.11 on
                self._look_after()  # the worker that had it is gone, and another one does it again
            except KilledWorker as error:
                raise AttnevalError(
                    f"several workers were killed one after the other, the last {error.last_worker.address}, each at "
                    f"work on {self._blocks[number]}, as happens when memory runs out",
                    hint="give workers more memory, or one thread each",
                ) from error
            except Exception as error:  # whatever a worker without this package or its files lets through
                self._look_after()
                raise AttnevalError(f"a worker cannot score {self._blocks[number]} ({error!r})", hint=SAME) from error
        del self._pending[number]
        return Outcome(*outcome)

    @property
    def _where(self) -> str:
        return self._scheduler or "this machine"

    def _lost(self) -> AttnevalError:
        return AttnevalError(
            f"the scheduler of {self._where} is lost; {self._next - len(self._pending)} of {len(self._blocks)} blocks "
            "were scored",
            hint="nothing was written: run it again",
        )


def _connected(stack: ExitStack, jobs: int, scheduler: str) -> Client:
    """A client of a cluster, both of which end with the stack.

    Raises:
        AttnevalError: Dask is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise AttnevalError(f"--engine dask needs dask.distributed ({error})", hint=to_install("dask")) from error
    stack.enter_context(_silent())
    try:
        if not scheduler:
            cluster = local_cluster(jobs)
            stack.callback(_ended, cluster)
        client = Client(scheduler or cluster, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, RuntimeError, asyncio.TimeoutError) as error:
        where = f"the scheduler {scheduler}" if scheduler else "a cluster of this machine"
        hint = "start one: dask scheduler" if scheduler else 'in a script, score under if __name__ == "__main__":'
        raise AttnevalError(f"{where} does not answer ({error})", hint=hint) from error
    stack.callback(_ended, client)
    return client


def local_cluster(jobs: int) -> LocalCluster:
    """Start a cluster of this machine, of workers of one thread each, for whoever ends it."""
    import dask
    from distributed import LocalCluster

    with dask.config.set(QUIET):
        return LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=":0", silence_logs=SILENCE)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep a cluster's ups and downs out of stderr: what matters of them is raised."""
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict) if name.startswith(LOGGERS)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(SILENCE)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _ended(part: Any) -> None:
    with suppress(Exception):  # it may be gone, and nobody needs it any more
        part.close(timeout=20)


def _placed(error: AttnevalError, worker: str) -> AttnevalError:
    """An error, with the worker that came upon it."""
    placed = copy.copy(error)
    placed.message = f"{error.message} (worker {worker})"
    placed.args = (placed.message,)
    return placed
