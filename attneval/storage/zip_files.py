"""Zip files to read, also by processes that are forked."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import IO, Any


class ZipReader(zipfile.ZipFile):
    """A zip file to read; a forked process opens it anew, so as not to share its parent's place in the file.

    Args:
        file: Its path, or the file itself.
    """

    def __init__(self, file: Path | IO[bytes]) -> None:
        super().__init__(file)
        self._process = os.getpid()

    def open(self, *args: Any, **options: Any) -> IO[bytes]:
        """Open a member, see `zipfile`."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self.fp = Path(str(self.filename)).open("rb")  # noqa: SIM115 - for as long as the process lives
        return super().open(*args, **options)
