"""SHA-256 digests of files, computed beside other work."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from attneval.errors import DataError
from attneval.storage.read_files import open_to_read, reading

if TYPE_CHECKING:
    from pathlib import Path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        DataError: It cannot be read.
    """
    digest = hashlib.sha256()
    with open_to_read(path) as file, reading(path):
        buffer = memoryview(bytearray(2**20))
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return digest.hexdigest()


class Hashing:
    """The SHA-256 of a file, computed by another thread, once that is started, while this one goes on.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest: str | DataError = ""
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Hashing:
        """Begin, if that has not been done."""
        if self._thread.ident is None:
            self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self._digest = sha256_of(self._path)
        except DataError as error:
            self._digest = error

    def hexdigest(self) -> str:
        """Wait for the digest.

        Raises:
            DataError: The file could not be read.
        """
        self.start()
        self._thread.join()
        if isinstance(self._digest, DataError):
            raise self._digest
        return self._digest


def sha256_of_many(digests: dict[str, bytes]) -> str:
    """One SHA-256 for several files: of the lines that `sha256sum` prints for them, sorted by name."""
    lines = "".join(f"{digest.hex()}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()
