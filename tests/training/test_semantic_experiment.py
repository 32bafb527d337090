"""The tables of docs/experiments.md are those of the records, and the records are what they say they are."""

from __future__ import annotations

import itertools
import json
import lzma
import re
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from training.semantic import (
    CELLS,
    DOCS,
    FOLDER,
    GRID,
    GRIDS,
    LIFTS,
    RECORDS,
    RUNS,
    SEEDS,
    SIMPLE,
    half_width,
    interval,
    prose,
    shown,
    spread,
)

if TYPE_CHECKING:
    from pathlib import Path

LENGTHS = [10, 12, 14, 16]
NUMBERS = {9: "nine"}


@pytest.mark.parametrize("model", GRID["models"])
def test_results_are_means_of_the_recorded_runs(model: str) -> None:
    rows = shown(f"table: {model}")
    runs = [run for run in RUNS if run["model"] == model]
    if not runs:
        assert rows == []
        return
    header, *cells = rows
    assert {row[0] for row in cells} == {run["constraints"] for run in runs}
    for row in cells:
        made = [run for run in runs if run["constraints"] == row[0]]
        flat = [run for run in made if run["flat"]]
        assert row[1] == f"{len(flat)} of {len(made)}"
        lengths = {len(training["epochs"]) for run in made for training in run["training"]}
        assert row[2] == (f"{min(lengths)}-{max(lengths)}" if len(lengths) > 1 else str(*lengths))
        for column, metric in SIMPLE.items():
            values = [run["test"][metric] for run in flat]
            assert row[header.index(column)] == (spread(values) if flat else "")
        for column, (metric, floor) in LIFTS.items():
            values = [run["test"][metric] - run["floors"][floor][metric] for run in flat]
            assert row[header.index(column)] == (spread(values) if flat else "")


@pytest.mark.parametrize("metric", ["f1", "ap", "specificity", "rsum", "keys", "ccr_active"])
def test_curves_are_means_of_the_recorded_epochs(metric: str) -> None:
    rows = shown(f"curves: scan-t2i {metric}")
    runs = [run for run in RUNS if run["model"] == "scan-t2i"]
    assert len(rows) == (len({run["constraints"] for run in runs}) + 1 if runs else 0)
    for name, before, *epochs in rows[1:]:
        trainings = [run["training"][0] for run in runs if run["constraints"] == name]
        shortest = min(len(training["epochs"]) for training in trainings)
        assert not any(epochs[shortest:])
        start = [training["untrained"].get(metric) for training in trainings]
        seen = [start, *([training["epochs"][at].get(metric) for training in trainings] for at in range(shortest))]
        scale = 1 if metric == "keys" else 100
        assert [before, *epochs[:shortest]] == ["" if None in each else spread(each, scale) for each in seen]
    assert all(len(row) == len(rows[0]) for row in rows)
    assert any(row[-1] for row in rows)


@pytest.mark.parametrize("model", GRID["models"])
def test_gains_are_differences_of_runs_of_one_seed(model: str) -> None:
    rows = shown(f"gains: {model}")
    flat = {(run["constraints"], run["seed"]): run["test"] for run in RUNS if run["model"] == model and run["flat"]}
    for row in rows[1:]:
        seeds = [seed for seed in SEEDS if (row[0], seed) in flat and ("none", seed) in flat]
        assert row[1] == str(len(seeds))
        for column, metric in {**SIMPLE, "R": "recall"}.items():
            if column in rows[0] and seeds:
                values = [flat[row[0], seed][metric] - flat["none", seed][metric] for seed in seeds]
                assert row[rows[0].index(column)] == interval(values)
    cells = {run["constraints"] for run in RUNS if run["model"] == model} - {"none"}
    assert {row[0] for row in rows[1:]} == cells


def test_the_summary_is_of_runs_of_one_seed() -> None:
    """Of F1, specificity and the sum of recalls: bold where the interval over seeds leaves out zero."""
    (corner, *models), (floor, *even), (first, *without), *rows = shown("summary: f1 specificity rsum")
    assert floor == "*even attention*"
    assert (corner, first, models) == ("cell", "none", list(GRID["models"]))
    assert [row[0] for row in rows] == list(dict.fromkeys(run["constraints"] for run in RUNS))[1:]
    for place, model in enumerate(models):
        flat = {(run["constraints"], run["seed"]): run["test"] for run in RUNS if run["model"] == model and run["flat"]}
        free = {seed: test for (cell, seed), test in flat.items() if cell == "none"}
        metrics = ("f1", "specificity", "rsum")
        (uniform,) = {run["floors"]["uniform"]["f1"] for run in RUNS if run["model"] == model}
        assert even[place] == f"{100 * uniform:.1f} / - / -"
        means = [statistics.mean(100 * test[metric] for test in free.values()) for metric in metrics]
        assert without[place] == " / ".join(f"{value:.1f}" for value in means)
        for cell, *said in rows:
            made = {seed: test for (name, seed), test in flat.items() if name == cell and seed in free}
            if not made:
                assert said[place] == ""
                continue
            for metric, text in zip(metrics, said[place].split(" / "), strict=True):
                values = [test[metric] - free[seed][metric] for seed, test in made.items()]
                middle = 100 * sum(values) / len(values)
                sure = len(values) > 1 and abs(middle) > half_width(values)
                assert text == (f"**{middle:+.1f}**" if sure else f"{middle:+.1f}")


@pytest.mark.parametrize("model", [model for model, about in GRID["models"].items() if len(about["parts"]) == 1])
def test_scores_on_dev_are_those_of_the_chosen_epoch(model: str) -> None:
    rows = shown(f"dev: {model}")
    for row in rows[1:]:
        trainings = [run["training"][0] for run in RUNS if (run["model"], run["constraints"]) == (model, row[0])]
        chosen = [max(each["epochs"], key=lambda epoch: epoch["rsum"]) for each in trainings if each["flat"]]
        assert row[1] == f"{len(chosen)} of {len(trainings)}"
        for column, metric in list(SIMPLE.items())[2:]:
            if column in rows[0]:
                assert row[rows[0].index(column)] == (spread([epoch[metric] for epoch in chosen]) if chosen else "")
    assert {row[0] for row in rows[1:]} == {run["constraints"] for run in RUNS if run["model"] == model}


@pytest.mark.parametrize("model", GRID["models"])
def test_every_run_is_shown(model: str) -> None:
    rows = shown(f"runs: {model}")
    runs = {(run["constraints"], str(run["seed"])): run for run in RUNS if run["model"] == model}
    assert {(row[0], row[1]) for row in rows[1:]} == set(runs)
    assert len(rows[1:]) == len(runs)
    for row in rows[1:]:
        run = runs[row[0], row[1]]
        assert row[2].split(", ") == [f"{part['best_epoch']} of {len(part['epochs'])}" for part in run["training"]]
        assert row[3] == ("yes" if run["flat"] else "no")
        assert row[rows[0].index("F1, other entities")] == f"{100 * run['floors']['shuffled']['f1']:.1f}"
        for column, metric in SIMPLE.items():
            if column in rows[0]:
                assert row[rows[0].index(column)] == f"{100 * run['test'][metric]:.1f}"


@pytest.mark.parametrize("model", [model for model, about in GRID["models"].items() if len(about["parts"]) == 1])
def test_what_fades_and_what_a_hinge_sees(model: str) -> None:
    logs: dict[str, list[list[dict[str, Any]]]] = {}
    for run in RUNS:
        if run["model"] == model:
            logs.setdefault(run["constraints"], []).append(run["training"][0]["epochs"])
    fades, hinges = shown(f"fades: {model}"), shown(f"hinges: {model}")
    assert [row[0] for row in fades[1:]] == [row[0] for row in hinges[1:]] == list(logs)
    for row in fades[1:]:
        epochs = logs[row[0]]
        for place, metric in enumerate(("f1", "ap", "pointing", "specificity")):
            ends = [[log[at][metric] for log in epochs] for at in (0, -1)]
            changes = [last - first for first, last in zip(*ends, strict=True)]
            assert row[2 + 3 * place : 5 + 3 * place] == [spread(values) for values in (*ends, changes)]
    for row in hinges[1:]:
        for column, metric, scale in (
            (1, "peak", 100),
            (2, "keys", 1),
            (4, "ccr_gap", 100),
            (5, "ccr_active", 100),
            (9, "ccs_wrong", 100),
            (11, "gradient_constraints", 100),
        ):
            ends = [[log[at].get(metric) for log in logs[row[0]]] for at in (1, -1)]
            known = None not in [*ends[0], *ends[1]]
            means = [f"{scale * sum(values) / len(values):.1f}" for values in ends] if known else []
            assert row[column] == " → ".join(means)


def runs_of(grid: dict[str, Any]) -> set[tuple[str, str, int]]:
    return set(itertools.product(grid["models"], grid["cells"], grid["seeds"]))


def test_further_grids_train_as_the_first_does() -> None:
    """None trains a run of another one, and a cell is the same in all."""
    for grid in GRIDS.values():
        assert all(grid[key] == GRID[key] for key in ("common", "until_flat"))
        assert grid["models"].items() <= GRID["models"].items()
        assert grid["cells"].items() <= CELLS.items()
    for one, other in itertools.combinations(GRIDS.values(), 2):
        assert not runs_of(one) & runs_of(other)


def test_records_are_runs_of_the_grid() -> None:
    """Each once, with the arguments of the grid, the choices that they mean, and no path of a machine."""
    names = [run["name"] for run in RUNS]
    assert len(set(names)) == len(names)
    for run in RUNS:
        assert run["data"] == "f8k_semantic"
        assert any((run["model"], run["constraints"], run["seed"]) in runs_of(grid) for grid in GRIDS.values())
        about = GRID["models"][run["model"]]
        assert [training["part"] for training in run["training"]] == about["parts"]
        for training in run["training"]:
            late = [] if run["constraints"] == "none" else about.get("constrained", [])
            chosen = [*GRID["common"], *about.get("arguments", []), *CELLS[run["constraints"]], *late]
            length = str(len(training["epochs"]))
            given = chosen.index("--epochs") + 1
            chosen = [*chosen[:given], length, *chosen[given + 1 :]]
            assert training["arguments"] == ["--model", training["part"], *chosen, "--seed", str(run["seed"])]
            config = training["config"]
            assert (config["seed"], config["data"]) == (run["seed"], "f8k_semantic")
            assert ",".join(config["constraints"]["use"]) in {*chosen, ""}
            rsums = [epoch["rsum"] for epoch in training["epochs"]]
            assert len(rsums) == config["epochs"]
            flat = [max(rsums[end - 3 : end]) <= 1.01 * max(rsums[: end - 3]) for end in LENGTHS if end <= len(rsums)]
            assert training["flat"] is flat[-1]
            assert not any(flat[:-1])
            assert flat[-1] or len(rsums) == LENGTHS[-1]
            assert rsums[training["best_epoch"] - 1] == max(rsums)
        assert run["flat"] is all(training["flat"] for training in run["training"])
        assert not re.search(r'"/[^"]', json.dumps(run))


def test_runs_of_a_seed_share_their_first_epoch() -> None:
    """Constraints act from the second on. Where rounding is another the loss is, too: the page says which."""
    first = {run["name"]: [training["epochs"][0]["loss"] for training in run["training"]] for run in RUNS}
    pairs = [(name, name.replace("-none-", "-ccr-w1-")) for name in first if "-none-" in name]
    alike = [first[name] == first[other] for name, other in pairs if other in first]
    assert (len(alike) >= 11, alike.count(False)) == (True, 1)
    assert first["scan-t2i-none-0"] != first["scan-t2i-ccr-w1-0"]
    for run in RUNS:
        if run["model"] == "sgraf" or (run["model"] == "scan-t2i" and not run["constraints"].endswith("-w0.3")):
            twin = f"{run['model']}-ccr-w1-{run['seed']}"
            assert first[run["name"]] == first[twin] or run["name"] == "scan-t2i-none-0"
    page = prose()
    losses = [first[f"pfan-t2i-{cell}-2"][0] for cell in ("none", "both")]
    assert "mean loss is {:.2f} and {:.2f} for PFAN's third seed".format(*losses) in page


def test_every_run_of_every_grid_was_made_and_is_flat() -> None:
    made = {(run["model"], run["constraints"], run["seed"]) for run in RUNS if run["flat"]}
    assert len(made) == len(RUNS)
    assert made == set().union(*map(runs_of, GRIDS.values()))
    assert len(runs_of(GRID)) == 72
    assert f"All {len(runs_of(GRID))} runs of the grid" in prose()
    assert f"and {NUMBERS[len(RUNS) - len(runs_of(GRID))]} of further seeds" in prose()


def test_results_are_those_of_the_records() -> None:
    for run in RUNS:
        result = json.loads(lzma.decompress((FOLDER / "results" / f"{run['name']}.json.xz").read_bytes()))
        assert {name: metric["value"] for name, metric in result["metrics"].items()} == run["test"]
        assert result["counts"] == run["counts"]
        assert result["counts"]["images"] == 1000


def test_the_script_writes_what_the_page_shows(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text((DOCS / "experiments.md").read_text(encoding="utf-8"), encoding="utf-8")
    script = DOCS / "experiments" / "tables.py"
    subprocess.run([sys.executable, str(script), str(RECORDS), str(page)], check=True)
    assert page.read_text(encoding="utf-8") == (DOCS / "experiments.md").read_text(encoding="utf-8")


def test_the_script_on_records_by_hand(tmp_path: Path) -> None:
    test = dict.fromkeys([*SIMPLE.values(), "i2t_r@5", "i2t_r@10", "t2i_r@5", "t2i_r@10"], 0.5)
    floors = {"center": {"f1": 0.1, "pointing": 0.2}, "uniform": {"f1": 0.2, "ap": 0.3}}
    training = {"part": "scan-t2i", "untrained": {"f1": 0.25}, "epochs": [{"f1": 0.1, "keys": 3.0}, {"f1": 0.2}]}
    run = {"model": "scan-t2i", "constraints": "none", "flat": True, "floors": floors, "training": [training]}
    records = [
        {**run, "test": {**test, "f1": 0.4}},
        {**run, "test": {**test, "f1": 0.6}},
        {**run, "test": test, "flat": False},
    ]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    page = tmp_path / "page.md"
    marks = ("table: scan-t2i", "table: sgraf", "curves: scan-t2i f1", "curves: scan-t2i keys")
    page.write_text("".join(f"<!-- {mark} -->\nold\n<!-- end -->\n" for mark in marks))
    script = DOCS / "experiments" / "tables.py"
    subprocess.run([sys.executable, str(script), str(tmp_path / "runs.jsonl"), str(page)], check=True)
    text = page.read_text()
    assert "old" not in text
    assert "| none | 2 of 3 | 2 | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 14.1 |" in text
    assert "| 30.0 ± 14.1 | 40.0 ± 14.1 | 20.0 ± 0.0 | 30.0 ± 0.0 |" in text
    assert "<!-- table: sgraf -->\nNo run has finished.\n<!-- end -->" in text
    assert "| none | 25.0 ± 0.0 | 10.0 ± 0.0 | 20.0 ± 0.0 |" in text
    assert "| none |  | 3.0 ± 0.0 |  |" in text


@pytest.mark.parametrize("model", GRID["models"])
def test_the_comparison_is_that_of_the_records(model: str) -> None:
    """Of each cell the mean of F1, and its change against no constraint; and of how many runs."""
    text = (FOLDER / f"{model}.txt").read_text(encoding="utf-8")
    cells: dict[str, list[dict[str, Any]]] = {}
    for run in RUNS:
        if run["model"] == model:
            assert run["flat"]
            cells.setdefault(run["constraints"], []).append(run)
    (counts,) = re.findall(r"as far as (.*) can tell", text)
    assert dict(reversed(part.split(" of ")) for part in counts.split(", ")) == {
        cell: str(len(runs)) for cell, runs in cells.items()
    }
    (base,) = re.findall(r"^(\w)  none ", text, re.MULTILINE)
    for metric in ("f1", "ap", "specificity", "pointing", "rsum"):
        means = {cell: statistics.mean(100 * run["test"][metric] for run in runs) for cell, runs in cells.items()}
        for cell in cells.keys() - {"none"}:
            (section,) = re.findall(
                rf"^\w {cell} against {base} none\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL
            )
            ((without, with_it, change),) = re.findall(rf"^{metric} +(\S+) +(\S+) +(\S+)", section, re.MULTILINE)
            assert (float(without), float(with_it)) == pytest.approx((means["none"], means[cell]), abs=0.0500001)
            assert float(change) == pytest.approx(means[cell] - means["none"], abs=0.0500001)
