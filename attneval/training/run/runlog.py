"""The log of a run: one JSON object a line."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from attneval.errors import DataError
from attneval.storage.drafts import writing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class RunLog:
    """Append events to a file and hand them to a listener.

    Args:
        path: The file.
        keep: Bytes of an earlier part of the run that stay; what was logged after its last checkpoint goes.
        listener: Called with every event, logged or not.

    Raises:
        DataError: The file cannot be written, or is shorter than the part that should stay.
    """

    def __init__(self, path: Path, keep: int = 0, listener: Callable[[dict[str, Any]], None] | None = None) -> None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Nothing is held back: what a full disk refuses must not be tried again when the file is closed.
            self._file = path.open("ab", buffering=0)
        self._path = path
        self._listener = listener
        if self._file.tell() < keep:
            self._file.close()
            raise DataError(f"{path}: has {path.stat().st_size} bytes, but the run had logged {keep}")
        self._file.truncate(keep)

    def write(self, event: dict[str, Any]) -> None:
        """Log an event.

        Raises:
            DataError: The file cannot be written.
        """
        line = json.dumps(event).encode() + b"\n"
        with writing(self._path):
            while line:
                line = line[self._file.write(line) :]
        self.show(event)

    def show(self, event: dict[str, Any]) -> None:
        """Hand an event to the listener without logging it."""
        if self._listener is not None:
            self._listener(event)

    def size(self) -> int:
        """Bytes so far, safely on disk.

        Raises:
            DataError: They cannot be brought there.
        """
        with writing(self._path):
            os.fsync(self._file.fileno())
        return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
