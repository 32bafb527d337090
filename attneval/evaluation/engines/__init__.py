"""Engines run blocks. Adding one takes a file and a line of the table here.

An engine is a callable `start(blocks, scorer, jobs)`; one that takes the address of a scheduler has that as a fourth
argument. It returns a context manager whose value yields the sums of the blocks in their order; leaving the context
ends whatever is still at work.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from attneval.errors import ProtocolError, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    class Engine(Protocol):
        """A starter of the work on blocks."""

        def __call__(
            self, blocks: Sequence[Any], scorer: Callable[[Any], Any], jobs: int
        ) -> AbstractContextManager[Iterator[Any]]:
            """Start to score blocks."""


class Row(NamedTuple):
    """An engine.

    Attributes:
        start: Where it is, `module:callable`.
        workers: Whether it has workers of its own, by default one for each processor.
        scheduler: Whether it takes the address of a scheduler.
    """

    start: str
    workers: bool = False
    scheduler: bool = False


ENGINES = {
    "serial": Row("attneval.evaluation.engines.serial:start"),
    "processes": Row("attneval.evaluation.engines.processes:start"),
    "dask": Row("attneval.evaluation.engines.dask:start", workers=True, scheduler=True),
}
"""The engines by name."""


def choose_jobs(jobs: int | None, size: int, name: str | Engine = "auto") -> int:
    """Choose the number of processes for maps of so many bytes: as many as are asked for, or two where that pays.

    Args:
        jobs: How many are asked for; None for what suits the engine.
        size: Bytes of maps.
        name: The engine.
    """
    if jobs is not None:
        return jobs
    from attneval.evaluation.engines.processes import processors, worthwhile_jobs

    row = ENGINES.get(name) if isinstance(name, str) else None
    return processors() if row is not None and row.workers else worthwhile_jobs(size)


def engine(name: str | Engine, jobs: int = 1, scheduler: str = "") -> Engine:
    """An engine by name, or itself.

    `auto` is a cluster where there is a scheduler, other processes for several jobs, and else this process alone.

    Args:
        name: The name, or the engine.
        jobs: How many processes there are.
        scheduler: The address of a scheduler; empty for none.

    Raises:
        ProtocolError: There is none of that name, or it has no use for a scheduler.
    """
    if not isinstance(name, str):
        return name
    clustered = [other for other, row in ENGINES.items() if row.scheduler]
    if name == "auto":
        name = clustered[0] if scheduler else "serial" if jobs == 1 else "processes"
    if name not in ENGINES:
        raise ProtocolError(
            f"engine {name!r} does not exist", hint=suggestion(name, ENGINES, f"use {', '.join(ENGINES)}")
        )
    if scheduler and name not in clustered:
        raise ProtocolError(
            f"a scheduler ({scheduler}) is given, and engine {name} has none",
            hint=f"add --engine {' or '.join(clustered)}",
        )
    module, _, attribute = ENGINES[name].start.partition(":")
    made: Any = getattr(importlib.import_module(module), attribute)
    bound: Engine = partial(made, scheduler=scheduler) if scheduler else made
    return bound
