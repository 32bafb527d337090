"""The members of an `.npz`, read without unpickling and, where they are stored, without loading.

`numpy.load` ignores `mmap_mode` for `.npz` files. A stored member is however a run of bytes at a known offset, so it
is mapped here piece by piece: a window of a large member costs the pages that are looked at and nothing else.
"""

from __future__ import annotations

import math
import struct
import weakref
import zipfile
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attneval.arrays.records import record
from attneval.errors import ExportError
from attneval.storage.addresses import is_remote
from attneval.storage.npy import Layout, read_layout
from attneval.storage.read_files import open_to_read, size_of, window_of
from attneval.storage.zip_files import ZipReader, inflates_beyond_reason, reading_zip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

CHECK_BYTES = 2**20
"""Bytes that are looked at together for a checksum."""


class Members(Protocol):
    """Named arrays, wherever they come from."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The declared shape of a member."""

    def dtype(self, name: str) -> np.dtype[Any]:
        """The declared type of a member."""

    def source_dtype(self, name: str) -> str:
        """The name of the type that a member's numbers had in the file, also where numpy lacks it."""

    def array(self, name: str) -> NDArray[Any]:
        """A whole member."""

    def window(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """The entries [start, stop) of a member's first axis, valid for as long as they are held."""


@record
class _Entry:
    info: zipfile.ZipInfo
    layout: Layout
    offset: int | None  # where the array's bytes start in the file; None if they are deflated


class Archive:
    """An `.npz` file opened for reading.

    Args:
        path: The file.

    Raises:
        ExportError: It is no zip file, it is cut off, or a member is there twice, holds Python objects, is encrypted,
            declares a size that its bytes do not have, or inflates beyond reason.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_to_read(path, error=ExportError)
        try:
            self._size = size_of(self._file)
            self._zip = self._directory()
            self._loaded: dict[str, NDArray[Any]] = {}
            self._entries = self._entries_by_name()
        except BaseException:
            self._file.close()
            raise
        # Windows outlive the archive, so nobody knows when to close it better than the garbage collector.
        weakref.finalize(self, self._file.close)

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, without `.npy`."""
        return tuple(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """The declared shape of a member; its size has been checked against its bytes."""
        return self._entries[name].layout.shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The declared type of a member."""
        return self._entries[name].layout.dtype

    def source_dtype(self, name: str) -> str:
        """The name of a member's type."""
        return str(self.dtype(name).name)

    def array(self, name: str) -> NDArray[Any]:
        """A whole member: mapped if it is stored; inflated or fetched once and kept if it is deflated, or not here."""
        entry = self._entries[name]
        layout = entry.layout
        if entry.offset is not None and is_remote(self.path):
            if name not in self._loaded:
                self._loaded[name] = self._map(layout.dtype, entry.offset, math.prod(layout.shape))
            return self._loaded[name].reshape(layout.shape, order=layout.order)
        if entry.offset is not None:
            flat = self._map(layout.dtype, entry.offset, math.prod(layout.shape))
            return flat.reshape(layout.shape, order=layout.order)
        if name not in self._loaded:
            self._loaded[name] = self._inflate(name, entry).reshape(layout.shape, order=layout.order)
        return self._loaded[name]

    def window(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """The entries [start, stop) of a member's first axis.

        A window of a stored member is a mapping of its own, so that its pages leave memory with it.
        """
        entry = self._entries[name]
        layout = entry.layout
        if entry.offset is None or layout.order == "F":
            return self.array(name)[start:stop]
        width = math.prod(layout.shape[1:])
        first = entry.offset + start * width * layout.dtype.itemsize
        return self._map(layout.dtype, first, (stop - start) * width).reshape(stop - start, *layout.shape[1:])

    def broken(self) -> str | None:
        """The first member whose checksum is wrong, reading every byte."""
        return next((name for name, entry in self._entries.items() if not self._is_sound(entry)), None)

    def _is_sound(self, entry: _Entry) -> bool:
        try:
            with reading_zip(self.path, error=ExportError), self._zip.open(entry.info) as stream:
                while stream.read(CHECK_BYTES):
                    pass
        except ExportError:
            return False
        return True

    def _directory(self) -> ZipReader:
        hint = "it may be cut off or still being written; write it again with np.savez or attneval.ExportWriter"
        with reading_zip(f"{self.path} is no complete .npz file", error=ExportError, hint=hint):
            return ZipReader(self._file)

    def _entries_by_name(self) -> dict[str, _Entry]:
        entries: dict[str, _Entry] = {}
        for info in self._zip.infolist():
            name = info.filename.removesuffix(".npy")
            if name in entries:
                raise ExportError(f"{self.path}: member {name} is there twice", hint="keep one of them")
            entries[name] = self._entry(info, f"{self.path}: member {name}")
        return entries

    def _entry(self, info: zipfile.ZipInfo, where: str) -> _Entry:
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or info.flag_bits & 1:
            raise ExportError(
                f"{where} is encrypted or packed in a way numpy does not write", hint="write it with np.savez"
            )
        if inflates_beyond_reason(info):
            raise ExportError(
                f"{where} inflates from {info.compress_size} to {info.file_size} bytes",
                hint="store it instead of deflating it: np.savez, not np.savez_compressed",
            )
        with reading_zip(f"{where} is no numpy array", error=ExportError), self._zip.open(info) as stream:
            layout = read_layout(stream, info.file_size, where)
        offset = None
        if info.compress_type == zipfile.ZIP_STORED:
            with reading_zip(f"{where} is damaged", error=ExportError):
                start = self._data_offset(info)
            offset = start + layout.header
            if start + info.file_size > self._size:
                raise ExportError(f"{where} declares {info.file_size} bytes in a file of {self._size}")
        return _Entry(info, layout, offset)

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        # The lengths in the local header may differ from those in the central directory.
        self._file.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", self._file.read(4))
        return int(info.header_offset + 30 + name_length + extra_length)

    def _map(self, dtype: np.dtype[Any], first: int, count: int) -> NDArray[Any]:
        if not count:
            return np.zeros(0, dtype)
        window, skipped = window_of(self._file, first, count * dtype.itemsize)
        return np.frombuffer(window, dtype, count, skipped)

    def _inflate(self, name: str, entry: _Entry) -> NDArray[Any]:
        with reading_zip(f"{self.path}: member {name} is damaged", error=ExportError):
            data = self._zip.read(entry.info)
        layout = entry.layout
        return np.frombuffer(data, layout.dtype, math.prod(layout.shape), layout.header)


class Arrays:
    """Arrays in memory that are read like an archive.

    Args:
        path: The file they came from, for messages.
        arrays: The arrays by name.
        dtypes: The types that some of them had in the file, where numpy lacks these.
    """

    def __init__(self, path: Path, arrays: Mapping[str, NDArray[Any]], dtypes: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._dtypes = dict(dtypes or {})
        self._arrays = dict(arrays)

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names."""
        return tuple(self._arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a member."""
        return self._arrays[name].shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The type of a member."""
        return self._arrays[name].dtype

    def source_dtype(self, name: str) -> str:
        """The name of the type that a member had in the file."""
        return self._dtypes.get(name, str(self.dtype(name).name))

    def array(self, name: str) -> NDArray[Any]:
        """A whole member."""
        return self._arrays[name]

    def window(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """The entries [start, stop) of a member's first axis."""
        return self._arrays[name][start:stop]
