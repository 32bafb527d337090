"""Headers of arrays: the quick reading of what numpy writes is what numpy itself reads."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.lib import format as npy

from attneval.errors import ExportError
from attneval.storage.npy import read_layout

TYPES = ["?", "i1", "<u2", "<i4", "<i8", "<f2", "<f4", "<f8", "<U3", "S4", ">i4", "<c8", "<M8[ns]"]
SHAPES = [(), (0,), (3,), (2, 3), (2, 0, 4), (1, 2, 3, 4, 5), (12, 1)]


def written(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TYPES)
def test_a_header_is_what_numpy_reads(dtype: str, shape: tuple[int, ...], order: str) -> None:
    data = written(np.zeros(shape, dtype, order="F" if order == "F" else "C"))
    stream = io.BytesIO(data)
    npy.read_magic(stream)
    there, fortran, kind = npy.read_array_header_1_0(stream)
    layout = read_layout(io.BytesIO(data), len(data), "x")
    assert (layout.shape, layout.dtype, layout.header) == (there, kind, stream.tell())
    assert layout.order == ("F" if fortran else "C")


@pytest.mark.parametrize("change", [(b"<f4", b"<f3"), (b"<f4", b"<f1"), (b"(3,)", b"(4,)"), (b"(3,)", b"(-3)")])
def test_a_header_that_lies_is_refused(change: tuple[bytes, bytes]) -> None:
    data = written(np.zeros(3, np.float32)).replace(*change)
    with pytest.raises(ExportError):
        read_layout(io.BytesIO(data), len(data), "x")


def test_a_header_may_be_longer_than_usual() -> None:
    data = written(np.zeros(3, np.float32))
    longer = data[:8] + (1014).to_bytes(2, "little") + data[10:127] + b" " * 896 + data[127:]
    assert read_layout(io.BytesIO(longer), len(longer), "x").header == 1024
