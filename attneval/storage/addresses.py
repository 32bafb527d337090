"""Files at addresses such as `s3://bucket/maps.npz`, as paths that nothing is fetched for until they are read."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from pathlib import Path, PosixPath, WindowsPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":
    _Local = WindowsPath
else:
    _Local = PosixPath

_ADDRESS = re.compile(r"(?:[A-Za-z][\w+.-]*::)*[A-Za-z][\w+.-]+://")
_SECRETS = re.compile(r"(?i)signature|token|secret|credential|password|\bsig=|\bkey=")
HIDDEN = "..."
"""The text that stands in messages and results in place of a secret."""


def located(path: str | os.PathLike[str]) -> Path:
    """A path on this machine, or a file at an address."""
    if isinstance(path, RemotePath):
        return path
    text = os.fspath(path)
    return RemotePath(text) if _ADDRESS.match(text) else Path(text)


def is_remote(path: object) -> bool:
    """Tell a file at an address from one on this machine."""
    return isinstance(path, RemotePath)


class RemotePath(_Local):
    """A file at an address, to be read and nothing else.

    Passwords and signatures of an address are not shown: `str` is for messages, `address` is what is opened.

    Args:
        address: Where it is, as fsspec takes it.
    """

    address: str

    def __new__(cls, address: str) -> RemotePath:  # noqa: PYI034 - `Self` is from Python 3.11
        """Make a path of an address."""
        made = super().__new__(cls, address)
        made.address = address
        return made

    def __init__(self, address: str) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(address)
        self.address = address

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePath, (self.address,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __str__(self) -> str:
        parts = urlsplit(self.address)
        query = HIDDEN if _SECRETS.search(parts.query) else parts.query
        user, at, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{HIDDEN if user else ''}{at}{host}", query=query))

    def __repr__(self) -> str:
        return f"RemotePath({str(self)!r})"

    def __fspath__(self) -> str:
        """The address, so that nothing on this machine is taken for it."""
        return self.address

    def __truediv__(self, name: str | os.PathLike[str]) -> RemotePath:
        """A file below this one, which has none: annotations at an address are single files."""
        return RemotePath(f"{self.address.rstrip('/')}/{os.fspath(name)}")

    @property
    def name(self) -> str:
        """The last part of the address, without what is asked of it."""
        return urlsplit(self.address).path.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The suffix of the name."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def parent(self) -> Path:  # type: ignore[override]
        """The place that holds it."""
        return RemotePath(self.address.rstrip("/").rpartition("/")[0])

    def with_name(self, name: str) -> Path:  # type: ignore[override]
        """A file beside this one."""
        return RemotePath(f"{self.address.rstrip('/').rpartition('/')[0]}/{name}")

    def resolve(self, strict: bool = False) -> Path:  # type: ignore[override]  # noqa: ARG002, FBT001, FBT002 - see Path
        """The path itself."""
        return self

    def absolute(self) -> RemotePath:
        """The path itself."""
        return self

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002 - the interface of Path
        """Give size and kind: a file; the other numbers are 0.

        Raises:
            OSError: It is not there, is a folder, or cannot be asked.
        """
        with self.open() as file:
            size = file.seek(0, os.SEEK_END)
        return os.stat_result((stat.S_IFREG, 0, 0, 0, 0, 0, size, 0, 0, 0))

    def exists(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - the interface of Path
        """Tell whether there is a file; whatever else keeps it from being read is raised."""
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - the interface of Path
        """See `exists`."""
        return self.exists()

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - the interface of Path
        """Say no: a folder at an address is not read."""
        return False

    def iterdir(self) -> Iterator[Path]:  # type: ignore[override]
        """Give nothing, see `is_dir`."""
        return iter(())

    def open(self, mode: str = "rb", *_: Any, **__: Any) -> io.BufferedReader:  # type: ignore[override]
        """Open it for reading bytes.

        Raises:
            OSError: It cannot be.
        """
        from attneval.storage.remote import RangeFile

        if mode != "rb":
            raise OSError(f"{self} is read as bytes")
        return io.BufferedReader(RangeFile(self.address, str(self)))

    def read_bytes(self) -> bytes:
        """Read all of it."""
        with self.open() as file:
            return file.read()

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:  # noqa: ARG002
        """Read all of it as text."""
        with self.open() as file:
            return file.read().decode(encoding or "utf-8", errors or "strict")
