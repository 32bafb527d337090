"""Scoring gives the same digits whatever the versions of the packages are; CI runs this with the oldest ones, too."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from commands import attneval

ROOT = Path(__file__).parents[1]


def test_the_table_of_the_readme_comes_out_to_the_last_digit() -> None:
    done = attneval("score", "--attn", "fixtures/good.npz", "--gt", "fixtures/entities")
    assert (done.code, done.err) == (0, "")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- output: attneval score .*? -->\n```text\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    assert re.sub(r"[ \t]+$", "", done.out, flags=re.MULTILINE) == shown[1]


def test_the_oldest_versions_are_those_that_the_package_asks_for() -> None:
    """`tests/oldest.txt` names the lower bounds of pyproject.toml."""
    wanted = {}
    for line in (
        (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("dependencies = [")[2].splitlines()[1:5]
    ):
        name, _, bound = line.strip(' ",').partition(">=")
        wanted[name] = bound
    lines = (ROOT / "tests" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert set(oldest) == set(wanted)
    assert all((oldest[name] + ".0.0").startswith(f"{bound}.") for name, bound in wanted.items())
    assert all(metadata.version(name) for name in oldest)


def test_retrieval_comparison_and_gates_run(tmp_path: Path) -> None:
    for name in ("good", "noisy"):
        scored = ("score", f"fixtures/{name}.npz", "--gt", "fixtures/entities", "-q", "--items")
        assert attneval(*scored, "-o", tmp_path / f"{name}.json").code == 0
    for command, code in (
        (("compare", "good.json", "noisy.json", "--trials", "99"), 0),
        (("gate", "noisy.json", "--baseline", "good.json", "--max-drop", "f1=2%", "--only-significant"), 1),
        (("inspect", "noisy.json", "--diff", "good.json"), 0),
        (("curve", "good.json", "noisy.json"), 0),
        (("merge", "good.json"), 0),
    ):
        done = attneval(*command, cwd=tmp_path)
        assert (done.code, done.err) == (code, ""), command
