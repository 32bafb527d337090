"""Files that are there whole or not at all, and what they held."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attneval.errors import DataError
from attneval.storage import drafts
from attneval.storage.digests import digest_beside, sha256_of, sha256_of_many
from attneval.storage.drafts import Draft, Unbuffered
from attneval.storage.whole_files import replacing, write_text
from attneval.storage.zip_files import ZipReader

if TYPE_CHECKING:
    from collections.abc import Iterator


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture(params=["nameless", "named"], autouse=True)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Systems with and without files that have no name yet."""
    name: str = request.param
    if name == "named":
        monkeypatch.setattr("attneval.storage.drafts._open_nameless", lambda _: None)
    return name


@pytest.fixture
def umask() -> Iterator[None]:
    """Whatever mask a test sets is taken back."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
def test_a_file_appears_at_once(tmp_path: Path, old: bytes | None, system: str) -> None:
    path = tmp_path / "result.json"
    if old is not None:
        path.write_bytes(old)
    with replacing(path) as file:
        file.write(b"new ")
        file.flush()
        assert path.exists() == (old is not None)
        assert old is None or path.read_bytes() == old
        # The unfinished file lies beside the target, under no name or one that nobody takes for a result.
        parts = set(listing(tmp_path)) - {"result.json"}
        assert len(parts) == (system == "named")
        assert all(part.startswith(".result.json.") and part.endswith(".part") for part in parts)
        file.write(b"content")
    assert listing(tmp_path) == ["result.json"]
    assert path.read_bytes() == b"new content"


@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_what_was_there(tmp_path: Path, old: bytes | None, error: type[BaseException]) -> None:
    path = tmp_path / "result.json"
    if old is not None:
        path.write_bytes(old)

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half of")
            raise error

    with pytest.raises(error):
        fail()
    assert listing(tmp_path) == ([] if old is None else ["result.json"])
    assert old is None or path.read_bytes() == old


def test_a_failure_while_taking_the_place_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    (tmp_path / "result.json").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((OSError, DataError), match="Input/output"):
        write_text(tmp_path / "result.json", "new")
    monkeypatch.undo()
    assert listing(tmp_path) == ["result.json"]
    assert (tmp_path / "result.json").read_bytes() == b"old"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
@pytest.mark.usefixtures("umask")
def test_permissions_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    os.umask(mask)
    write_text(tmp_path / "result.json", "{}")
    assert stat.S_IMODE((tmp_path / "result.json").stat().st_mode) == mode
    assert os.umask(mask) == mask  # and the mask is as it was


def test_text_is_utf8_with_unix_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.md", "é😀\n| a |\r\n")
    assert (tmp_path / "a.md").read_bytes() == b"\xc3\xa9\xf0\x9f\x98\x80\n| a |\r\n"
    write_text(tmp_path / "a.md", "")
    assert (tmp_path / "a.md").read_bytes() == b""


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "no" / "result.json"
    with pytest.raises(DataError) as caught:
        write_text(path, "{}")
    assert str(path) in str(caught.value)
    assert "No such file or directory" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_directory_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    with pytest.raises(DataError, match=r"result\.json"):
        write_text(tmp_path / "result.json", "{}")
    assert listing(tmp_path) == ["result.json"]


def test_what_is_wrong_with_another_file_is_said_of_that_file(tmp_path: Path) -> None:
    def copy() -> None:
        with replacing(tmp_path / "result.json") as file:
            file.write((tmp_path / "none").read_bytes())

    with pytest.raises(FileNotFoundError, match="none"):
        copy()
    assert listing(tmp_path) == []


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    def fill() -> None:
        with replacing(tmp_path / "result.json"):
            raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"result\.json cannot be written \(No space left"):
        fill()
    assert listing(tmp_path) == []


def test_a_draft_that_is_forgotten_is_gone(tmp_path: Path, system: str) -> None:
    draft = Draft(tmp_path / "result.json")
    assert len(listing(tmp_path)) == (system == "named")
    del draft
    gc.collect()
    assert listing(tmp_path) == []


@pytest.mark.parametrize("name", ["n" * 200, "n" * 241, "n" * 250 + ".json", "é" * 127, "😀" * 63], ids=len)
def test_names_of_any_length(tmp_path: Path, name: str, system: str) -> None:
    draft = Draft(tmp_path / name)
    assert all(part.startswith(f".{name[:20]}") and part.endswith(".part") for part in listing(tmp_path))
    assert len(listing(tmp_path)) == (system == "named")
    draft.discard()
    assert listing(tmp_path) == []
    write_text(tmp_path / name, "{}")
    assert listing(tmp_path) == [name]


@pytest.mark.parametrize("name", ["n" * 256, "é" * 128], ids=len)
def test_a_name_that_is_too_long_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot be written \(File name too long"):
        write_text(tmp_path / name, "{}")
    assert listing(tmp_path) == []


@pytest.mark.parametrize("target", ["target.json", "folder/target.json"])
@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "old"])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, target: str, old: bytes | None) -> None:
    (tmp_path / "folder").mkdir()
    if old is not None:
        (tmp_path / target).write_bytes(old)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "again").symlink_to("link")
    write_text(tmp_path / "again", "new")
    assert [(tmp_path / name).readlink() for name in ("again", "link")] == [Path("link"), Path(target)]
    assert (tmp_path / target).read_bytes() == b"new"
    assert not (tmp_path / target).is_symlink()
    assert len(listing(tmp_path)) + len(listing(tmp_path / "folder")) == 4


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("none/c")
    for name, why in (("a", "Too many levels"), ("c", "No such file")):
        with pytest.raises(DataError, match=rf"{name} cannot be written \({why}"):
            write_text(tmp_path / name, "{}")
    assert listing(tmp_path) == ["a", "b", "c"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not say which files are open")
@pytest.mark.parametrize("fails", [False, True])
def test_the_space_of_a_large_file_is_freed_by_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    path, opened = tmp_path / "large", set(Path("/proc/self/fd").iterdir())
    path.write_bytes(b"old")
    monkeypatch.setattr(drafts, "LARGE", 3)
    others: list[threading.Thread] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        others.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    if fails:
        monkeypatch.setattr(os, "replace", lambda *_: (tmp_path / "nothing").rename(path))
        with pytest.raises(DataError, match="No such file"):
            write_text(path, "new")
    else:
        write_text(path, "new")
    for thread in others:
        thread.join()
    assert (len(others), path.read_bytes()) == (1, b"old" if fails else b"new")
    assert set(Path("/proc/self/fd").iterdir()) == opened
    # What is smaller takes less time than a thread.
    monkeypatch.setattr(drafts, "LARGE", 100)
    if not fails:
        write_text(path, "newer")
    assert len(others) == 1


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_permissions_of_what_is_replaced_are_kept(tmp_path: Path, mode: int) -> None:
    (tmp_path / "result.json").write_bytes(b"old")
    (tmp_path / "result.json").chmod(mode)
    write_text(tmp_path / "result.json", "new")
    assert stat.S_IMODE((tmp_path / "result.json").stat().st_mode) == mode
    assert (tmp_path / "result.json").read_bytes() == b"new"


def test_a_file_that_must_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(b"old")
    path.chmod(0o444)
    if os.access(path, os.W_OK):  # as for root
        monkeypatch.setattr(os, "access", lambda own, mode: (own, mode) != (path, os.W_OK))
    with pytest.raises(DataError, match=r"result\.json cannot be written \(Permission denied"):
        write_text(path, "new")
    assert listing(tmp_path) == ["result.json"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("linked", [False, True], ids=["itself", "link"])
@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK], ids=["pipe", "device", "socket"])
def test_a_device_or_a_pipe_is_refused(tmp_path: Path, kind: int, linked: bool) -> None:
    path = tmp_path / "result.json"
    try:
        os.mknod(path, kind | 0o666, os.makedev(1, 3))
    except OSError:
        pytest.skip("such files cannot be made here")
    if linked:
        (tmp_path / "link").symlink_to(path)
    with pytest.raises(DataError, match=r"cannot be written \(it is a device or a pipe, and no file\)"):
        write_text(tmp_path / "link" if linked else path, "{}")
    assert stat.S_IFMT(path.stat().st_mode) == kind
    assert len(listing(tmp_path)) == 1 + linked


def test_lone_surrogates_are_spelled_out(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.npz")
    write_text(tmp_path / "result.json", f'{{"path": "{name}"}}')
    assert (tmp_path / "result.json").read_bytes() == b'{"path": "caf\\udce9.npz"}'
    assert json.loads((tmp_path / "result.json").read_bytes()) == {"path": name}


def test_what_the_disk_has_no_room_for_is_an_error(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Unbuffered(tmp_path / "file", "wb") as file:
        assert [file.write(data) for data in (b"", b"1234", bytearray(2), memoryview(b"").cast("B"))] == [0, 4, 2, 0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                file.write(b"56789")  # of which the system takes four
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "file").stat().st_size == 10


WRITING_TO_A_FULL_PIPE = """
import os, signal, sys, threading
from attneval.storage.drafts import Unbuffered

readable, writable = os.pipe()
file = Unbuffered(writable, "wb")
thread = threading.Thread(target=file.write, args=(bytes(2**20),))
thread.start()
received = len(os.read(readable, 1))  # so that it is writing
child = os.fork()
if not child:
    signal.alarm(20)
    file.close()
    sys.exit(0)
while received < 2**20:
    received += len(os.read(readable, 2**16))
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_closes_what_another_thread_of_its_parent_writes() -> None:
    # Newer versions warn of forks while there are threads, which this is about.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", WRITING_TO_A_FULL_PIPE]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_cannot_put_its_parents_draft_in_place(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "result.json")
    draft.file.write(b"mine")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            draft.publish()
        except DataError as error:
            code = 0 if f"result.json belongs to process {os.getppid()}" in str(error) else 2
        draft.discard()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not (tmp_path / "result.json").exists()
    draft.publish()
    assert (tmp_path / "result.json").read_bytes() == b"mine"
    assert listing(tmp_path) == ["result.json"]


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20 + 17])
def test_the_digest_of_a_file(tmp_path: Path, size: int) -> None:
    data = (b"0123456789" * (size // 10 + 1))[:size]
    (tmp_path / "data").write_bytes(data)
    assert sha256_of(tmp_path / "data") == hashlib.sha256(data).hexdigest()


def test_digests_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"abc")
    assert sha256_of(tmp_path / "data") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of_many({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_of_several_files_is_that_of_the_list_sha256sum_prints() -> None:
    contents = {"b.xml": b"two", "a/b.txt": b"", "é.txt": b"three", "A": b"one"}
    digests = {name: hashlib.sha256(data).digest() for name, data in contents.items()}
    lines = (
        f"{hashlib.sha256(b'one').hexdigest()}  A\n"
        f"{hashlib.sha256(b'').hexdigest()}  a/b.txt\n"
        f"{hashlib.sha256(b'two').hexdigest()}  b.xml\n"
        f"{hashlib.sha256(b'three').hexdigest()}  é.txt\n"
    )
    assert sha256_of_many(digests) == hashlib.sha256(lines.encode()).hexdigest()
    turned = dict(reversed(digests.items()))
    assert sha256_of_many(turned) == sha256_of_many(digests)
    assert sha256_of_many({**digests, "A": digests["b.xml"]}) != sha256_of_many(digests)


def test_a_digest_that_another_thread_computes(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"abc" * 10**6)
    hashing = digest_beside(tmp_path / "data")
    for _ in range(2):
        assert hashing.result() == hashlib.sha256(b"abc" * 10**6).hexdigest()


def test_a_digest_of_what_is_not_there(tmp_path: Path) -> None:
    hashing = digest_beside(tmp_path / "data")
    with pytest.raises(DataError) as caught:
        hashing.result()
    assert str(tmp_path / "data") in str(caught.value)
    assert "No such file" in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_reads_a_zip_file_without_disturbing_its_parent(tmp_path: Path) -> None:
    data = {"a": bytes(range(256)) * 2000, "b": bytes(reversed(range(256))) * 2000}
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        for name, content in data.items():
            archive.writestr(name, content)
    for file in (tmp_path / "zip", (tmp_path / "zip").open("rb")):
        with ZipReader(file) as archive, archive.open("a") as mine:
            start = mine.read(1000)
            assert archive.fp is not None
            place = os.lseek(archive.fp.fileno(), 0, os.SEEK_CUR)
            child = os.fork()
            if child == 0:
                os._exit(0 if archive.read("b") == data["b"] and archive.read("a") == data["a"] else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert os.lseek(archive.fp.fileno(), 0, os.SEEK_CUR) == place
            assert start + mine.read() == data["a"]
        if not isinstance(file, Path):
            file.close()
