from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any, cast

import pytest
from training.runs import toy_config
from training.toy import small_model

from attneval.errors import DataError
from attneval.training.data.vocabulary import SPECIALS, Vocabulary
from attneval.training.run.checkpoint import Checkpoint, write_checkpoint
from attneval.training.run.config import TrainConfig
from attneval.training.run.folder import locked
from attneval.training.run.loop import train
from attneval.training.run.runlog import RunLog

if TYPE_CHECKING:
    from pathlib import Path

OTHER = """
import sys
from pathlib import Path
from attneval.training.run.folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_share_a_folder(toy: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-c", OTHER, str(run)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match="run: another process writes this run"):
            train(toy_config(toy), run)
        assert [path.name for path in run.iterdir()] == [".lock"]
        other.communicate("")
    # The lock goes with its process, and the file that stays behind is in nobody's way.
    assert train(toy_config(toy, epochs=1), run).epochs[-1]["epoch"] == 1


def test_a_run_goes_on_with_what_another_process_finished_meanwhile(toy: Path, tmp_path: Path) -> None:
    """Both saw an empty folder; the later one waits for nobody, but reads what is there once it has the lock."""
    config = toy_config(toy, epochs=1)
    run = tmp_path / "run"
    finished: list[bool] = []

    def scores(_maps: object) -> dict[str, float]:
        if not finished:
            finished.append(True)
            train(config, run)
        return {"f1": 0.0}

    before = train(config, run, attention_scores=scores)
    assert len(before.epochs) == 1
    assert "untrained" in (run / "log.jsonl").read_text().splitlines()[0]


def test_a_folder_is_unlocked_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "a" / "run"):
        raise KeyError
    with locked(tmp_path / "a" / "run"):
        pass


class Full:
    """A disk that takes so many bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1000, 5000])
def test_a_full_disk_refuses_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    from attneval.storage import drafts

    model = small_model("scan-t2i")
    words = Vocabulary((*SPECIALS, *map(str, range(26))))
    path = tmp_path / "last.pth.tar"
    config = TrainConfig(model=model.config, data="d")
    checkpoint = Checkpoint(str(path), model.state_dicts(), 1, 2.0, 3, None, config, words, {})
    write_checkpoint(path, checkpoint)
    before = path.read_bytes()
    assert len(before) > 5000
    unlimited = drafts.Draft.__init__

    def limited(self: drafts.Draft, target: Path) -> None:
        unlimited(self, target)
        self.file = cast("IO[bytes]", Full(self.file, room))

    monkeypatch.setattr(drafts.Draft, "__init__", limited)
    with pytest.raises(DataError, match=r"last\.pth\.tar cannot be written \(No space left on device\)"):
        write_checkpoint(path, checkpoint)
    assert path.read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")  # noqa: PTH110
def test_a_full_disk_refuses_the_log(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.write({"event": "start"})
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file.fileno())
    with pytest.raises(DataError, match=r"log\.jsonl cannot be written \(No space left on device\)"):
        log.write({"event": "epoch"})
    log.close()
    os.close(full)
