"""Drafts: files that take the place of others when they are finished, or are gone."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import sys
import threading
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from attneval.errors import DataError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer


LARGE = 2**22
"""Bytes of a file whose space takes longer to free than a thread to start."""


@contextmanager
def writing(path: Path, *, reading: bool = False) -> Iterator[None]:
    """Turn what the system says while `path` is written into a refusal that names it.

    Args:
        path: The file to write.
        reading: Others are read meanwhile: errors that name a file are about those and pass.

    Raises:
        DataError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        if reading and error.filename is not None:
            raise
        raise DataError(f"{path} cannot be written ({error.strerror or error})") from error


class Unbuffered(io.FileIO):
    """A file that holds nothing back, for what is written in large pieces.

    A process that is forked meanwhile finds neither bytes in it that it would write once more, nor a lock that is taken
    for ever, since the thread that has it was not forked.
    """

    def write(self, data: Buffer, /) -> int:
        """Write all of the data, of which the system takes no more than it has room for, or 2 GB."""
        done, size = super().write(data), memoryview(data).nbytes
        while done < size:
            done += super().write(memoryview(data).cast("B")[done:])
        return done


class Draft:
    """A file that takes the place of another when it is finished, with its permissions, or is gone.

    A symbolic link stays, and what it leads to is replaced. Until then the file has no name where the system can do
    that (Linux, on most disks), so that nothing remains of it however the process ends. Elsewhere, and while it takes
    the place of a file that is there, it is called `.NAME.*.part`. It is locked for as long as its process lives: what
    a process that was killed has left is removed when the same file is written again. It belongs to the process that
    makes it: in one that is forked from there it is closed.

    Args:
        path: The file whose place it takes.

    Attributes:
        file: Open for writing and reading.
        discard: Close the file and remove what there is of it; also called when nobody holds the draft any more.

    Raises:
        DataError: The directory or the file cannot be written, or there is a device or a pipe in its place.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._process = path, os.getpid()
        self._target = Path(os.path.realpath(path))
        self._name = draft_name(self._target)
        with writing(path):
            self._mode = _mode_to_keep(self._target)
            nameless = _open_nameless(self._target.parent)
            self._nameless = nameless is not None
            self.file: IO[bytes] = Unbuffered(self._name, "x+b") if nameless is None else nameless
            hold(self.file.fileno())
        self.discard = weakref.finalize(self, _give_up, self.file, self._name)
        _drafts.add(self)

    @property
    def foreign(self) -> bool:
        """True in a process that was forked from the one to which the draft belongs."""
        return self._process != os.getpid()

    def refuse_foreign(self) -> None:
        """Raise a DataError in a process to which the draft does not belong."""
        if self.foreign:
            raise DataError(
                f"{self._path} belongs to process {self._process}, from which this one ({os.getpid()}) was forked",
                hint="write it there",
            )

    def publish(self) -> None:
        """Put the file in place.

        Raises:
            DataError: The disk is full, a directory is in the way, or the draft belongs to another process.
        """
        self.refuse_foreign()
        with writing(self._path):
            if self._mode is not None:
                os.chmod(self.file.fileno() if os.chmod in os.supports_fd else self._name, self._mode)  # noqa: PTH101
            remove_abandoned(self._target)
            if self._nameless and self._takes_empty_place():
                return
            with _held_beyond(self.file), _freed_later(self._target):
                self.file.close()
                os.replace(self._name, self._target)  # noqa: PTH105 - beside link

    def _takes_empty_place(self) -> bool:
        """Give the file without a name that of its target, if nothing has that, else the name of a draft."""
        # Without src_dir_fd, Python links the link in /proc instead of what it leads to.
        nameless = f"{_OPEN_FILES}/{self.file.fileno()}"
        if self._mode is None:
            with suppress(FileExistsError):
                os.link(nameless, self._target, src_dir_fd=0)
                self.file.close()
                return True
        os.link(nameless, self._name, src_dir_fd=0)
        return False


def draft_name(target: Path) -> Path:
    """Name a draft of a file or folder, in a way that nobody else does."""
    # Names have up to 255 bytes, and characters up to four.
    return target.with_name(f".{target.name[:60]}.{os.urandom(4).hex()}.part")


def hold(descriptor: int) -> bool:
    """Lock a draft for as long as it is open; False if somebody else has locked it, or nothing can be locked."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _held_beyond(file: IO[bytes]) -> Iterator[None]:
    """Keep the lock of a draft beyond its file's end: without one it is taken for one that was left behind."""
    if sys.platform == "win32":  # what is open cannot be renamed there
        yield
        return
    descriptor = os.dup(file.fileno())
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _freed_later(target: Path) -> Iterator[None]:
    """Let another thread free the disk space of a large file that is replaced meanwhile: it takes longer than the rest.

    What is open keeps its space until it is closed; if nothing else does, the end of this process does that.
    """
    descriptor = None
    with suppress(OSError):  # there is none, or it cannot be read, and is freed at once
        if sys.platform != "win32" and target.stat().st_size >= LARGE:  # there, what is open cannot be replaced
            descriptor = os.open(target, os.O_RDONLY)
    try:
        yield
    finally:
        if descriptor is not None:
            threading.Thread(target=os.close, args=(descriptor,), daemon=True).start()


def remove_abandoned(target: Path) -> None:
    """Remove drafts of a file or folder whose processes were killed: nobody holds them."""
    begin, end = f".{target.name[:60]}.", ".part"
    for name in os.listdir(target.parent):  # noqa: PTH208 - names are all that is asked for
        if not (name.startswith(begin) and name.endswith(end) and len(name) == len(begin) + 8 + len(end)):
            continue
        left = target.with_name(name)
        with suppress(OSError):  # it was published meanwhile, or is somebody else's
            descriptor = os.open(left, os.O_RDONLY)
            try:
                if hold(descriptor):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            finally:
                os.close(descriptor)


def _mode_to_keep(path: Path) -> int | None:
    """The permissions of the file that is going to be replaced; None if there is none.

    Raises:
        OSError: It is no file, or must not be written.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe, and no file")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(mode)


_drafts: weakref.WeakSet[Draft] = weakref.WeakSet()


def _leave_to_the_parent() -> None:
    """In a forked process: nothing of what is done with drafts must get into the parent's files."""
    for draft in _drafts:
        draft.discard.detach()
        draft.file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)

_OPEN_FILES = "/proc/self/fd"


def _open_nameless(folder: Path) -> IO[bytes] | None:
    """A file without a name, which can still be given one; None where there are no such files."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir(_OPEN_FILES):  # noqa: PTH112 - beside link
        return None
    try:
        return Unbuffered(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b")
    except OSError:
        return None


def write_soon(file: IO[bytes], first: int) -> None:
    """Have the system begin to bring a file's bytes from `first` on to the disk.

    It would otherwise bring all of them there when the file takes the place of another, while its owner waits.
    """
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):  # it is no more than advice
            os.posix_fadvise(file.fileno(), first, 0, os.POSIX_FADV_DONTNEED)


def _give_up(file: IO[bytes], name: Path) -> None:
    for end in (file.close, name.unlink):
        with suppress(OSError):  # what cannot be written is not wanted, and mostly there is no such name
            end()
