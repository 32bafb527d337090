"""Writing `.npz` files as numpy does: stored members, fixed dates, so that equal content gives equal bytes."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tempfile
import weakref
import zipfile
import zlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from attneval.errors import ExportError
from attneval.storage.crc32 import crc_moved
from attneval.storage.drafts import Draft, Unbuffered, write_soon, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from numpy.typing import NDArray

COPY_BYTES = 2**18
"""Bytes that are copied at once: few enough to be still in the cache when they are written."""
WRITE_BYTES = 2**21
"""Bytes that are written at once, so that threads take turns rarely."""


def write_npz(file: IO[bytes], members: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of any shape as an `.npz`."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, member in members.items():
            _write_member(archive, name, member)


def _write_member(archive: zipfile.ZipFile, name: str, member: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
        npy.write_array(target, member, allow_pickle=False)


class GrowingNpz:
    """An `.npz` in the making: flat arrays that grow, and then whole ones.

    Only one member of a zip file can grow, since the others come behind it. It is the first to which something is
    appended; others grow in a spool each, from which they are copied in the end. Another thread writes, one piece of
    `WRITE_BYTES` while the next is gathered. It belongs to the process that makes it, and is refused to those that are
    forked from there: threads are not forked, and what they were writing is not theirs.

    Args:
        path: The file whose place it takes.

    Attributes:
        discard: Give everything up; also called when nobody holds it any more.

    Raises:
        DataError: The directory cannot be written.
    """

    def __init__(self, path: Path) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._path = path
        self._draft = Draft(path)
        self._archive = zipfile.ZipFile(self._draft.file, "w")
        self._growing: dict[str, _Growing] = {}
        self._thread = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None
        self._finished = False
        self.discard = weakref.finalize(self, _give_up, self._thread, self._growing, self._archive, self._draft)

    @property
    def growing(self) -> bool:
        """True once anything was appended."""
        return bool(self._growing)

    def append(self, parts: Mapping[str, NDArray[Any]]) -> None:
        """Append to arrays [n, ...] by name; the type of each is that of what comes first.

        Raises:
            ExportError: It is finished or given up.
            DataError: It belongs to another process, or a file for what grows cannot be made, and then nothing is
                appended; or what was appended before cannot be written: the disk is full.
        """
        self.refuse_if_over()
        for name, values in parts.items():
            if name not in self._growing:
                with writing(self._path):
                    self._growing[name] = self._started(name, values.dtype)
        for name, values in parts.items():
            growing = self._growing[name]
            rest = growing.gather(values.ravel())
            while len(rest):
                self._write(growing)
                rest = growing.gather(rest)

    def _started(self, name: str, dtype: np.dtype[Any]) -> _Growing:
        if self._growing:
            return _Spool(self._archive, name, dtype, self._path.parent)
        return _First(self._archive, name, dtype, self._draft.file)

    def finish(self, rest: Callable[[], Mapping[str, NDArray[Any]]]) -> None:
        """Add whole arrays, and put the file in place; nothing more is done the second time.

        Args:
            rest: Makes them, of any shape, while what was appended is still being written.

        Raises:
            ExportError: It is given up.
            DataError: It belongs to another process, the disk is full, or a directory is in the way.
        """
        if self._finished:
            return
        self.refuse_if_over()
        try:
            for growing in self._growing.values():
                self._write(growing)
            members = rest()
            self._wait()
            with writing(self._path):
                for growing in self._growing.values():
                    growing.finish()
                for name, member in members.items():
                    _write_member(self._archive, name, member)
                self._archive.close()
            self._draft.publish()
            self._finished = True
        finally:
            self.discard()

    def refuse_if_over(self) -> None:
        """Refuse what comes too late, or in another process.

        Raises:
            ExportError: It is finished or given up.
            DataError: It belongs to another process.
        """
        self._draft.refuse_foreign()
        if not self.discard.alive:
            raise ExportError(f"{self._path} is {'closed' if self._finished else 'given up'}: nothing can be added")

    def _write(self, growing: _Growing) -> None:
        self._wait()
        self._written = self._thread.submit(growing.write, growing.gathered())

    def _wait(self) -> None:
        """Wait until what was handed over is written; what went wrong is said each time."""
        if self._written is not None:
            with writing(self._path):
                self._written.result()


def _give_up(thread: Executor, growing: Mapping[str, _Growing], archive: zipfile.ZipFile, draft: Draft) -> None:
    if draft.foreign:
        archive.fp = None  # its file is closed, and locks that other threads had are taken for ever
    else:
        # A piece may still be being written, and its file must not be closed before. What came of it nobody asks.
        with suppress(RuntimeError):  # it cannot wait for itself, should the garbage be collected there
            thread.shutdown()
    ends: list[Callable[[], None]] = [*(copy.close for copy in growing.values()), archive.close]
    for end in ends:
        # A zip file cannot be left before its end is written; whether that can be done is all the same.
        with suppress(AttributeError, OSError, ValueError, struct.error):
            end()
    archive.fp = None  # else it would try again when it is collected
    draft.discard()


class _Growing:
    """A flat array that grows, and becomes a member of an archive.

    Args:
        archive: The archive.
        info: The member.
        dtype: Of the elements.
        file: Where they are written.
    """

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, dtype: np.dtype[Any], file: IO[bytes]) -> None:
        self._archive, self._info, self._dtype, self._file = archive, info, dtype, file
        self._count = 0
        self._gathered = 0
        # One is filled while the other is written.
        self._buffer, self._other = (np.empty(WRITE_BYTES // dtype.itemsize, dtype) for _ in range(2))
        self.close = file.close

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Copy elements, and return those for which there is no room."""
        room = self._buffer[self._gathered :]
        taken = values[: len(room)]
        room[: len(taken)] = taken
        self._gathered += len(taken)
        return values[len(taken) :]

    def gathered(self) -> NDArray[Any]:
        """The elements that were gathered; they hold until this is called again."""
        elements = self._buffer[: self._gathered]
        self._buffer, self._other, self._gathered = self._other, self._buffer, 0
        return elements

    def write(self, values: NDArray[Any]) -> None:
        """Append elements to the file."""
        self._file.write(values.data)
        self._count += len(values)

    def header(self) -> bytes:
        """The bytes that numpy writes before the elements: as many for all counts, as it leaves room for growth."""
        header = io.BytesIO()
        shape = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self._count,)}
        npy.write_array_header_1_0(header, shape)
        return header.getvalue()

    def finish(self) -> None:
        """Become a whole member."""
        raise NotImplementedError


class _First(_Growing):
    """Grows in the archive's file itself; its header and its checksum, which tell its length, are put right last."""

    def __init__(self, archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], target: IO[bytes]) -> None:
        info = zipfile.ZipInfo(f"{name}.npy")
        super().__init__(archive, info, dtype, archive.open(info, "w", force_zip64=True))
        self._target = target
        self._header = self.header()
        self._file.write(self._header)

    def write(self, values: NDArray[Any]) -> None:
        first = self._target.tell()
        super().write(values)
        write_soon(self._target, first)

    def finish(self) -> None:
        self.close()
        header = self.header()
        self._info.CRC ^= crc_moved(zlib.crc32(self._header) ^ zlib.crc32(header), self._count * self._dtype.itemsize)
        self._target.seek(self._info.header_offset)
        self._target.write(self._info.FileHeader(zip64=True) + header)


class _Spool(_Growing):
    """Grows in an unnamed file in some folder, from which it is copied."""

    def __init__(self, archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], folder: Path) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            copy = Unbuffered(os.dup(file.fileno()), "w+b")
        super().__init__(archive, zipfile.ZipInfo(f"{name}.npy"), dtype, copy)

    def finish(self) -> None:
        self._file.seek(0)
        with self._archive.open(self._info, "w", force_zip64=True) as target:
            target.write(self.header())
            shutil.copyfileobj(self._file, target, COPY_BYTES)
