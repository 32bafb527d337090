"""The lock of a run's folder: its files belong together, so that only one process may write them."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from attneval.errors import DataError
from attneval.storage.drafts import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder if it is not there, and keep other processes that ask for its lock out of it.

    The system gives the lock up when the process ends, however it ends; the empty file stays. Where a file system knows
    no locks, the folder is written without.

    Raises:
        DataError: Another process has the lock, or the folder cannot be written.
    """
    path = folder / NAME
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        if not _lock(file):
            raise DataError(
                f"{folder}: another process writes this run", hint="wait for it, or choose another folder with -o"
            )
        yield


def _lock(file: IO[bytes]) -> bool:
    """Take the lock of a file without waiting; False if another process has it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}
    return True
