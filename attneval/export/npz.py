"""Writing `.npz` files as numpy does: stored members, fixed dates, so that equal content gives equal bytes."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from attneval.files import writing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COPY_BYTES = 2**18
"""Bytes that are copied at once: few enough to be still in the cache when they are written."""


class Spool:
    """A growing flat array in an unnamed file beside the target.

    Args:
        beside: The target; the spool is on the same disk and gone when the process ends, however it does.
        dtype: Of the elements.

    Raises:
        DataError: The directory cannot be written.
    """

    def __init__(self, beside: Path, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.count = 0
        self._beside = beside
        with writing(beside):
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=beside.parent)  # noqa: SIM115 - closed by close()

    def append(self, values: NDArray[Any]) -> None:
        """Append elements.

        Raises:
            DataError: The disk is full.
        """
        with writing(self._beside):
            self._file.write(np.ascontiguousarray(values, self.dtype).data)
        self.count += values.size

    def copy_to(self, target: IO[bytes]) -> None:
        """Write everything to another file."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, COPY_BYTES)

    def close(self) -> None:
        """Give up the file."""
        self._file.close()


def write_npz(file: IO[bytes], members: dict[str, NDArray[Any] | Spool]) -> None:
    """Write arrays and spools as the members of an `.npz`."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, member in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
                if isinstance(member, Spool):
                    target.write(_header(member.dtype, member.count))
                    member.copy_to(target)
                else:
                    npy.write_array(target, member, allow_pickle=False)


def _header(dtype: np.dtype[Any], count: int) -> bytes:
    header = io.BytesIO()
    shape = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (count,)}
    npy.write_array_header_1_0(header, shape)
    return header.getvalue()
