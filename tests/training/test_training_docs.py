"""The code in docs/training.md runs as it is printed, and doctests are true."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from here import Here

import attneval
from attneval.training.data.vocabulary import SPECIALS, Vocabulary
from training.authors import V, author_checkpoint
from training.runs import assert_same_runs

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


@pytest.fixture
def desk(toy: Path, tmp_path: Path) -> Path:
    """A folder with what the page's code and commands expect to find."""
    shutil.copytree(toy, tmp_path / "data" / "f8k_precomp")
    (tmp_path / "data" / "f8k_precomp" / "entities").rename(tmp_path / "data" / "entities")
    folder = tmp_path / "data" / "f30k_precomp"
    folder.mkdir()
    np.save(folder / "test_ims.npy", np.random.default_rng(0).random((2, 36, 2048), np.float32))
    (folder / "test_caps.txt").write_text("a dog\n" * 5 + "a cat\n" * 5, encoding="utf-8")
    (folder / "test_ids.txt").write_text("1\n2\n", encoding="utf-8")
    words = (*SPECIALS, "a", "dog", "cat", *map(str, range(V - 7)))
    (tmp_path / "vocab").mkdir()
    Vocabulary(words).write(tmp_path / "vocab" / "f30k_precomp_vocab.json")
    for name in ("sgr", "saf"):
        torch.save(author_checkpoint(name), tmp_path / f"{name.upper()}_model_best.pth.tar")
    return tmp_path


def commands(title: str) -> list[list[str]]:
    """The commands of the page under a title, word by word."""
    (block,) = re.findall(rf"<!-- {title} -->\n```console\n(.*?)```\n<!-- end -->", PAGE.read_text("utf-8"), re.DOTALL)
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]


def test_from_an_installation_to_a_score(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Here(capsys, monkeypatch, desk)
    install, *three = commands("from data to a score")
    assert install == ["pip", "install", ".[train]"]
    assert [(command[0], command[1]) for command in three] == [
        ("attneval", "train"),
        ("attneval", "export"),
        ("attneval", "score"),
    ]
    for command in three:
        done = here(*command[1:])
        assert done.code == 0, done.err
    assert "Attention of maps" in done.out
    result = attneval.Result.load(desk / "result.json")
    assert result.model["model"] == "scan-t2i"
    assert (result["f1"] or 0) > 0.5
    assert (result["t2i_r@1"] or 0) > 0.1

    same, *others = commands("reproduce a run")
    assert here(*same[1:]).code == 0
    assert_same_runs(desk / "runs" / "scan-ccr", desk / "runs" / "again")
    for command in others:
        assert here(*command[1:], "--epochs", "1").code == 0


def test_an_authors_checkpoint_is_exported_and_scored(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Here(capsys, monkeypatch, desk)
    for command in commands("an author's checkpoint"):
        done = here(*command[1:])
        assert done.code == 0, done.err
    assert "rSum" in done.out


def test_code_blocks_run_in_order(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 (the page is ours)
    gradient = names["layer"].in_proj_weight.grad  # type: ignore[attr-defined]
    assert gradient is not None
    assert gradient.abs().sum() > 0
    assert (desk / "runs" / "scan-ccr-python-seed1" / "best.pth.tar").exists()
    assert "'t2i_r@1'" in capsys.readouterr().out


def test_five_lines_are_five() -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    of_ours = [line for line in block.splitlines() if "onstraints" in line or "loss" in line]
    assert len(of_ours) <= 5


@pytest.mark.parametrize("name", ["losses.constraints", "data.tokens"])
def test_doctests(name: str) -> None:
    module = importlib.import_module(f"attneval.training.{name}")
    results = doctest.testmod(module, extraglobs={"torch": torch})
    assert results.attempted > 0
    assert results.failed == 0
