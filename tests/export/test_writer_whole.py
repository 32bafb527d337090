"""Exports are written whole or not at all, whatever ends the writing."""

from __future__ import annotations

import gc
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest
from exports import (
    CAT_BOXES,
    CATS,
    DOG,
    GIVEN,
    TWO,
    add_images,
    call,
    perform,
    write,
)

from attneval.errors import DataError, ExportError
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def interrupted(path: Path, error: type[BaseException]) -> None:
    before = listing(path.parent)
    with ExportWriter(path) as out:
        add_images(out)
        out.add_caption("36979", DOG, tokens=["a", "b", "c"])
        assert listing(path.parent) == before  # what is written has no name yet
        raise error


@pytest.mark.parametrize("old", [None, b"what was there before"], ids=["new", "old"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_what_was_there(tmp_path: Path, old: bytes | None, error: type[BaseException]) -> None:
    path = tmp_path / "maps.npz"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error):
        interrupted(path, error)
    assert listing(tmp_path) == ([] if old is None else ["maps.npz"])
    assert old is None or path.read_bytes() == old


def test_a_refusal_at_the_end_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    path.write_bytes(b"old")
    with pytest.raises(ExportError, match="similarity"):
        perform(path, (GIVEN, call("set_similarity", np.eye(5))))
    assert listing(tmp_path) == ["maps.npz"]
    assert path.read_bytes() == b"old"


def test_closing_early_and_twice(tmp_path: Path) -> None:
    expected = write(tmp_path / "expected.npz").read_bytes()
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("36979", DOG, index=0, text="a café dog", spans=[(0, 1), (2, 6), (7, 10)])
        out.add_caption("4711", CATS, index=3, text="cats", spans=[(0, 4)])
        out.add_caption("36979", TWO, index=1, text="Two", spans=[(-1, -1), (0, 3)])
        out.close()
        assert (tmp_path / "maps.npz").read_bytes() == expected
        for name, given, named in (
            call("add_image", "1", size=(1, 1), boxes=CAT_BOXES),
            call("add_caption", "4711", CATS, index=4, text="cats", spans=[(0, 4)]),
            call("set_similarity", np.zeros((2, 3))),
            call("describe", {"model": "SCAN"}),
        ):
            with pytest.raises(ExportError, match=r"maps\.npz is closed: nothing can be added"):
                getattr(out, name)(*given, **named)
    out.close()
    assert (tmp_path / "maps.npz").read_bytes() == expected
    assert listing(tmp_path) == ["expected.npz", "maps.npz"]


def test_what_was_given_up_is_not_closed_in_silence(tmp_path: Path) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    with pytest.raises(ExportError, match="similarity"):
        out.close()
    with pytest.raises(ExportError, match=r"maps\.npz is given up"):
        out.close()
    assert listing(tmp_path) == []


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files cannot grow beyond a size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(out: ExportWriter, captions: int) -> None:
    """Add maps of 720 kB each, in both directions."""
    out.add_image("1", boxes=np.zeros((36, 4)))
    maps = np.ones((1, 5000, 36))
    for index in range(captions):
        out.add_captions(["1"], maps, indices=[index], tokens=[["a"] * 5000], attention_i2t=maps)


def test_a_disk_that_fills_up_while_maps_are_added(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    path.write_bytes(b"old")

    def write_on() -> None:
        with ExportWriter(path) as out:
            with pytest.raises(DataError, match=r"maps\.npz cannot be written"):
                fill(out, 100)
            # Whoever goes on in spite of it gets no file with a hole in it.
            out.close()

    with room_for(10 * 720_000), pytest.raises(DataError, match=r"maps\.npz cannot be written"):
        write_on()
    assert listing(tmp_path) == ["maps.npz"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("room", [1, 1.5, 2, 2.01])
def test_a_disk_that_fills_up_at_the_end(tmp_path: Path, room: float) -> None:
    path = tmp_path / "maps.npz"
    path.write_bytes(b"old")
    with room_for(int(room * 720_000)), pytest.raises(DataError, match=r"maps\.npz cannot be written"):
        perform_fill(path)
    assert listing(tmp_path) == ["maps.npz"]
    assert path.read_bytes() == b"old"


def perform_fill(path: Path) -> None:
    with ExportWriter(path) as out:
        fill(out, 1)


@pytest.mark.parametrize("system", ["nameless", "named"])
@pytest.mark.parametrize("captions", [0, 1, 3])
def test_a_writer_that_is_forgotten_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, captions: int
) -> None:
    if system == "named":
        monkeypatch.setattr("attneval.storage.drafts._open_nameless", lambda _: None)
    out = ExportWriter(tmp_path / "maps.npz")
    fill(out, captions)
    assert len(listing(tmp_path)) == (system == "named")
    del out
    gc.collect()
    assert listing(tmp_path) == []


def test_a_system_whose_files_all_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = write(tmp_path / "expected.npz").read_bytes()
    monkeypatch.setattr("attneval.storage.drafts._open_nameless", lambda _: None)
    assert write(tmp_path / "maps.npz").read_bytes() == expected
    with pytest.raises(ExportError, match="similarity"):
        perform(tmp_path / "maps.npz", (GIVEN, call("set_similarity", np.eye(5))))
    assert listing(tmp_path) == ["expected.npz", "maps.npz"]
    assert (tmp_path / "maps.npz").read_bytes() == expected


def test_the_file_is_there_after_closing_and_not_before(tmp_path: Path) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    add_images(out)
    out.add_caption("36979", DOG, tokens=["a", "b", "c"])
    assert listing(tmp_path) == []
    out.close()
    assert listing(tmp_path) == ["maps.npz"]


KILLED = """
import os, sys, time
import numpy as np
from attneval.export.write import writer
from attneval.storage import npz

def stop():
    print("now", flush=True)
    time.sleep(60)

path, when = sys.argv[1:]
if when == "finishing":
    npz._write_member = lambda archive, *member: stop()
elif when == "placing":
    os.replace = os.link = lambda *names, **_: stop()
with writer.ExportWriter(path) as out:
    out.add_image("1", boxes=np.zeros((36, 4)))
    for index in range(20):
        out.add_caption("1", np.ones((500, 36)), index=index, tokens=["a"] * 500)
    if when == "adding":
        stop()
"""


@pytest.mark.parametrize("when", ["adding", "finishing", "placing"])
@pytest.mark.parametrize("old", [None, b"what was there before"], ids=["new", "old"])
def test_a_killed_run_leaves_the_old_file_or_none(tmp_path: Path, when: str, old: bytes | None) -> None:
    path = tmp_path / "maps.npz"
    if old is not None:
        path.write_bytes(old)
    with subprocess.Popen([sys.executable, "-c", KILLED, path, when], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert path.exists() == (old is not None)
    assert old is None or path.read_bytes() == old
    if when != "placing":
        assert listing(tmp_path) == ([] if old is None else ["maps.npz"])
    assert [name for name in listing(tmp_path) if name.endswith(".npz")] == ([] if old is None else ["maps.npz"])
