"""The code in docs/training.md runs as it is printed, and doctests are true."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from attneval.training.vocabulary import SPECIALS, Vocabulary

from .authors import V, author_checkpoint

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_code_blocks_run_in_order(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(toy, tmp_path / "data" / "f8k_precomp")
    folder = tmp_path / "data" / "f30k_precomp"
    folder.mkdir()
    np.save(folder / "test_ims.npy", np.random.default_rng(0).random((2, 36, 2048), np.float32))
    (folder / "test_caps.txt").write_text("a dog\n" * 5 + "a cat\n" * 5, encoding="utf-8")
    words = (*SPECIALS, "a", "dog", "cat", *map(str, range(V - 7)))
    (tmp_path / "vocab").mkdir()
    Vocabulary(words).write(tmp_path / "vocab" / "f30k_precomp_vocab.json")
    torch.save(author_checkpoint("sgr"), tmp_path / "SGR_model_best.pth.tar")

    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 (the page is ours)
    gradient = names["layer"].in_proj_weight.grad  # type: ignore[attr-defined]
    assert gradient is not None
    assert gradient.abs().sum() > 0
    assert (tmp_path / "runs" / "scan-ccs-seed1" / "best.pth.tar").exists()
    assert "'t2i_r@1'" in capsys.readouterr().out


def test_five_lines_are_five() -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    of_ours = [line for line in block.splitlines() if "onstraints" in line or "loss" in line]
    assert len(of_ours) <= 5


@pytest.mark.parametrize("name", ["constraints", "tokens"])
def test_doctests(name: str) -> None:
    module = importlib.import_module(f"attneval.training.{name}")
    results = doctest.testmod(module, extraglobs={"torch": torch})
    assert results.attempted > 0
    assert results.failed == 0
