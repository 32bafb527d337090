"""Files that are read: whatever the system says of a path is one refusal that names it.

A path is not asked before it is opened: names may be too long, folders closed, and files gone in between.
"""

from __future__ import annotations

import mmap
import os
import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from attneval.errors import DataError
from attneval.storage.addresses import RemotePath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader
    from pathlib import Path


@contextmanager
def reading(path: Path, *, error: type[DataError] = DataError, hint: str = "") -> Iterator[None]:
    """Turn what the system says while a path is read into a refusal that names it.

    Args:
        path: The file or folder.
        error: What is raised.
        hint: The way out.

    Raises:
        DataError: The path does not exist, is too long, is no path at all, or cannot be read.
    """
    try:
        yield
    except OSError as problem:
        raise error(f"{_shortened(path)}: {problem.strerror or problem}", hint=hint) from problem
    except ValueError as problem:
        if "null" not in str(problem):
            raise
        raise error(f"{_shortened(path)!r} is no path ({problem})", hint=hint) from problem


def _shortened(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 200 else f"{text[:80]} ... {text[-80:]}"


def open_to_read(path: Path, *, error: type[DataError] = DataError, pipes: bool = False) -> BufferedReader:
    """Open a file for reading bytes.

    Args:
        path: The file.
        error: What is raised.
        pipes: Whether it may be a pipe, which cannot be read twice.

    Raises:
        DataError: It cannot be opened, or it is a directory, a device, or a pipe.
    """
    with reading(path, error=error):
        if isinstance(path, RemotePath):
            return path.open()
        # Opening a pipe waits for who writes into it, so its kind is asked first.
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path.stat is the same
        if not (stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode))):
            raise error(f"{_shortened(path)}: is {_kind(mode)}, and no file")
        return path.open("rb")


def read_bytes(path: Path, *, error: type[DataError] = DataError) -> bytes:
    """Read a whole file; see `open_to_read`."""
    with open_to_read(path, error=error) as file, reading(path, error=error):
        return file.read()


def size_of(file: IO[bytes]) -> int:
    """The bytes of an open file, which is at its start afterwards."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def window_of(file: BufferedReader, first: int, count: int) -> tuple[bytes | mmap.mmap, int]:
    """Some bytes of an open file, mapped where it is on this machine, and where in what is returned they begin.

    Args:
        file: The file.
        first: The first byte.
        count: How many, at least one.
    """
    read_at = getattr(file.raw, "read_at", None)
    if read_at is not None:
        return read_at(first, count), 0
    skipped = first % mmap.ALLOCATIONGRANULARITY
    mapped = mmap.mmap(file.fileno(), count + skipped, access=mmap.ACCESS_READ, offset=first - skipped)
    return mapped, skipped


def is_folder(path: Path) -> bool:
    """Test for a folder; what cannot be asked is none."""
    return _is(path, stat.S_ISDIR)


def is_file(path: Path) -> bool:
    """Test for a file; what cannot be asked is none."""
    return _is(path, stat.S_ISREG)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path.is_file raises where names are too long
    except (OSError, ValueError):
        return False
    return kind(mode)


def _kind(mode: int) -> str:
    kinds = {"a directory": stat.S_ISDIR, "a pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}
    return next((name for name, test in kinds.items() if test(mode)), "a device")
