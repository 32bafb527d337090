"""The members of an `.npz`, read without unpickling and, where they are stored, without loading.

`numpy.load` ignores `mmap_mode` for `.npz` files. A stored member is however a run of bytes at a known offset, so it
is mapped here piece by piece: a window of a large member costs the pages that are looked at and nothing else.
"""

from __future__ import annotations

import math
import mmap
import struct
import weakref
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.lib import format as npy

from attneval.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

INFLATE_FREELY = 16 * 2**20
"""Members that inflate to less than this many bytes are read whatever their ratio."""
INFLATE_RATIO = 200
"""Attention deflates by a tenth and padding by a few dozen times; a member that inflates beyond this is a bomb."""


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

    def array(self, name: str) -> NDArray[Any]:
        """A whole member."""

    def window(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """The entries [start, stop) of a member's first axis, valid for as long as they are held."""


@dataclass(frozen=True)
class _Entry:
    info: zipfile.ZipInfo
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: str
    header: int  # bytes of the npy header
    offset: int | None  # where the array's bytes start in the file; None if they are deflated


class Archive:
    """An `.npz` file opened for reading.

    Args:
        path: The file.

    Raises:
        ExportError: It is no zip file, it is cut off, or a member holds Python objects, is encrypted, declares a size
            that its bytes do not have, or inflates beyond reason.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise ExportError(f"{path}: {error.strerror}") from error
        try:
            self._zip = zipfile.ZipFile(self._file)
        except zipfile.BadZipFile as error:
            self._file.close()
            raise ExportError(
                f"{path} is no complete .npz file ({error})",
                hint="it may be cut off or still being written; write it again with np.savez or attneval.ExportWriter",
            ) from error
        # Windows outlive the archive, so nobody knows when to close it better than the garbage collector.
        weakref.finalize(self, self._file.close)
        self._size = path.stat().st_size
        self._loaded: dict[str, NDArray[Any]] = {}
        self._entries = dict(self._entry(info) for info in self._zip.infolist())

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, without `.npy`."""
        return tuple(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """The declared shape of a member; its size has been checked against its bytes."""
        return self._entries[name].shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """The declared type of a member."""
        return self._entries[name].dtype

    def array(self, name: str) -> NDArray[Any]:
        """A whole member: mapped if it is stored, inflated once and kept if it is deflated."""
        entry = self._entries[name]
        if entry.offset is not None:
            return self._map(entry, entry.offset, math.prod(entry.shape)).reshape(entry.shape, order=_order(entry))
        if name not in self._loaded:
            self._loaded[name] = self._inflate(name, entry)
        return self._loaded[name]

    def window(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """The entries [start, stop) of a member's first axis.

        A window of a stored member is a mapping of its own, so that its pages leave memory with it.
        """
        entry = self._entries[name]
        if entry.offset is None or entry.order == "F":
            return self.array(name)[start:stop]
        width = math.prod(entry.shape[1:])
        first = entry.offset + start * width * entry.dtype.itemsize
        return self._map(entry, first, (stop - start) * width).reshape(stop - start, *entry.shape[1:])

    def broken(self) -> str | None:
        """The first member whose checksum is wrong, reading every byte."""
        name = self._zip.testzip()
        return None if name is None else name.removesuffix(".npy")

    def _entry(self, info: zipfile.ZipInfo) -> tuple[str, _Entry]:
        name = info.filename.removesuffix(".npy")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or info.flag_bits & 1:
            raise ExportError(
                f"{self.path}: member {name} is encrypted or packed in a way numpy does not write",
                hint="write it with np.savez",
            )
        try:
            with self._zip.open(info) as stream:
                dtype, shape, fortran, header = _read_npy_header(stream)
        except (ValueError, zipfile.BadZipFile, EOFError, struct.error) as error:
            raise ExportError(f"{self.path}: member {name} is no numpy array ({error})") from error
        where = f"{self.path}: member {name}"
        if dtype.hasobject:
            raise ExportError(
                f"{where} holds pickled Python objects, which are never loaded",
                hint="write numbers and text as plain arrays",
            )
        if dtype.names:
            raise ExportError(f"{where} is a structured array; the format has none")
        declared = header + math.prod(shape) * dtype.itemsize
        if declared != info.file_size:
            raise ExportError(
                f"{where} declares shape {shape} of {dtype}, {declared} bytes, but holds {info.file_size} bytes"
            )
        offset = None
        if info.compress_type == zipfile.ZIP_STORED:
            offset = self._data_offset(info) + header
            if offset - header + info.file_size > self._size:
                raise ExportError(f"{where} declares {info.file_size} bytes in a file of {self._size}")
        elif info.file_size > max(INFLATE_FREELY, INFLATE_RATIO * info.compress_size):
            raise ExportError(
                f"{where} inflates from {info.compress_size} to {info.file_size} bytes",
                hint="store it instead of deflating it: np.savez, not np.savez_compressed",
            )
        return name, _Entry(info, dtype, shape, "F" if fortran else "C", header, offset)

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        # The lengths in the local header may differ from those in the central directory.
        self._file.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", self._file.read(4))
        return int(info.header_offset + 30 + name_length + extra_length)

    def _map(self, entry: _Entry, first: int, count: int) -> NDArray[Any]:
        if count * entry.dtype.itemsize == 0:
            return np.zeros(count, entry.dtype)
        skipped = first % mmap.ALLOCATIONGRANULARITY
        length = count * entry.dtype.itemsize + skipped
        mapped = mmap.mmap(self._file.fileno(), length, access=mmap.ACCESS_READ, offset=first - skipped)
        return np.frombuffer(mapped, entry.dtype, count, skipped)

    def _inflate(self, name: str, entry: _Entry) -> NDArray[Any]:
        try:
            data = self._zip.read(entry.info)
        except (zipfile.BadZipFile, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            raise ExportError(f"{self.path}: member {name} is damaged ({error})") from error
        flat = np.frombuffer(data, entry.dtype, math.prod(entry.shape), entry.header)
        return flat.reshape(entry.shape, order=_order(entry))


class Arrays:
    """Arrays in memory that are read like an archive.

    Args:
        path: The file they came from, for messages.
        arrays: The arrays by name.
    """

    def __init__(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.path = path
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

    def array(self, name: str) -> NDArray[Any]:
        """A whole member."""
        return self._arrays[name]

    def window(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """The entries [start, stop) of a member's first axis."""
        return self._arrays[name][start:stop]


def _order(entry: _Entry) -> Any:
    return entry.order


def _read_npy_header(stream: Any) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"npy version {version[0]}.{version[1]}")
    shape, fortran, dtype = readers[version](stream)
    if min(shape, default=0) < 0:
        raise ValueError(f"negative shape {shape}")
    return dtype, shape, fortran, stream.tell()
