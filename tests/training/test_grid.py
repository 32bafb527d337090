"""The driver of docs/experiments: which runs there are, and that it takes up where it stopped."""

from __future__ import annotations

import importlib.util
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import attneval

DOCS = Path(__file__).parents[2] / "docs" / "experiments"
ROOT = Path(__file__).parents[2]


def driver() -> Any:
    spec = importlib.util.spec_from_file_location("grid", DOCS / "grid.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["grid"] = module  # for its dataclass
    spec.loader.exec_module(module)
    return module


GRID = {
    "common": ["--embed-dim", "8", "--word-dim", "6", "--epochs", "2", "--batch-size", "50", "--min-count", "1"],
    "models": {
        "scan-t2i": {"parts": ["scan-t2i"]},
        "sgraf": {"parts": ["sgr", "saf"], "arguments": ["--sim-dim", "4"], "constrained": ["--start", "1"]},
    },
    "cells": {"none": ["--constraints", "none"], "ccr": ["--constraints", "ccr", "--through", "weights"]},
    "seeds": [0, 1],
}


def test_runs_compare_as_early_as_possible() -> None:
    runs = list(driver().runs_of(GRID))
    assert [run.name for run in runs[:5]] == [
        *("scan-t2i-none-0", "scan-t2i-ccr-0", "scan-t2i-none-1", "scan-t2i-ccr-1"),
        "sgraf-none-0",
    ]
    assert len(runs) == len({run.name for run in runs}) == 8
    shared = [*GRID["common"], "--sim-dim", "4"]
    assert runs[4].parts["saf"] == ["--model", "saf", *shared, "--constraints", "none", "--seed", "0"]
    constrained = ["--constraints", "ccr", "--through", "weights", "--start", "1"]
    assert runs[5].parts["sgr"] == ["--model", "sgr", *shared, *constrained, "--seed", "0"]


@pytest.mark.parametrize(
    ("rsums", "flat"),
    [
        ([1.0, 2.0, 3.0, 3.0, 3.0], False),
        ([1.0, 3.0, 3.02, 3.01, 3.03], True),
        ([1.0, 3.0, 3.02, 3.01, 3.04], False),
        ([3.0, 2.0, 2.0, 2.0], True),
        ([3.0, 3.0, 3.0], False),
    ],
)
def test_flat(rsums: list[float], flat: bool) -> None:
    """At most 1 % more in the last three epochs than before."""
    assert driver().is_flat(rsums) is flat


def test_a_run_may_end_after_several_numbers_of_epochs() -> None:
    grid = {**GRID, "until_flat": {"step": 3, "most": 9}}
    assert [list(run.lengths) for run in driver().runs_of(grid)] == 8 * [[2, 5, 8]]
    assert [list(run.lengths) for run in driver().runs_of(GRID)] == 8 * [[2]]
    assert driver().of_length(["--epochs", "2", "--seed", "2"], 5) == ["--epochs", "5", "--seed", "2"]


def command(grid: Path, toy: Path, work: Path, *more: str) -> str:
    arguments = [str(DOCS / "grid.py"), str(grid), "--data", str(toy), "--gt", str(toy / "entities")]
    done = subprocess.run(
        [sys.executable, *arguments, "--work", str(work), *more],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    return done.stdout


def test_the_driver_takes_up_where_it_stopped(toy: Path, tmp_path: Path) -> None:
    grid, work = tmp_path / "semantic" / "grid.json", tmp_path / "work"
    grid.parent.mkdir()
    grid.write_text(json.dumps(GRID))
    assert command(grid, toy, work, "--list", "--models", "sgraf", "--seeds", "0").split() == [
        *("sgraf-none-0", "sgraf-ccr-0"),
    ]
    assert command(grid, toy, work, "--models", "sgraf", "--seeds", "0", "--limit", "1") == "sgraf-none-0: done\n"
    assert command(grid, toy, work, "--list", "--models", "sgraf").split() == [
        *("sgraf-ccr-0", "sgraf-none-1", "sgraf-ccr-1"),
    ]
    (line,) = (grid.parent / "runs.jsonl").read_text().splitlines()
    assert str(tmp_path) not in line
    record = json.loads(line)
    assert (record["model"], record["constraints"], record["seed"], record["data"]) == ("sgraf", "none", 0, toy.name)
    assert [part["config"]["model"]["name"] for part in record["training"]] == ["sgr", "saf"]
    for part in record["training"]:
        assert [epoch["epoch"] for epoch in part["epochs"]] == [1, 2]
        assert {"rsum", "f1", "ap", "specificity", "loss"} <= set(part["epochs"][0])
        assert part["epochs"][part["best_epoch"] - 1]["rsum"] == max(epoch["rsum"] for epoch in part["epochs"])
    assert {"f1", "ap", "pointing", "specificity", "mass", "i2t_r@1", "rsum"} <= set(record["test"])
    whole = lzma.decompress((grid.parent / "results" / "sgraf-none-0.json.xz").read_bytes())
    (tmp_path / "result.json").write_bytes(whole)
    assert attneval.Result.load(tmp_path / "result.json")["f1"] == record["test"]["f1"]
    result = json.loads(whole)
    assert result["by"] == {}
    assert result["name"] == "sgraf-none-0"
    assert result["metrics"]["f1"]["value"] == record["test"]["f1"]
    assert record["floors"]["shuffled"]["f1"] == result["baselines"]["shuffled"]["f1"]["value"]
    # Nothing but links is left of the work that is done.
    assert sorted(path.name for path in work.iterdir()) == sorted([toy.name, "entities"])


def test_a_training_goes_on_until_it_is_flat(toy: Path, tmp_path: Path) -> None:
    """It is, to the last digit, a training of that length, whose learning rate changed on the way."""
    grid = {
        "common": [*GRID["common"], "--decay-epochs", "3"],
        "models": {"scan-t2i": {"parts": ["scan-t2i"]}},
        "cells": {"ccs": ["--constraints", "ccs"]},
        "seeds": [0],
    }

    def record(name: str, grid: dict[str, Any]) -> dict[str, Any]:
        path = tmp_path / name / "grid.json"
        path.parent.mkdir()
        path.write_text(json.dumps(grid))
        command(path, toy, tmp_path / "work")
        found: dict[str, Any] = json.loads((path.parent / "runs.jsonl").read_text())
        return found

    # Two epochs are never flat, since nothing comes before the last three; a training ends after 4 or 6.
    grown = record("grown", {**grid, "until_flat": {"step": 2, "most": 7}})
    (training,) = grown["training"]
    length = 4 if driver().is_flat([epoch["rsum"] for epoch in training["epochs"]][:4]) else 6
    assert len(training["epochs"]) == training["config"]["epochs"] == length
    whole = record("whole", {**grid, "common": driver().of_length(grid["common"], length)})
    assert whole["training"][0]["arguments"] == training["arguments"]
    for each in (grown, whole):
        for epoch in each["training"][0]["epochs"]:
            del epoch["seconds"]
    assert grown == whole


def test_trials_are_not_scored_on_test(toy: Path, tmp_path: Path) -> None:
    grid = tmp_path / "trials" / "grid.json"
    grid.parent.mkdir()
    grid.write_text(json.dumps({**GRID, "test": False}))
    command(grid, toy, tmp_path / "work", "--models", "scan-t2i", "--limit", "1")
    record = json.loads((grid.parent / "runs.jsonl").read_text())
    assert set(record) == {"name", "data", "model", "constraints", "seed", "flat", "training"}
    assert [path.name for path in grid.parent.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("path", sorted((DOCS / "semantic").rglob("*.json")), ids=lambda path: path.stem)
def test_the_committed_grids_can_be_run(path: Path) -> None:
    """Every run's arguments are those of the command; nothing of them is misspelled."""
    from attneval.cli.train import _config, train

    grid = json.loads(path.read_text())
    runs = list(driver().runs_of(grid))
    assert len(runs) == len(grid["models"]) * len(grid["cells"]) * len(grid["seeds"])
    for run in runs:
        for part, arguments in run.parts.items():
            context = train.make_context("train", [*arguments, "--data", "d", "-o", "o"])
            values = {key: value for key, value in context.params.items() if key not in {"output", "quiet", "verbose"}}
            config = _config(values)
            assert (config.model.name, config.seed) == (part, run.seed)
            through = "everything" if run.cell.endswith("-everything") else "weights"
            assert config.constraints.use in {(), ("supervised",)} or config.constraints.through == through
