"""Annotation files that are read whole: JSON, a JSON value a line, or a pickle of plain values."""

from __future__ import annotations

import hashlib
import json
import stat
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from attneval.errors import GroundTruthError

if TYPE_CHECKING:
    from pathlib import Path


PICKLE_STARTS = b"\x80(]}lc"
"""First bytes of pickles of every protocol; no JSON text begins with one of them."""


class Document:
    """An annotation file, read and parsed once.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def content(self) -> bytes:
        """The file's bytes.

        Raises:
            GroundTruthError: It cannot be read, or is a device or a pipe.
        """
        return self._read(-1)

    def begins(self, start: bytes) -> bool:
        """Tell whether the file begins with some bytes, reading no more than these."""
        return self._read(len(start)) == start

    def _read(self, count: int) -> bytes:
        try:
            mode = self.path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise GroundTruthError(f"{self} is a directory, and a file is needed", hint="name the file")
            if not stat.S_ISREG(mode):
                raise GroundTruthError(f"{self} is a device or a pipe, and no file")
            with self.path.open("rb") as file:
                return file.read(count)
        except OSError as error:
            raise GroundTruthError(f"{self} cannot be read ({error.strerror or error})") from error

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 of the file."""
        return hashlib.sha256(self.content).digest()

    @property
    def is_pickle(self) -> bool:
        """Tell a pickle from text by its first byte."""
        return self.content[:1] != b"" and self.content[0] in PICKLE_STARTS

    @cached_property
    def data(self) -> Any:
        """The value that the file holds; of several JSON values, one a line, their list as `Lines`.

        Raises:
            GroundTruthError: It is neither, holds too large a number, nests too deeply, or would make objects.
        """
        if not self.is_pickle:
            return _parsed(self)
        from attneval.groundtruth.pickles import unpickled

        return unpickled(self.content, str(self))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}  # another process reads the file again


class Lines(list[Any]):
    """The values of a file with one JSON value a line."""


def _parsed(document: Document) -> Any:
    try:
        text = document.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GroundTruthError(f"{document} is not UTF-8 ({error.reason} at byte {error.start})") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            _refuse(document, error)
    except (ValueError, RecursionError) as error:
        _refuse(document, error)
    lines = Lines()
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                lines.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                _refuse(document, error, f"line {number} of ")
    return lines


def _refuse(document: Document, error: Exception, where: str = "") -> NoReturn:
    """Raise what is wrong with a text that should be JSON."""
    if isinstance(error, RecursionError):
        why = "it nests too deeply"
    elif isinstance(error, json.JSONDecodeError):
        why = str(error)
    else:
        why = "it holds a number of too many digits"
    raise GroundTruthError(f"{where}{document} is no JSON ({why})") from None
