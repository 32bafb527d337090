"""Results outlive metrics: files without a new metric, and files with an unknown one, are read and used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from results import scored

import attneval
from attneval.errors import AttnevalError, ResultError

if TYPE_CHECKING:
    from attneval import Result

ROOT = Path(__file__).parents[2]
NEWER = """
import sys
from pathlib import Path
import attneval
from attneval.metrics.declaration import Column, Metric
from attneval.metrics.registry import register
from attneval.metrics.values import ratio

register(
    Metric(
        name="half",
        title="Half of the hits",
        group="attention",
        higher_is_better=False,
        definition="Half of the attended and relevant keys; mean over items.",
        tables={"breakdown": 35},
        compared=True,
        columns={"half": Column(lambda hits: hits.true_positives / 2, at_most=("tp",), oracle="relevant")},
        value=ratio("half", "scored"),
        upper=float("inf"),
    )
)
folder = Path(sys.argv[1])
options = attneval.Options(resamples=0)
"""
SCORE = """
attneval.score("fixtures/good.npz", "fixtures/entities", options=options).save(folder / "new.json")
"""
USE = """
from attneval.report.score import score_page

old = attneval.Result.load(folder / "old.json")
new = attneval.Result.load(folder / "new.json")
assert "half" not in old.metrics and new["half"] > 0
assert old.to_json() == (folder / "old.json").read_text("utf-8")
assert attneval.gate(old, "f1 >= 0.1").passed
lines = {line.metric: line for line in attneval.compare([old, new], trials=9, resamples=9).lines}
assert lines["half"].values[0] is None and lines["half"].values[1] > 0
assert lines["f1"].values[0] == lines["f1"].values[1]
first = attneval.Result.load(folder / "first.json")
rest = attneval.score("fixtures/good.npz", "fixtures/entities", split=folder / "rest.txt", options=options)
from dataclasses import replace
from attneval.statistics.image_sums import ImageSums
kept = {name: c for name, c in rest.scores.sums.columns.items() if not name.startswith(("i2t_", "t2i_"))}
rest = replace(rest, scores=replace(rest.scores, sums=ImageSums(rest.scores.sums.image_id, kept)))
merged = attneval.merge([first, rest])
assert "half" not in merged.metrics and merged["f1"] > 0
assert any("left out of the whole" in note and "half" in note for note in merged.notes)
assert score_page(old).tables and score_page(merged).tables
"""


def newer(script: str, folder: Path) -> None:
    """Run a script in a process of its own that has one metric more."""
    command = [sys.executable, "-c", NEWER + script, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("outliving")
    result = scored("good")
    result.save(root / "old.json")
    images = result.scores.sums.image_id
    (root / "first.txt").write_text("\n".join(images[:30]))
    (root / "rest.txt").write_text("\n".join(images[30:]))
    options = attneval.Options(resamples=0)
    fixtures = ROOT / "fixtures"
    attneval.score(fixtures / "good.npz", fixtures / "entities", split=root / "first.txt", options=options).save(
        root / "first.json"
    )
    newer(SCORE, root)
    return root


def test_results_from_before_a_metric(folder: Path) -> None:
    newer(USE, folder)


def test_results_with_a_metric_that_is_unknown(folder: Path) -> None:
    new = attneval.Result.load(folder / "new.json")
    assert new["half"]
    assert new.to_json() == (folder / "new.json").read_text("utf-8")
    assert any("does not know" in note and "half" in note for note in new.notes)
    assert attneval.gate(new, ["f1 >= 0.1", "r@all >= 0.1"]).passed
    comparison = attneval.compare([folder / "old.json", new], trials=9, resamples=9)
    assert "half" not in [line.metric for line in comparison.lines]
    merged = attneval.merge([new])
    assert "half" not in merged.metrics
    assert merged["f1"] == new["f1"]
    with pytest.raises(AttnevalError, match="does not know it"):
        attneval.compare([new, new], names=["half"])


def test_a_file_is_held_to_what_it_says_it_holds(tmp_path: Path) -> None:
    values = json.loads(scored("good").to_json())
    assert values["holds"]["metrics"] == list(values["metrics"])
    del values["metrics"]["ap"]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(values))
    with pytest.raises(ResultError, match="damaged result: metrics has no ap"):
        attneval.Result.load(path)


def test_files_from_before_they_said_what_they_hold(tmp_path: Path) -> None:
    values = json.loads(scored("good").to_json())
    del values["holds"]
    values["metrics"]["r@all"] = values["metrics"]["coverage"]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(values))
    result: Result = attneval.Result.load(path)
    assert result.to_json() == scored("good").to_json()
    assert result["r@all"] == result["coverage"]
