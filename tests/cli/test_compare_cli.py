"""`attneval compare`: results and exports, groups of runs, files to write, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest
from commands import attneval
from exports import assert_says
from here import Here
from results import FIXTURES, scored

from attneval import Options, score
from attneval.report.compare import compare_dict
from attneval.results.compare import compare
from attneval.results.comparison import System

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results on disk: the fixtures, and `good` under another threshold and on fewer images."""
    root = tmp_path_factory.mktemp("results")
    for name in ("good", "noisy", "twin"):
        scored(name).save(root / f"{name}.json")
    scored("good", "max:0.5").save(root / "other.json")
    (root / "split.txt").write_text("\n".join(scored("good").scores.sums.image_id[:50]))
    options = Options(resamples=0, name="fewer")
    fewer = score(FIXTURES / "good.npz", FIXTURES / "entities", split=root / "split.txt", options=options)
    fewer.save(root / "fewer.json")
    return root


def test_exports_are_scored_as_results_are(files: Path) -> None:
    results = attneval("compare", "good.json", "noisy.json", "-f", "json", cwd=files)
    exports = attneval(
        "compare", FIXTURES / "good.npz", FIXTURES / "noisy.npz", "--gt", FIXTURES / "entities", "-f", "json", cwd=files
    )
    mixed = attneval(
        "compare", "good.json", FIXTURES / "noisy.npz", "--gt", FIXTURES / "entities", "-f", "json", cwd=files
    )
    assert (results.code, results.err) == (0, "")
    assert results.out == exports.out == mixed.out
    python = compare_dict(compare([System(name, (scored(name),)) for name in ("good", "noisy")]))
    assert json.loads(results.out) == json.loads(json.dumps(python))


def test_flags_of_score_apply_to_exports(files: Path) -> None:
    options = ("--gt", FIXTURES / "entities", "--threshold", "max:0.5", "-m", "f1", "-f", "json")
    done = attneval("compare", "other.json", FIXTURES / "good.npz", *options, cwd=files)
    assert done.code == 0, done.err
    values = json.loads(done.out)
    assert "threshold:max:0.5" in values["signature"]
    # Both are the same system under the same protocol.
    (change,) = values["metrics"]["f1"]["difference"].values()
    assert change["delta"] == 0
    refused = attneval("compare", "good.json", FIXTURES / "good.npz", *options, cwd=files)
    assert refused.code == 2
    assert_says(refused.err, "threshold uniform against max:0.5")


def test_outputs_by_suffix(files: Path, tmp_path: Path) -> None:
    names = ["c.json", "c.csv", "c.md", "c.tex", "c.txt"]
    outputs = [part for name in names for part in ("-o", tmp_path / name)]
    done = attneval("compare", "good.json", "twin.json", "-m", "f1", *outputs, cwd=files)
    assert done.code == 0, done.err
    assert (tmp_path / "c.txt").read_text() == done.out
    assert json.loads((tmp_path / "c.json").read_text())["systems"] == ["good", "twin"]
    assert (tmp_path / "c.md").read_text().startswith("**Systems")
    assert (tmp_path / "c.tex").read_text().startswith("\\begin{table}")
    assert (tmp_path / "c.csv").read_text().startswith("metric,system,value")


def test_groups_average_their_runs(files: Path) -> None:
    done = attneval(
        "compare", "noisy.json", "--group", "seeds=good.json,twin.json", "-m", "f1", "-f", "json", cwd=files
    )
    assert done.code == 0, done.err
    values = json.loads(done.out)
    good, twin = scored("good")["f1"], scored("twin")["f1"]
    assert good is not None
    assert twin is not None
    # The same items in both runs, so the mean of sums is the mean of values.
    assert values["metrics"]["f1"]["value"]["seeds"] == pytest.approx((good + twin) / 2)
    assert values["systems"] == ["noisy", "seeds"]
    assert any("1 of noisy, 2 of seeds" in note for note in values["notes"])
    assert values["metrics"]["f1"]["better_than"] == {"noisy": [], "seeds": ["noisy"]}


def test_a_group_may_be_the_base(files: Path) -> None:
    groups = ("--group", "a=good.json,twin.json", "--group", "b=noisy.json")
    done = attneval("compare", *groups, "-m", "f1", "-f", "json", cwd=files)
    assert json.loads(done.out)["systems"] == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        ("--group a=good.json,twin.json noisy.json", ["a", "noisy"]),
        ("--group=a=good.json,twin.json noisy.json", ["a", "noisy"]),
        ("noisy.json --group a=good.json,twin.json", ["noisy", "a"]),
        ("-m f1 --group a=good.json noisy.json --group b=twin.json", ["a", "noisy", "b"]),
        ("noisy.json --group a=good.json twin.json", ["noisy", "a", "twin"]),
        ("--group a=good.json --seed 3 -- noisy.json twin.json", ["a", "noisy", "twin"]),
        ("noisy.json twin.json", ["noisy", "twin"]),
    ],
)
def test_what_is_typed_first_is_the_base(files: Path, arguments: str, order: list[str]) -> None:
    quick = ("-m", "f1", "--trials", "9", "--resamples", "9", "-f", "json")
    done = attneval("compare", *quick, *arguments.split(), cwd=files)
    assert done.code == 0, done.err
    assert json.loads(done.out)["systems"] == order


def test_groups_that_were_not_typed_come_last(files: Path) -> None:
    quick = ("-m", "f1", "--trials", "9", "--resamples", "9", "-f", "json")
    done = attneval("compare", *quick, "noisy.json", cwd=files, ATTNEVAL_COMPARE_GROUP="a=good.json")
    if done.code != 0:
        done = attneval("compare", *quick, "noisy.json", cwd=files, ATTNEVAL_GROUP="a=good.json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["systems"] == ["noisy", "a"]


def test_the_command_refuses_and_notes(files: Path) -> None:
    done = attneval("compare", "good.json", "other.json", "--allow-mismatch", "-m", "f1", cwd=files)
    assert done.code == 0
    assert_says(done.out, "note: different protocols", "threshold uniform against max:0.5")
    done = attneval("compare", "good.json", "fewer.json", "-m", "f1", "--intersect", cwd=files)
    assert done.code == 0, done.err
    assert_says(done.out, "50 images", "note: compared on the 50 images that all have; 10 were left out")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("good.json",), ("nothing to compare", "candidate")),
        ((), ("nothing to compare",)),
        (("good.json", "other.json"), ("threshold uniform against max:0.5", "--allow-mismatch")),
        (("good.json", "fewer.json"), ("10 of 60", "--intersect")),
        (("good.json", "missing.json"), ("missing.json", "No such file")),
        (("good.json", str(FIXTURES / "good.npz")), ("good.npz is no result file", "--gt")),
        (("good.json", "noisy.json", "-m", "f2"), ("f2",)),
        (("good.json", "noisy.json", "-m", "best_f1"), ("best_f1 is tuned",)),
        (("good.json", "--group", "seeds"), ("'seeds'", "NAME=a.json,b.json")),
        (("good.json", "--group", "=a.json"), ("'=a.json'", "NAME=a.json,b.json")),
        (("good.json", "noisy.json", "-o", "c.xml"), ("c.xml", ".tex")),
        (("good.json", "noisy.json", "--trials", "0"), ("--trials",)),
    ],
)
def test_what_the_command_cannot_compare(
    files: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    assert_says(Here(capsys, monkeypatch, files).refused("compare", *arguments), *parts)


def test_results_of_one_name_are_told_apart_by_their_paths(files: Path, tmp_path: Path) -> None:
    for folder, name in (("a", "good"), ("b", "noisy")):
        (tmp_path / folder).mkdir()
        dataclasses.replace(scored(name), name="run").save(tmp_path / folder / "run.json")
    done = attneval("compare", "a/run.json", "b/run.json", "-m", "f1", "-f", "json", cwd=tmp_path)
    values = json.loads(done.out)
    assert values["systems"] == ["a/run.json", "b/run.json"]
    assert len(values["metrics"]["f1"]["value"]) == 2


def test_a_file_that_is_given_twice_is_two_systems(files: Path) -> None:
    done = attneval("compare", "good.json", "good.json", "-m", "f1", "-f", "json", cwd=files)
    values = json.loads(done.out)
    assert len(values["metrics"]["f1"]["value"]) == 2
