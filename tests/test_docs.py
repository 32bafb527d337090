"""What the documents show is what the commands print, and their code runs.

A block of text after ``<!-- output: COMMAND -->`` is the command's output. With UPDATE_DOCS=1 in the environment the
blocks are rewritten instead of compared.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from commands import attneval, on_terminal

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OUTPUT = re.compile(r"<!-- (output|terminal): (attneval .*?) -->\n```text\n(.*?)```", re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def shown() -> list[tuple[Path, str, str, str]]:
    return [(page, *match) for page in PAGES for match in OUTPUT.findall(page.read_text(encoding="utf-8"))]


def printed(kind: str, command: str) -> str:
    arguments = shlex.split(command)[1:]
    if kind == "terminal":
        escapes = re.compile(r"\x1b\[[0-9;]*m")
        done = on_terminal(*arguments, columns=80, NO_COLOR="1")
        return re.sub(r"[ \t]+$", "", escapes.sub("", done.out), flags=re.MULTILINE)
    return attneval(*arguments).out


@pytest.mark.parametrize(
    ("page", "kind", "command", "text"), shown(), ids=[f"{page.name}: {command}" for page, _, command, _ in shown()]
)
def test_shown_output_is_what_the_command_prints(page: Path, kind: str, command: str, text: str) -> None:
    now = printed(kind, command)
    if os.environ.get("UPDATE_DOCS"):
        old = f"<!-- {kind}: {command} -->\n```text\n{text}```"
        page.write_text(
            page.read_text(encoding="utf-8").replace(old, old[: -len(text) - 3] + now + "```"), encoding="utf-8"
        )
        return
    assert text == now


def test_the_five_lines_of_the_readme_write_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = CODE.findall((ROOT / "README.md").read_text(encoding="utf-8"))[0]
    monkeypatch.chdir(tmp_path)
    weights = np.random.default_rng(0).random((2, 9, 3))
    given = {
        "attention": weights / weights.sum(axis=2, keepdims=True),
        "tokens": np.array([["some", "kids", "looks", "at", "an", "orange", "vest", "", ""], ["", *[""] * 8]]),
        "names": np.array(["700037#4", "700037#0"]),
        "boxes": np.tile(np.array([[0, 0, 100, 100], [50, 50, 200, 200], [0, 0, 388, 414]], float), (2, 1, 1)),
    }
    exec(compile(block, "README.md", "exec"), given)  # noqa: S102 - our own text
    done = attneval("validate", tmp_path / "maps.npz")
    assert (done.code, done.out.splitlines()[-1]) == (0, "0 problems")


def test_the_readme_names_the_python_api(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    block = CODE.findall((ROOT / "README.md").read_text(encoding="utf-8"))[1]
    monkeypatch.chdir(ROOT)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    assert capsys.readouterr().out.startswith("0.7")


def test_the_pytorch_example_exports_what_can_be_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    (block,) = CODE.findall((ROOT / "docs" / "export-format.md").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "export-format.md", "exec"), {})  # noqa: S102
    done = attneval("score", tmp_path / "maps.npz", "--gt", ROOT / "fixtures" / "entities", "--missing", "skip")
    assert done.code == 0, done.err
    assert "L0H3/t2i" in done.out


def test_links_between_documents_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
