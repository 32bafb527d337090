"""The work of a Dask cluster's workers: blocks are scored there, of files that are opened once."""

from __future__ import annotations

import functools
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval._version import __version__
from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from collections.abc import Callable

SAME = "install the same attneval, Python and numpy on the workers, so that sums are equal to the last bit"


@dataclass(frozen=True)
class Outcome:
    """The answer of a worker for a block.

    Attributes:
        sums: The block's sums; None if there is an error.
        error: What is wrong with the block.
        worker: The worker's address.
    """

    sums: Any
    error: AttnevalError | None
    worker: str


def score_on_worker(
    scorer: bytes, block: Any, *, run: str, made_with: tuple[str, str]
) -> tuple[Any, AttnevalError | None, str]:
    """Score a block on a worker.

    Args:
        scorer: What scores it, pickled: the names of files, which are opened once.
        block: The block.
        run: The name of the run, for which files are opened once.
        made_with: The versions of attneval and numpy that the others have.

    Returns:
        The fields of an `Outcome`.
    """
    from distributed import get_worker

    address = get_worker().address
    here = __version__, np.__version__
    if here != made_with:
        text = "attneval {} and numpy {}"
        refusal = AttnevalError(
            f"there is {text.format(*here)} on a worker, and {text.format(*made_with)} here", hint=SAME
        )
        return None, refusal, address
    try:
        return _opened(scorer, run)(block), None, address
    except AttnevalError as error:
        return None, error, address


@functools.lru_cache(maxsize=2)
def _opened(scorer: bytes, run: str) -> Callable[[Any], Any]:  # noqa: ARG001 - what it is kept by
    """A scorer with its files open, which this worker keeps for a run."""
    opened: Callable[[Any], Any] = pickle.loads(scorer)  # noqa: S301 - from the client, as everything that a worker runs
    return opened
