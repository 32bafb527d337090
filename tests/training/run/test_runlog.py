from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from attneval.errors import DataError
from attneval.training.run.runlog import RunLog

if TYPE_CHECKING:
    from pathlib import Path


def test_keeps_only_what_a_checkpoint_knows(tmp_path: Path) -> None:
    path = tmp_path / "run" / "log.jsonl"
    heard: list[Any] = []
    log = RunLog(path, listener=heard.append)
    log.write({"event": "one"})
    known = log.size()
    log.show({"event": "not written"})
    log.write({"event": "two"})
    log.close()
    assert [event["event"] for event in heard] == ["one", "not written", "two"]
    log = RunLog(path, keep=known)
    log.write({"event": "three"})
    log.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["one", "three"]


def test_refuses_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in ("file", "file/run"):
        with pytest.raises(DataError, match=rf"{folder}/log\.jsonl cannot be written \("):
            RunLog(tmp_path / folder / "log.jsonl")


def test_refuses_a_log_that_lost_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"log\.jsonl: has 3 bytes, but the run had logged 9"):
        RunLog(path, keep=9)
