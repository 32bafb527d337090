"""The job scripts of docs/jobs, run as processes: each task as its scheduler would start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import attneval, environment

ROOT = Path(__file__).parents[2]
JOBS, FIXTURES = ROOT / "docs" / "jobs", ROOT / "fixtures"


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path whose `attneval` is the one under test."""
    command = tmp_path / "bin" / "attneval"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m attneval "$@"\n')
    command.chmod(0o755)
    return f"{command.parent}{os.pathsep}{os.environ['PATH']}"


def run(command: list[str], **variables: str) -> None:
    done = subprocess.run(
        command, env=environment(PYTHONPATH=str(ROOT), **variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def whole(folder: Path, *maps: Path) -> bytes:
    done = attneval("score", *maps, "--gt", FIXTURES / "entities", "-q", "-o", folder / "at-once.json")
    assert done.code == 0, done.err
    return (folder / "at-once.json").read_bytes()


def test_a_job_array_of_slurm(tmp_path: Path, path: str) -> None:
    script, out = str(JOBS / "slurm.sh"), tmp_path / "parts"
    maps, truth = str(FIXTURES / "good.npz"), str(FIXTURES / "entities")
    given = {"PATH": path, "MAPS": maps, "GT": truth, "OUT": str(out)}
    for task in (2, 3, 1, 2):  # one is requeued after it was done
        run(["bash", script], **given, SLURM_ARRAY_TASK_ID=str(task), SLURM_ARRAY_TASK_COUNT="3")
    run(["bash", script, "merge"], **given)
    assert (out / "whole.json").read_bytes() == whole(tmp_path, FIXTURES / "good.npz")


def test_an_indexed_job_of_kubernetes(tmp_path: Path, path: str) -> None:
    """The shell script of the container, with another folder in place of /data."""
    text = (JOBS / "kubernetes.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^  completions: (\d+)$", text, re.MULTILINE) == re.findall(r'value: "(\d+)"', text) == ["16"]
    block = re.search(r"args:\n +- \|\n((?: {14}.*\n)+)", text)
    assert block is not None
    data = tmp_path / "data"
    data.mkdir()
    (data / "maps-0.npz").write_bytes((FIXTURES / "good.npz").read_bytes())
    (data / "annotations").symlink_to(FIXTURES / "entities")
    script = re.sub(r"^ {14}", "", block[1], flags=re.MULTILINE).replace("/data", str(data))
    for index in (1, 0):
        run(["bash", "-euc", script], PATH=path, PARTS="2", JOB_COMPLETION_INDEX=str(index))
    done = attneval("merge", *sorted((data / "parts").iterdir()), "-q", "-o", data / "whole.json")
    assert done.code == 0, done.err
    done = attneval("score", data / "maps-0.npz", "--gt", data / "annotations", "-q", "-o", data / "at-once.json")
    assert (data / "whole.json").read_bytes() == (data / "at-once.json").read_bytes()
