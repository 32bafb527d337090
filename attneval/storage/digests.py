"""SHA-256 digests of files, computed beside other work."""

from __future__ import annotations

import hashlib
import os
import zipfile
from functools import partial
from typing import TYPE_CHECKING

from attneval.arrays.beside import Beside
from attneval.storage.addresses import is_remote
from attneval.storage.read_files import open_to_read, reading

if TYPE_CHECKING:
    from pathlib import Path

STATE_BYTES = 2**16
"""Bytes at the start of a file that is no zip file which say what it is."""


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


def state_of(path: Path) -> str:
    """The marks of a file that is not read whole: its size, and for a zip file its members' checksums, as one digest.

    Equal files have equal states wherever they are; a zip file that was changed has another.

    Raises:
        DataError: It cannot be read.
    """
    from attneval.storage.zip_files import ZipReader

    with open_to_read(path) as file, reading(path):
        start = file.read(STATE_BYTES)
        digest = hashlib.sha256(f"{file.seek(0, os.SEEK_END)}\n".encode())
        try:
            infos = ZipReader(file).infolist() if start.startswith(b"PK") else []
        except zipfile.BadZipFile:
            infos = []  # whoever opens it says what is wrong with it
        for info in infos:
            digest.update(f"{info.filename} {info.file_size} {info.CRC}\n".encode("utf-8", "surrogatepass"))
        if not infos:
            digest.update(start)
    return digest.hexdigest()


PARTIAL_DIGEST = "partial:"
"""The beginning of a digest of what a file is known by, of one that was not read whole."""


def partial_digest(path: Path) -> str:
    """The digest that stands in place of one of all of a file; see `state_of`."""
    return PARTIAL_DIGEST + state_of(path)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, or the partial one of a file at an address, which is not read whole."""
    return partial_digest(path) if is_remote(path) else sha256_of(path)


def digest_beside(path: Path) -> Beside[str]:
    """Let another thread compute the SHA-256 of a file, once that is started; see `digest_of`."""
    return Beside(partial(digest_of, path))


def sha256_of_many(digests: dict[str, bytes]) -> str:
    """One SHA-256 for several files: of the lines that `sha256sum` prints for them, sorted by name."""
    lines = "".join(f"{digest.hex()}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()
