"""The page for contributors: its first three tasks, done on a copy of the package with the code that stands there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"<!-- (new|append|after `(?P<anchor>[^`]+)`): (?P<path>\S+) -->\n```python\n(?P<code>.*?)```", re.DOTALL
)
TASKS = ("Add a metric", "Add an annotation format", "Add a report format")


def edits(task: str) -> list[re.Match[str]]:
    """The edits of a task, as the page has them."""
    section = PAGE.partition(f"\n## {task}\n")[2].partition("\n## ")[0]
    return list(BLOCK.finditer(section))


def promised(task: str) -> int:
    """How many files the table says that a task touches."""
    row = re.search(rf"^\| {task.lower()} \| (\d) \| (\d)", PAGE, re.MULTILINE)
    assert row is not None
    return int(row[2])


def perform(copy: Path, edit: re.Match[str]) -> None:
    path = copy / edit["path"]
    if edit[1] == "new":
        assert not path.exists()
        path.write_text(edit["code"], encoding="utf-8")
        return
    text = path.read_text(encoding="utf-8")
    if edit[1] == "append":
        path.write_text(f"{text}\n\n{edit['code']}", encoding="utf-8")
        return
    line = f"{edit['anchor']}\n"
    assert text.count(line) == 1
    path.write_text(text.replace(line, line + edit["code"]), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with all three tasks done."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "attneval", folder / "attneval", ignore=shutil.ignore_patterns("__pycache__"))
    for task in TASKS:
        for edit in edits(task):
            perform(folder, edit)
    return folder


def run(copy: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attneval", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("task", TASKS)
def test_tasks_touch_as_many_files_as_the_page_says(task: str) -> None:
    assert len({edit["path"] for edit in edits(task)}) == promised(task)


def test_a_metric_stands_in_tables_files_gates_and_explanations(copy: Path, fixtures: Path, tmp_path: Path) -> None:
    done = run(
        copy,
        *("score", fixtures / "good.npz", "--gt", fixtures / "entities", "--min", "attended_share=0"),
        *("-o", tmp_path / "r.json", "-o", tmp_path / "r.rst", "--no-cache"),
    )
    assert done.returncode == 0, done.stderr
    assert "Attended share" in done.stdout
    assert "passed: attended_share >= 0" in done.stderr
    measured = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["metrics"]["attended_share"]
    assert 0 < measured["ci"][0] < measured["value"] < measured["ci"][1] < 1
    assert "share of all keys that an item attends to" in " ".join(
        run(copy, "explain", "attended_share").stdout.split()
    )
    listing = (tmp_path / "r.rst").read_text(encoding="utf-8")
    assert ".. list-table:: Attention of good, in %" in listing
    assert "   * - Attended share" in listing


def test_an_annotation_format_is_found_by_its_content(copy: Path, fixtures: Path, tmp_path: Path) -> None:
    import attneval

    image, number, text = next(iter(attneval.captions(fixtures / "entities")))
    truth = attneval.open_ground_truth(fixtures / "entities").read([image])
    width, height = truth.image_size[0].tolist()
    spans = truth.span[: truth.phrase_offset[1]].tolist()
    boxes = [
        truth.box[truth.box_offset[entity]].tolist() if entity >= 0 else [0, 0, 1, 1]
        for entity in truth.phrase_entity[: len(spans)].tolist()
    ]
    entry = {"image": image, "width": width, "height": height, "caption": text, "spans": spans, "boxes": boxes}
    path = tmp_path / "boxed.json"
    path.write_text(json.dumps({"boxed_captions": [entry]}), encoding="utf-8")
    split = tmp_path / "split.txt"
    split.write_text(image, encoding="utf-8")
    done = run(
        copy,
        *("score", fixtures / "good.npz", "--gt", path, "--split", split, "--missing", "skip", "-f", "json"),
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (number, result["ground_truth"], result["counts"]["images"]) == (0, "boxed-captions", 1)
    assert result["counts"]["items"] > 0
