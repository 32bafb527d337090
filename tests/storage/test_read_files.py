"""Paths that lead nowhere: one refusal that names the path, whoever reads it."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import attneval
from attneval.errors import DataError, ExportError
from attneval.export.pack import open_any
from attneval.export.read.boxfile import with_boxes
from attneval.export.read.reader import find_problems, open_export
from attneval.export.read.similarity import open_similarity
from attneval.storage.archive import Archive
from attneval.storage.digests import digest_beside
from attneval.storage.npy import map_npy
from attneval.storage.read_files import is_file, is_folder, open_to_read, read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

USERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "open_to_read": ("x", open_to_read),
    "digest": ("x", lambda path: digest_beside(path).result()),
    "read_bytes": ("x", read_bytes),
    "Archive": ("x.npz", Archive),
    "map_npy": ("x.npy", map_npy),
    "open_export": ("x.npz", open_export),
    "find_problems": ("x.npz", find_problems),
    "pack": ("x.npz", open_any),
    "pack safetensors": ("x.safetensors", open_any),
    "pack torch": ("x.pt", open_any),
    "similarity": ("x.npy", lambda path: open_similarity([path], None)),
    "boxes npz": ("x.npz", lambda path: with_boxes(_export(path), path)),
    "boxes npy": ("x.npy", lambda path: with_boxes(_export(path), path)),
    "boxes tsv": ("x.tsv", lambda path: with_boxes(_export(path), path)),
}


def _export(path: Path) -> attneval.AttentionExport:
    place = Path(__file__).parents[2] / "fixtures" / "good.npz"
    return open_export(place)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("place", ["missing", "long", "in a file", "null", "folder", "device", "closed"])
def test_paths_that_cannot_be_read(user: str, place: str, tmp_path: Path) -> None:
    name, read = USERS[user]
    if "torch" in user:
        pytest.importorskip("torch")
    path = tmp_path / name
    if place == "long":
        path = tmp_path / f"{'x' * 256}{path.suffix}"
    elif place == "in a file":
        (tmp_path / "file").write_text("")
        path = tmp_path / "file" / name
    elif place == "null":
        path = tmp_path / f"a\0{name}"
    elif place == "folder":
        path.mkdir()
    elif place == "device":
        path.symlink_to("/dev/zero")
    elif place == "closed":
        if os.geteuid() == 0:
            pytest.skip("nothing is closed to root")
        path.write_text("")
        path.chmod(0)
    with pytest.raises(DataError) as caught:
        read(path)
    assert (str(path)[:40] if place in {"long", "null"} else str(path)) in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 400


@pytest.mark.parametrize("user", [name for name in USERS if name != "boxes tsv"])
def test_pipes_are_no_files(user: str, tmp_path: Path) -> None:
    if "torch" in user:
        pytest.importorskip("torch")
    name, read = USERS[user]
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=r"is a pipe, and no file"):
        read(tmp_path / name)


def test_boxes_may_come_through_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.tsv")
    writer = threading.Thread(target=lambda: (tmp_path / "x.tsv").write_bytes(b"no row\n"))
    writer.start()
    with pytest.raises(ExportError, match="line 1 is no row"):
        with_boxes(_export(tmp_path), tmp_path / "x.tsv")
    writer.join()


def test_asking_never_fails_and_digests_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "no", tmp_path / ("x" * 300), tmp_path / "a\0b", tmp_path / "file" / "x"):
        assert not is_file(path)
        assert not is_folder(path)
        with pytest.raises(DataError):
            digest_beside(path).result()
    assert is_file(tmp_path / "file")
    assert is_folder(tmp_path)


def test_no_other_module_opens_files() -> None:
    """Of the folders that read exports; what is opened for writing is a draft."""
    package = Path(attneval.__file__).parent
    opens = re.compile(r"\bpath\.open\(|\.read_bytes\(\)|np\.load\(path|\.read_text\(|\bopen\(path")
    users = {
        path.relative_to(package).as_posix()
        for folder in ("export", "storage", "arrays", "geometry")
        for path in (package / folder).rglob("*.py")
        if opens.search(path.read_text(encoding="utf-8").replace(">>> sorted(np.load(path))", ""))
    }
    assert users == {"storage/read_files.py"}


def test_mapped_arrays_are_what_numpy_loads(tmp_path: Path) -> None:
    for array in (np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.zeros((0, 4))):
        np.save(tmp_path / "x.npy", array)
        assert np.array_equal(map_npy(tmp_path / "x.npy"), array)
