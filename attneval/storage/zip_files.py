"""Zip files to read, also by processes that are forked."""

from __future__ import annotations

import os
import zipfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from attneval.errors import AttnevalError, DataError
from attneval.storage.addresses import RemotePath, located

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INFLATE_FREELY = 16 * 2**20
"""Members that inflate to less than this many bytes are read whatever their ratio."""
INFLATE_RATIO = 200
"""Attention deflates by a tenth, text by ten times, and padding by a few dozen; more than this is a bomb."""


class ZipReader(zipfile.ZipFile):
    """A zip file to read; a forked process opens it anew, so as not to share its parent's place in the file.

    Names that were written on Windows with backslashes are read with slashes. A member that was made to fill memory is
    not opened.

    Args:
        file: Its path, or the file itself.
    """

    def __init__(self, file: Path | IO[bytes]) -> None:
        super().__init__(file.open() if isinstance(file, RemotePath) else file)
        self._process = os.getpid()
        for info in self.filelist:
            # What is compared with the member's own header is kept elsewhere.
            info.filename = info.filename.replace("\\", "/")
        self.NameToInfo = {info.filename: info for info in self.filelist}

    def open(self, *args: Any, **options: Any) -> IO[bytes]:
        """Open a member, see `zipfile`."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self.fp = located(str(self.filename)).open("rb")
        name = args[0] if args else options.get("name")
        info = name if isinstance(name, zipfile.ZipInfo) else self.getinfo(str(name))
        if inflates_beyond_reason(info):
            text = f"{info.filename} inflates from {info.compress_size} to {info.file_size} bytes, beyond reason"
            raise zipfile.BadZipFile(text)
        return super().open(*args, **options)


@contextmanager
def reading_zip(what: object, *, error: type[DataError] = DataError, hint: str = "") -> Iterator[None]:
    """Turn whatever is raised while a zip file is read into a refusal: `zipfile` lets errors of many modules through.

    Args:
        what: The file, and the member if it is one.
        error: What is raised.
        hint: The way out.

    Raises:
        DataError: The file is damaged, cut off, or no zip file.
    """
    try:
        yield
    except AttnevalError:
        raise
    except Exception as problem:
        text = str(problem) or type(problem).__name__
        raise error(f"{what} ({text})", hint=hint) from problem


def inflates_beyond_reason(info: zipfile.ZipInfo) -> bool:
    """Test whether a member inflates to so much that it was made to fill memory."""
    return info.compress_type != zipfile.ZIP_STORED and info.file_size > max(
        INFLATE_FREELY, INFLATE_RATIO * info.compress_size
    )
