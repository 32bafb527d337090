"""Reading files at addresses by ranges of bytes, through fsspec: what is not looked at is not fetched."""

from __future__ import annotations

import io
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from attneval.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK_BYTES = 2**15
"""Bytes that are fetched together where few are looked at: a header, an entry of a directory."""
MOST_AHEAD = 2**7
"""Blocks that are fetched together at most, where one is read after the other."""
MOST_BLOCKS = 2**8
"""Blocks that are kept."""
TRIES = 4
PAUSE = 0.2
"""Times that a range is asked for before it is given up, and seconds before the second time; then twice as many."""
FOR_GOOD = (FileNotFoundError, PermissionError, IsADirectoryError)
"""Errors that another try does not change."""


class RangeFile(io.RawIOBase):
    """A file at an address, read where it is looked at.

    Args:
        address: Where it is, with whatever secrets that takes.
        shown: What it is called in messages.

    Raises:
        OSError: It is not there, cannot be read, or its server gives no ranges of bytes.
        DataError: A package that reads such addresses is not installed.
    """

    def __init__(self, address: str, shown: str) -> None:
        super().__init__()
        self.name = address
        self._shown = shown
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._place = self._ahead = 0
        self._last = -2
        self._file = _opened(address, shown)
        self.size = int(self._file.seek(0, os.SEEK_END))

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(f"{self._shown} has no place {base + offset}")
        self._place = base + offset
        return self._place

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill a buffer from the next bytes on, but for the end of the file."""
        view = memoryview(buffer).cast("B")
        data = self.read_at(self._place, min(len(view), max(self.size - self._place, 0)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read all that is left, in one go."""
        data = self.read_at(self._place, max(self.size - self._place, 0))
        self._place += len(data)
        return data

    def read_at(self, first: int, count: int) -> bytes:
        """Read some bytes: a large range by itself, a small one from blocks that are kept.

        Args:
            first: The first byte.
            count: How many.
        """
        if not count:
            return b""
        with self._lock:
            if count > BLOCK_BYTES:
                return self._fetch(first, first + count)
            last = (first + count - 1) // BLOCK_BYTES
            blocks = [self._block(number) for number in range(first // BLOCK_BYTES, last + 1)]
        start = first % BLOCK_BYTES
        return b"".join(blocks)[start : start + count]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            # Who reads on gets twice as much each time.
            self._ahead = min(max(2 * self._ahead, 1), MOST_AHEAD) if number == self._last + 1 else 1
            first = number * BLOCK_BYTES
            data = self._fetch(first, min(first + self._ahead * BLOCK_BYTES, self.size))
            for k in range(-(-len(data) // BLOCK_BYTES)):
                self._blocks[number + k] = data[k * BLOCK_BYTES : (k + 1) * BLOCK_BYTES]
                self._last = number + k
        self._blocks.move_to_end(number)
        block = self._blocks[number]
        while len(self._blocks) > MOST_BLOCKS:
            self._blocks.popitem(last=False)
        return block

    def _fetch(self, first: int, stop: int) -> bytes:
        """Fetch a range; a network that fails is asked again.

        Raises:
            OSError: It fails each time, or gives another number of bytes.
        """
        data = b""
        for left in reversed(range(TRIES)):
            try:
                self._file.seek(first)
                data = bytes(self._file.read(stop - first))
                if len(data) == stop - first:
                    return data
            except FOR_GOOD:
                raise
            except Exception as error:  # each protocol has its own
                if not left:
                    raise OSError(f"bytes {first} to {stop} cannot be read ({_brief(error)})") from error
            if left:
                time.sleep(PAUSE * 2 ** (TRIES - 1 - left))
        raise OSError(f"bytes {first} to {stop} were asked for, and {len(data)} bytes came: has it changed?")


def _opened(address: str, shown: str) -> Any:
    """A file of fsspec, which fetches what is read of it and nothing more."""
    try:
        import fsspec
    except ImportError as error:
        raise DataError(f"{shown} needs fsspec", hint="pip install '.[remote]' in a clone") from error
    try:
        system, place = fsspec.url_to_fs(address)
        info = system.info(place)
        file = None if _refusal(info) else system.open(place, "rb", cache_type="none")
    except ImportError as error:
        raise DataError(f"{shown} needs another package ({error})", hint="pip install it") from error
    except ValueError as error:
        raise DataError(f"{shown} cannot be opened ({_brief(error)})", hint="fsspec has no such protocol?") from error
    except FileNotFoundError as error:
        raise FileNotFoundError(2, "is not there", shown) from error
    except OSError:
        raise
    except Exception as error:  # each protocol has its own
        raise OSError(f"cannot be opened ({_brief(error)})") from error
    if file is None:
        raise OSError(_refusal(info))
    return file


def _refusal(info: dict[str, Any]) -> str:
    """Say why a file is not read, from what its server says of it; empty where it is."""
    if info.get("type") == "directory":
        return "is a folder, and folders at addresses are not read"
    if info.get("size") is None or info.get("partial") is False:
        return "is served whole only, without its size or ranges of bytes; copy it here first"
    return ""


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__).replace("\n", " ")[:200]
