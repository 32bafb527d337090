"""Engines run blocks. Adding one takes a file and a line of the table here.

An engine is a callable `start(blocks, scorer, jobs)`. It returns a context manager whose value yields the sums of the
blocks in their order; leaving the context ends whatever is still at work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

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


ENGINES = {
    "serial": "attneval.evaluation.engines.serial:start",
    "processes": "attneval.evaluation.engines.processes:start",
}
"""By name, where the engine is."""


def choose_jobs(jobs: int | None, size: int) -> int:
    """Choose the number of processes for maps of so many bytes: as many as are asked for, or two where that pays."""
    if jobs is not None:
        return jobs
    from attneval.evaluation.engines.processes import worthwhile_jobs

    return worthwhile_jobs(size)


def engine(name: str, jobs: int = 1) -> Engine:
    """An engine by name; `auto` is other processes where there are several jobs, and this one alone otherwise.

    Raises:
        ProtocolError: There is none of that name.
    """
    if name == "auto":
        name = "serial" if jobs == 1 else "processes"
    if name not in ENGINES:
        raise ProtocolError(
            f"engine {name!r} does not exist", hint=suggestion(name, ENGINES, f"use {', '.join(ENGINES)}")
        )
    module, _, attribute = ENGINES[name].partition(":")
    made: Engine = getattr(importlib.import_module(module), attribute)
    return made
