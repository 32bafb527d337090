"""Writing files so that a reader only ever sees a whole one, and saying what a file held."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attneval.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def writing(path: Path, *, reading: bool = False) -> Iterator[None]:
    """Turn what the system says while `path` is written into a refusal that names it.

    Args:
        path: The file to write.
        reading: Others are read meanwhile: errors that name a file are about those and pass.

    Raises:
        DataError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        if reading and error.filename is not None:
            raise
        raise DataError(f"{path} cannot be written ({error.strerror or error})") from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of `path` when the block ends well and is removed when it does not.

    Raises:
        DataError: The directory cannot be written, the disk is full, or a directory is in the way.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with writing(path, reading=True), os.fdopen(handle, "wb") as file:
            yield file
        # mkstemp makes private files; a result is as readable as any other file.
        mask = os.umask(0)
        os.umask(mask)
        with writing(path):
            os.chmod(name, 0o666 & ~mask)  # noqa: PTH101 - beside mkstemp and replace, all on one name
            os.replace(name, path)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in place of `path`."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        buffer = memoryview(bytearray(2**20))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


class Hashing:
    """The SHA-256 of a file, computed by another thread while this one goes on.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest: str | OSError = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._digest = sha256_of(self._path)
        except OSError as error:
            self._digest = error

    def hexdigest(self) -> str:
        """Wait for the digest.

        Raises:
            DataError: The file could not be read.
        """
        self._thread.join()
        if isinstance(self._digest, OSError):
            raise DataError(f"{self._path}: {self._digest.strerror}") from self._digest
        return self._digest


def sha256_of_many(digests: dict[str, bytes]) -> str:
    """One SHA-256 for several files: of the lines that `sha256sum` prints for them, sorted by name."""
    lines = "".join(f"{digest.hex()}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()
