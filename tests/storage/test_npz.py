"""Writing `.npz` files of which one member grows."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

import numpy as np
import pytest

from attneval.errors import DataError, ExportError
from attneval.storage import npz
from attneval.storage.archive import Archive
from attneval.storage.crc32 import crc_moved
from attneval.storage.npz import WRITE_BYTES, GrowingNpz, write_npz

if TYPE_CHECKING:
    from pathlib import Path

A = np.arange(30, dtype=np.float32)


def grown(path: Path, pieces: dict[str, list[int]], values: np.ndarray[tuple[int], np.dtype[np.floating]] = A) -> Path:
    """Arrays of the first values, appended in pieces of some sizes, and one more."""
    file = GrowingNpz(path)
    for name, sizes in pieces.items():
        first = 0
        for size in sizes:
            file.append({name: values[first : first + size]})
            first += size
    file.finish(lambda: {"rest": np.array([[1, 2], [3, 4]])})
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "sizes", [[0], [1], [30], [10, 0, 20], [1] * 30], ids=["empty", "one", "all", "three", "singly"]
)
@pytest.mark.parametrize("write_bytes", [8, 16, 40, 2**20])
def test_what_grows_is_what_numpy_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type[np.floating], sizes: list[int], write_bytes: int
) -> None:
    monkeypatch.setattr(npz, "WRITE_BYTES", write_bytes)
    path = grown(tmp_path / "a.npz", {"a": sizes}, A.astype(dtype))
    with np.load(path) as data:
        assert data.files == ["a", "rest"]
        assert data["a"].dtype == dtype
        np.testing.assert_array_equal(data["a"], A[: sum(sizes)])
        assert data["rest"].tolist() == [[1, 2], [3, 4]]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    read = Archive(path)
    assert read.broken() is None
    np.testing.assert_array_equal(read.array("a"), A[: sum(sizes)])


def test_it_has_the_bytes_of_arrays_that_are_whole(tmp_path: Path) -> None:
    with (tmp_path / "whole.npz").open("wb") as file:
        write_npz(file, {"a": A, "b": A[:7], "c": A[:9], "rest": np.array([[1, 2], [3, 4]])})
    whole = (tmp_path / "whole.npz").read_bytes()
    for pieces in ({"a": [30], "b": [7], "c": [9]}, {"a": [10, 20], "b": [3, 4], "c": [1, 8]}):
        assert grown(tmp_path / "grown.npz", pieces).read_bytes() == whole


def test_nothing_grows(tmp_path: Path) -> None:
    with np.load(grown(tmp_path / "a.npz", {})) as data:
        assert data.files == ["rest"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 writes other local headers, with the same content")
def test_the_local_header_says_what_the_directory_says(tmp_path: Path) -> None:
    path = grown(tmp_path / "a.npz", {"a": [30]})
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("a.npy")
    # APPNOTE 4.3.7 and 4.5.3: sizes that may need eight bytes stand in an extra field, whose number is 1.
    crc, compressed, size, name_length, extra_length = struct.unpack("<LLLHH", data[14:30])
    assert (compressed, size) == (0xFFFFFFFF, 0xFFFFFFFF)
    extra = data[30 + name_length :][:extra_length]
    assert struct.unpack("<HHQQ", extra) == (1, 16, 128 + 120, 128 + 120)
    content = data[30 + name_length + extra_length :][: 128 + 120]
    assert crc == info.CRC == zlib.crc32(content)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 1000, 100_003])
def test_a_change_moves_through_a_checksum(count: int) -> None:
    rng = np.random.default_rng(count)
    before, after, rest = (rng.bytes(size) for size in (40, 40, count))
    change = zlib.crc32(before) ^ zlib.crc32(after)
    assert zlib.crc32(before + rest) ^ crc_moved(change, count) == zlib.crc32(after + rest)


def test_a_change_moves_far() -> None:
    step = crc_moved(0x12345678, 2**33 + 5)
    assert crc_moved(step, 2**40) == crc_moved(0x12345678, 2**40 + 2**33 + 5)
    # x has the order 2^32 - 1, since the polynomial is primitive: after as many bytes, eight times, all is as it was.
    assert crc_moved(0x12345678, 2**32 - 1) == 0x12345678


@pytest.mark.parametrize("system", ["nameless", "named"])
def test_what_is_given_up_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    if system == "named":
        monkeypatch.setattr("attneval.storage.drafts._open_nameless", lambda _: None)
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")
    file = GrowingNpz(path)
    file.append({"a": A, "b": A})
    file.discard()
    assert [own.name for own in tmp_path.iterdir()] == ["a.npz"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("system", ["takes", "refuses", "lacks"])
def test_advice_changes_nothing_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    advice: list[tuple[int, int]] = []

    def advised(descriptor: int, first: int, length: int, _: int) -> None:
        assert os.fstat(descriptor).st_size > first
        advice.append((first, length))
        if system == "refuses":
            raise OSError(22, "Invalid argument")

    if system == "lacks":
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fadvise", advised, raising=False)
        monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    long = np.arange(WRITE_BYTES // 4 * 3, dtype=np.float32)
    file = GrowingNpz(tmp_path / "a.npz")
    file.append({"a": long})
    file.finish(dict)
    with np.load(tmp_path / "a.npz") as data:
        assert np.array_equal(data["a"], long)
    starts = [first for first, _ in advice]
    if system == "lacks":
        assert not starts
    else:
        # One piece after the other, each to the end of what there is.
        assert [length for _, length in advice] == [0, 0, 0]
        assert np.diff(starts).tolist() == [WRITE_BYTES, WRITE_BYTES]


def test_of_what_cannot_all_be_appended_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    file = GrowingNpz(tmp_path / "a.npz")
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.TemporaryFile", full)
        with pytest.raises(DataError, match=r"a\.npz cannot be written \(No space left"):
            file.append({"a": A, "b": A})
    file.append({"a": A[:2], "b": A[2:5]})
    file.finish(dict)
    with np.load(tmp_path / "a.npz") as data:
        assert {name: data[name].tolist() for name in data} == {"a": [0, 1], "b": [2, 3, 4]}


FORKING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from attneval.storage import drafts as files
from attneval.errors import DataError
from attneval.storage import npz

if sys.argv[2] == "named":
    files._open_nameless = lambda folder: None
npz.WRITE_BYTES = 400_000
values = np.arange(150_000, dtype=np.float32)
file = npz.GrowingNpz(Path(sys.argv[1]))
children = []
for _ in range(20):
    file.append({"a": values, "b": -values})
    child = os.fork()  # most often while a piece is being written
    if not child:
        signal.alarm(20)
        try:
            if sys.argv[3] == "append":
                file.append({"a": values, "b": -values})
            elif sys.argv[3] == "finish":
                file.finish(dict)
            elif sys.argv[3] == "discard":
                file.discard()
        except DataError as error:
            assert f"a.npz belongs to process {os.getppid()}" in str(error)
            sys.exit(7)
        sys.exit(0)  # in the ordinary way, which closes all files
    children.append(child)
ended = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
file.finish(dict)
print(*ended)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forked processes")
@pytest.mark.parametrize("system", ["nameless", "named"])
@pytest.mark.parametrize(("does", "code"), [("exit", 0), ("discard", 0), ("append", 7), ("finish", 7)])
def test_a_forked_process_writes_nothing_and_waits_for_nobody(
    tmp_path: Path, system: str, does: str, code: int
) -> None:
    path = tmp_path / "a.npz"
    # Newer versions warn of forks while there are threads, which this is about.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(path), system, does]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{code}\n", "")
    expected = np.tile(np.arange(150_000, dtype=np.float32), 20)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    with np.load(path) as data:
        assert sorted(data) == ["a", "b"]
        np.testing.assert_array_equal(data["a"], expected)
        np.testing.assert_array_equal(data["b"], -expected)
    assert [own.name for own in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("early", [True, False], ids=["given up", "finished"])
def test_nothing_is_added_to_what_is_over(tmp_path: Path, early: bool) -> None:
    file = GrowingNpz(tmp_path / "a.npz")
    file.append({"a": A})
    if early:
        file.discard()
        with pytest.raises(ExportError, match=r"a\.npz is given up"):
            file.finish(dict)
    else:
        file.finish(dict)
        written = (tmp_path / "a.npz").read_bytes()
        file.finish(dict)  # once more, which does no harm
        assert (tmp_path / "a.npz").read_bytes() == written
    with pytest.raises(ExportError, match=rf"a\.npz is {'given up' if early else 'closed'}: nothing can be added"):
        file.append({"a": A})
    assert [own.name for own in tmp_path.iterdir()] == ([] if early else ["a.npz"])


def test_what_is_being_written_is_not_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), []

    def slow(file: IO[bytes], first: int) -> None:
        begun.set()
        time.sleep(0.1)
        ended.append((file.closed, first > 0))

    monkeypatch.setattr(npz, "WRITE_BYTES", 40)
    monkeypatch.setattr(npz, "write_soon", slow)
    file = GrowingNpz(tmp_path / "a.npz")
    file.append({"a": A[:11]})
    assert begun.wait(10)
    file.discard()
    assert ended == [(False, True)]
