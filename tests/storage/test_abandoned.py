"""What a process that is killed leaves behind while it puts a file in place: nothing, or what the next one removes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from attneval.storage import drafts
from attneval.storage.drafts import Draft
from attneval.storage.whole_files import replacing, replacing_folder, write_text

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="drafts are locked as on Linux")

KILLED = """
import os, pathlib, signal, sys
import os

from attneval.storage import drafts, whole_files

path, system = pathlib.Path(sys.argv[1]), sys.argv[2]
if system == "named":
    drafts._open_nameless = lambda _: None
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
whole_files.write_text(path, "new")
"""
KILLED_FOLDER = """
import os, pathlib, signal, sys
from attneval.storage.whole_files import replacing_folder

with replacing_folder(pathlib.Path(sys.argv[1])) as draft:
    (draft / "a.txt").write_text("new")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(code: str, *arguments: object) -> None:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=False)
    assert done.returncode == -signal.SIGKILL


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("system", ["nameless", "named"])
@pytest.mark.parametrize("name", ["r.json", "x" * 250, "[a]*?.json"])
def test_the_next_write_removes_what_a_killed_one_left(tmp_path: Path, system: str, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    killed(KILLED, path, system)
    assert path.read_text() == "old"
    assert len(listing(tmp_path)) == 2  # the draft is there, between its link and its rename
    write_text(path, "newer")
    assert listing(tmp_path) == [name]
    assert path.read_text() == "newer"


def test_a_first_write_has_no_moment_between(tmp_path: Path) -> None:
    """Where nothing stands, the file without a name gets the one that it is to have."""
    code = KILLED.replace("whole_files.write_text", "whole_files.write_text(path, 'whole'); whole_files.write_text")
    killed(code, tmp_path / "r.json", "nameless")
    assert (tmp_path / "r.json").read_text() == "whole"
    (tmp_path / "r.json").unlink()
    for left in tmp_path.iterdir():
        left.unlink()
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "r.json"), "nameless"], check=False)
    assert done.returncode == 0  # os.replace is never called
    assert (tmp_path / "r.json").read_text() == "new"


@pytest.mark.parametrize("system", ["nameless", "named"])
def test_drafts_of_those_who_live_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """Two writers of one file, one of which publishes while the other is between its link and its rename."""
    path = tmp_path / "r.json"
    path.write_text("old")
    if system == "named":
        monkeypatch.setattr(drafts, "_open_nameless", lambda _: None)
    slow = Draft(path)
    slow.file.write(b"slow")
    replace = os.replace

    def while_others_write(*names: Any) -> None:
        monkeypatch.setattr(os, "replace", replace)
        write_text(path, "quick")
        replace(*names)

    monkeypatch.setattr(os, "replace", while_others_write)
    slow.publish()
    slow.discard()
    assert path.read_text() == "slow"
    assert listing(tmp_path) == ["r.json"]


def test_a_file_that_came_in_between_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with replacing(path) as file:
        file.write(b"mine")
        path.write_text("others")
    assert path.read_text() == "mine"
    assert listing(tmp_path) == ["r.json"]


def test_other_hidden_files_stay(tmp_path: Path) -> None:
    for name in (".r.json.part", ".r.json.12345678.parts", ".s.json.12345678.part", ".r.json.1234567.part"):
        (tmp_path / name).write_text("")
    before = listing(tmp_path)
    write_text(tmp_path / "r.json", "x")
    write_text(tmp_path / "r.json", "y")
    assert listing(tmp_path) == sorted([*before, "r.json"])


@pytest.mark.parametrize("old", [True, False])
def test_folders_are_replaced_whole(tmp_path: Path, old: bool) -> None:
    folder = tmp_path / "shown"
    if old:
        folder.mkdir()
        (folder / "old.txt").write_text("old")
    killed(KILLED_FOLDER, folder)
    assert folder.exists() == old
    assert not old or listing(folder) == ["old.txt"]
    assert len(listing(tmp_path)) == 1 + old
    with replacing_folder(folder) as draft:
        (draft / "b.txt").write_text("newer")
    assert listing(tmp_path) == ["shown"]
    assert listing(folder) == ["b.txt"]


def test_a_folder_that_is_given_up_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    folder.mkdir()
    (folder / "old.txt").write_text("old")
    given_up = pytest.raises(RuntimeError)
    with given_up, replacing_folder(folder) as draft:
        (draft / "b.txt").write_text("newer")
        raise RuntimeError
    assert listing(tmp_path) == ["shown"]
    assert listing(folder) == ["old.txt"]
