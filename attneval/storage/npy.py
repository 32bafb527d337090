"""Headers of `.npy` arrays, read as if whoever wrote them meant harm."""

from __future__ import annotations

import math
import re
import warnings
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib import format as npy

from attneval.arrays.records import record
from attneval.errors import ExportError
from attneval.storage.addresses import is_remote
from attneval.storage.read_files import open_to_read, reading, size_of, window_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LARGEST = np.iinfo(np.intp).max
"""Bytes beyond which numpy makes no array, counting an axis of length 0 as 1."""
USUAL_BYTES = 128
"""Bytes of the header of nearly every array."""
_USUAL = re.compile(
    rb"\x93NUMPY\x01\x00(?P<size>..)(?P<text>\{'descr': '(?P<descr>[<|][biuf][1248]|<U[0-9]{1,9})', 'fortran_order': "
    rb"(?P<order>False|True), 'shape': \((?P<shape>|[0-9]{1,18},|[0-9]{1,18}(, [0-9]{1,18})+)\), \} *\n)",
    re.DOTALL,
)


@record
class Layout:
    """Declarations of an array's header.

    Attributes:
        dtype: Of an element.
        shape: Of the array.
        order: `C` or `F`.
        header: Bytes before the first element.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    header: int

    @property
    def size(self) -> int:
        """Bytes of header and array together."""
        return self.header + math.prod(self.shape) * self.dtype.itemsize


def read_layout(stream: IO[bytes], size: int, where: str) -> Layout:
    """Read the header of an array and hold it against the bytes that there are.

    Args:
        stream: At its start.
        size: Bytes of header and array.
        where: The file and the member, for messages.

    Raises:
        ExportError: It is no array, an array of Python objects or of records, or declares what its bytes are not.
    """
    try:
        layout = _parsed(stream)
    except Exception as error:  # numpy's parser lets errors of half a dozen modules through
        raise ExportError(f"{where} is no numpy array ({error})") from error
    dtype, shape = layout.dtype, layout.shape
    if dtype.hasobject:
        raise ExportError(
            f"{where} holds pickled Python objects, which are never loaded",
            hint="write numbers and text as plain arrays",
        )
    if dtype.names or dtype.subdtype:
        raise ExportError(f"{where} is a structured array, of {dtype}; the format has none")
    if layout.size != size:
        raise ExportError(f"{where} declares shape {shape} of {dtype}, {layout.size} bytes, but holds {size} bytes")
    # Where an entry takes no bytes, or there is none, any shape adds up.
    extent = math.prod([length or 1 for length in shape])
    if (math.prod(shape) and not dtype.itemsize) or extent * dtype.itemsize > LARGEST:
        raise ExportError(f"{where} declares shape {shape} of {dtype}, which no array has")
    return layout


def map_npy(path: Path) -> NDArray[Any]:
    """Map an `.npy` file.

    Raises:
        ExportError: It cannot be read, or it is not what it declares.
    """
    with open_to_read(path, error=ExportError) as stream:
        layout = read_layout(stream, size_of(stream), f"{path} is no .npy array: it")
        if not math.prod(layout.shape):
            return np.zeros(layout.shape, layout.dtype)
        with reading(path, error=ExportError):
            if is_remote(path):  # such a file is one matrix, of which every row is looked at
                window, skipped = window_of(stream, layout.header, layout.size - layout.header)
                flat = np.frombuffer(window, layout.dtype, math.prod(layout.shape), skipped)
                return flat.reshape(layout.shape, order=layout.order)
            return np.memmap(stream, layout.dtype, "r", layout.header, layout.shape, layout.order)


def _parsed(stream: IO[bytes]) -> Layout:
    start = stream.tell()
    usual = _USUAL.match(stream.read(USUAL_BYTES))
    # What numpy itself writes is told by its pattern, at a tenth of the time that evaluating the header takes.
    if usual is not None and int.from_bytes(usual["size"], "little") == len(usual["text"]):
        descr, order, shape = usual["descr"].decode(), usual["order"], usual["shape"]
        lengths = tuple(int(length) for length in shape.split(b",") if length.strip())
        return Layout(np.dtype(descr), lengths, "F" if order == b"True" else "C", start + usual.end())
    stream.seek(start)
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"npy version {version[0]}.{version[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a damaged header is parsed as Python, which has remarks on it
        shape, fortran, dtype = readers[version](stream)
    # To Python, True is an integer too.
    if not all(type(length) is int for length in shape):
        raise ValueError(f"shape {shape} is not of whole numbers")
    if min(shape, default=0) < 0:
        raise ValueError(f"negative shape {shape}")
    return Layout(dtype, shape, "F" if fortran else "C", stream.tell())
