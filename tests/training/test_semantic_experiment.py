"""The tables of docs/experiments.md are those of the records, and the records are what they say they are."""

from __future__ import annotations

import json
import lzma
import math
import re
import statistics
import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "experiments" / "semantic"
GRID = json.loads((FOLDER / "grid.json").read_text(encoding="utf-8"))
MORE = json.loads((FOLDER / "more.json").read_text(encoding="utf-8"))
SEEDS = [*GRID["seeds"], *MORE["seeds"]]
RECORDS = FOLDER / "runs.jsonl"
RUNS: list[dict[str, Any]] = sorted(
    map(json.loads, RECORDS.read_text(encoding="utf-8").splitlines()),
    key=lambda run: list(GRID["cells"]).index(run["constraints"]),
)
"""In the order in which the page has them."""
LENGTHS = [10, 12, 14, 16]
COSINES = ("scan-t2i", "bfan-equal", "pfan-t2i")
SIMPLE = {
    "P": "precision",
    "R": "recall",
    "F1": "f1",
    "AP": "ap",
    "pointing": "pointing",
    "mass": "mass",
    "specificity": "specificity",
    "i2t R@1": "i2t_r@1",
    "t2i R@1": "t2i_r@1",
    "rSum": "rsum",
}
LIFTS = {
    "F1 - even": ("f1", "uniform"),
    "F1 - centre": ("f1", "center"),
    "AP - even": ("ap", "uniform"),
    "pointing - centre": ("pointing", "center"),
}


def shown(title: str) -> list[list[str]]:
    """The rows of a table of the page, its header first; no rows where it says that no run has finished."""
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"<!-- {re.escape(title)} -->\n(.*?)<!-- end -->", page, re.DOTALL)
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def spread(values: list[float], scale: float = 100) -> str:
    """As the page writes several values."""
    around = f" ± {scale * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    exact = sum(map(Fraction, values), Fraction()) / len(values)  # a mean may lie half way between two tenths
    return f"{scale * float(exact):.1f}{around}"


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


def test_trials_are_the_recorded_ones_and_saw_no_test() -> None:
    header, *rows = shown("trials: scan-t2i")
    grid = json.loads((FOLDER / "trials" / "grid.json").read_text(encoding="utf-8"))
    lines = (FOLDER / "trials" / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    tried = [run for run in map(json.loads, lines) if run["model"] in grid["models"]]
    assert {run["constraints"] for run in tried} <= set(grid["cells"])
    tried.sort(key=lambda run: list(grid["cells"]).index(run["constraints"]))
    assert {run["seed"] for run in tried} == set(grid["seeds"]) == {0}
    assert not any("test" in run or "floors" in run for run in tried)
    varied = [run for run in RUNS if run["name"] in {f"scan-t2i-{cell}-0" for cell in ("none", "ccr-w1", "ccs")}]
    assert [row[0] for row in rows] == [run["constraints"] for run in (*varied, *tried)]
    for row, run in zip(rows, (*varied, *tried), strict=True):
        (training,) = run["training"]
        best, last = training["epochs"][training["best_epoch"] - 1], training["epochs"][-1]
        assert row[1] == ("yes" if run["flat"] else "no")
        for column, metric in (("F1", "f1"), ("AP", "ap"), ("specificity", "specificity"), ("rSum", "rsum")):
            assert row[header.index(column)] == f"{100 * best[metric]:.1f}"
        assert row[header.index("regions")] == f"{last['keys']:.1f}"
        within = last.get("ccr_active")
        assert row[header.index("CCR: within margin")] == ("" if within is None else f"{100 * within:.1f}")


def test_prose_says_what_trials_hold() -> None:
    page = " ".join((DOCS / "experiments.md").read_text(encoding="utf-8").split())
    header, *rows = shown("trials: scan-t2i")
    of = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    mild, narrow, heavy, everything = (
        of[name] for name in ("ccr-w1", "ccr-margin-0.1", "ccr-weight-3", "ccr-everything")
    )
    numbers = [one[name] for name in ("F1", "specificity") for one in (narrow, mild)]
    assert "(F1 {} and {}, specificity {} and {})".format(*numbers) in page
    (strong,) = (run["training"][0] for run in RUNS if run["name"] == "scan-t2i-ccr-w3-0")
    specificity = 100 * strong["epochs"][strong["best_epoch"] - 1]["specificity"]
    assert f"(specificity {heavy['specificity']} and {specificity:.1f})" in page
    assert f"{float(heavy['regions']):.0f} regions share attention" in page
    assert f"({everything['F1']} and {of['none']['F1']}), and specificity goes ({everything['specificity']})" in page
    numbers = [of[name][column] for column in ("F1", "specificity") for name in ("ccs-everything", "ccs")]
    assert "(F1 {} and {}, specificity {} and {}).".format(*numbers) in page

    def both(name: str) -> tuple[str, str]:
        return of[name]["F1"], of[name]["specificity"]

    lighter = (*both("ccr-weight-0.3"), *both("ccr-weight-0.1"))
    assert "F1 {} and specificity {} with a weight of 0.3, {} and {} with 0.1.".format(*lighter) in page
    same = list(zip(*map(both, ("ccr-start-0", "ccr-warmup", "ccr-content")), strict=True))
    assert "(F1 {}, {} and {}, specificity {}, {} and {}).".format(*same[0], *same[1]) in page
    inverse = of["ccr-inverse"]
    assert f"({inverse['F1']} and {inverse['AP']}), at the price of specificity ({inverse['specificity']})" in page
    assert f"of {float(mild['rSum']) - float(inverse['rSum']):.0f} of the sum of recalls" in page
    assert f"`unattended` gains little ({of['ccr-unattended']['F1']})" in page
    swapped = [value for name in ("ccs-weight-0.3", "ccs-weight-0.1", "none", "ccs") for value in both(name)]
    assert (
        "0.3 F1 is {} and specificity {}, with one of 0.1 {} and {}, where no constraint has {} and {} and a weight of "
        "1 {} and {}.".format(*swapped)
    ) in page
    assert "at 0.3, do the same ({} and {});".format(*both("ccs-hardest")) in page
    random = of["ccs-random"]
    assert f"({random['CCS: within margin']} % within the margin) and change little ({random['F1']})" in page
    assert f"does not help ({of['ccs-margin-0.05']['F1']})" in page
    assert float(everything["CCR: within margin"]) == pytest.approx(100 / 3, abs=2)
    assert float(everything["CCR: wrong side"]) < 0.5


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


def interval(values: list[float]) -> str:
    """As the page writes a change, by the 97.5 % quantiles of Student's t of 2, 3, 4 and 5 values."""
    middle = 100 * sum(values) / len(values)
    if len(values) == 1:
        return f"{middle:+.1f}"
    around = (
        100 * {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    )
    return f"{middle:+.1f} [{middle - around:+.1f}, {middle + around:+.1f}]"


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


def test_more_seeds_are_of_the_same_cells() -> None:
    assert {key: MORE[key] for key in ("common", "until_flat")} == {key: GRID[key] for key in ("common", "until_flat")}
    for kind in ("models", "cells"):
        assert MORE[kind].items() <= GRID[kind].items()
    assert not set(MORE["seeds"]) & set(GRID["seeds"])


def test_records_are_runs_of_the_grid() -> None:
    """Each once, with the arguments of the grid, the choices that they mean, and no path of a machine."""
    names = [run["name"] for run in RUNS]
    assert len(set(names)) == len(names)
    for run in RUNS:
        assert run["data"] == "f8k_semantic"
        more = run["model"] in MORE["models"] and run["constraints"] in MORE["cells"]
        assert run["seed"] in (SEEDS if more else GRID["seeds"])
        about = GRID["models"][run["model"]]
        assert [training["part"] for training in run["training"]] == about["parts"]
        for training in run["training"]:
            late = [] if run["constraints"] == "none" else about.get("constrained", [])
            chosen = [*GRID["common"], *about.get("arguments", []), *GRID["cells"][run["constraints"]], *late]
            length = str(len(training["epochs"]))
            given = chosen.index("--epochs") + 1
            chosen = [*chosen[:given], length, *chosen[given + 1 :]]
            assert training["arguments"] == ["--model", training["part"], *chosen, "--seed", str(run["seed"])]
            config = training["config"]
            assert (config["seed"], config["data"]) == (run["seed"], "f8k_semantic")
            assert ",".join(config["constraints"]["use"]) in {run["constraints"], *chosen, ""}
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
    page = " ".join((DOCS / "experiments.md").read_text(encoding="utf-8").split())
    losses = [first[f"pfan-t2i-{cell}-2"][0] for cell in ("none", "both")]
    assert "mean loss is {:.2f} and {:.2f} for PFAN's third seed".format(*losses) in page


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


def test_the_drawings_are_those_of_the_records(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(DOCS / "experiments" / "curves.py"), str(RECORDS), str(tmp_path)], check=True)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in FOLDER.glob("*.svg")}
    parts = {training["part"] for run in RUNS for training in run["training"]}
    assert set(drawn) == {f"curves-{part}.svg" for part in parts}
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
    assert set(re.findall(r"curves-[\w-]+\.svg", page)) == set(drawn)


def test_a_drawing_by_hand(tmp_path: Path) -> None:
    """A line is as far as the shortest training goes, higher where the mean over seeds is larger."""
    trainings = [
        {"part": "saf", "untrained": {"f1": 0.0}, "epochs": [{"f1": 0.2}, {"f1": 0.1}]},
        {"part": "saf", "untrained": {"f1": 0.2}, "epochs": [{"f1": 0.4}]},
    ]
    runs = [{"constraints": "a<b", "training": [training]} for training in trainings]
    (tmp_path / "runs.jsonl").write_text("".join(json.dumps(run) + "\n" for run in runs))
    script = str(DOCS / "experiments" / "curves.py")
    subprocess.run([sys.executable, script, str(tmp_path / "runs.jsonl"), str(tmp_path)], check=True)
    drawing = ET.fromstring((tmp_path / "curves-saf.svg").read_text())  # noqa: S314
    texts = list(drawing.iter("{http://www.w3.org/2000/svg}text"))
    assert "a<b, 2 seeds" in [text.text for text in texts]
    (line,) = [path.get("d", "") for path in drawing.iter("{http://www.w3.org/2000/svg}path") if path.get("fill")]
    (x0, y0), (x1, y1) = (map(float, point.split()) for point in line.removeprefix("M").split("L"))
    assert x0 < x1
    ticks = {text.text: float(text.get("y", "")) - 3.5 for text in texts if text.get("text-anchor") == "end"}
    assert list(ticks) == ["10", "20", "30"]
    assert y0 == pytest.approx(ticks["10"])
    assert y1 == pytest.approx(ticks["30"])


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


@pytest.mark.parametrize(
    ("model", "compared"), [(path.stem, tuple(GRID["cells"])) for path in sorted(FOLDER.glob("*.txt"))]
)
def test_the_comparison_is_that_of_the_records(model: str, compared: tuple[str, ...]) -> None:
    """Of each cell the mean of F1, and its change against no constraint; and of how many runs."""
    text = (FOLDER / f"{model}.txt").read_text(encoding="utf-8")
    cells: dict[str, list[dict[str, Any]]] = {}
    for run in RUNS:
        if run["model"] == model and run["constraints"] in compared:
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


def runs_of(model: str, cell: str, count: int = 3) -> list[dict[str, Any]]:
    """The runs of a cell that the prose is about, by seed."""
    runs = [run for run in RUNS if (run["model"], run["constraints"]) == (model, cell) and run["seed"] < count]
    assert len(runs) == count
    return sorted(runs, key=lambda run: int(run["seed"]))


scan_runs = partial(runs_of, "scan-t2i")


def each_seed(runs: list[dict[str, Any]]) -> list[str]:
    return [f"{100 * run['test']['f1']:.1f}" for run in runs]


def change(runs: list[dict[str, Any]], without: list[dict[str, Any]], metric: str) -> float:
    pairs = zip(runs, without, strict=True)
    return statistics.mean(100 * (float(run["test"][metric]) - float(other["test"][metric])) for run, other in pairs)


def by_seed(runs: list[dict[str, Any]], without: list[dict[str, Any]], metric: str) -> list[float]:
    return [change([run], [other], metric) for run, other in zip(runs, without, strict=True)]


def mean_of(runs: list[dict[str, Any]], metric: str) -> str:
    return f"{statistics.mean(100 * run['test'][metric] for run in runs):.1f}"


def against_none(model: str, cell: str, metric: str) -> tuple[str, str]:
    """The interval over images and seeds of what a cell changes, as the comparison has it."""
    text = (FOLDER / f"{model}.txt").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^\w {cell} against a none\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    ((low, high),) = re.findall(rf"^{re.escape(metric)} .*?\[(\S+), (\S+)\]", section, re.MULTILINE)
    return low, high


def gradient_share(runs: list[dict[str, Any]]) -> float:
    """Of the constraints' gradient in the matching loss's, in the first epoch with constraints."""
    epochs = [run["training"][0]["epochs"][1] for run in runs]
    constraints, matching = (
        statistics.mean(float(epoch[f"gradient_{part}"]) for epoch in epochs) for part in ("constraints", "matching")
    )
    return constraints / matching


def test_prose_says_what_the_records_hold() -> None:
    page = " ".join((DOCS / "experiments.md").read_text(encoding="utf-8").split())
    without, weak, strong = (scan_runs(cell, count) for cell, count in (("none", 5), ("ccr-w1", 5), ("ccr-w3", 3)))

    def logged(run: dict[str, Any], metric: str, at: int) -> float:
        return float(run["training"][0]["epochs"][at][metric])

    def rise(runs: list[dict[str, Any]], metric: str) -> list[float]:
        return [100 * (logged(run, metric, -1) - logged(run, metric, 0)) for run in runs]

    def around(values: list[float]) -> str:
        return f"{abs(statistics.mean(values)):.1f} ± {statistics.stdev(values):.1f}"

    intervals = {metric: against_none("scan-t2i", "ccr-w1", metric) for metric in ("f1", "rsum")}
    seeds = [100 * (run["test"]["f1"] - other["test"]["f1"]) for run, other in zip(weak, without, strict=True)]
    around_seeds = re.findall(r"[+-]([\d.]+)", interval([value / 100 for value in seeds]))
    assert (
        f"by {around_seeds[0]} (95 % interval over images and seeds {intervals['f1'][0]} to {intervals['f1'][1]}, over "
        f"seeds alone {around_seeds[1]} to {around_seeds[2]})"
    ) in page
    assert f"({intervals['rsum'][0]} to {intervals['rsum'][1]})" in page
    said = {
        metric: f"from {mean_of(without, metric)} to {mean_of(weak, metric)}" for metric in ("f1", "ap", "pointing")
    }
    assert f"F1 rises {said['f1']} (even attention has 14.5)" in page
    assert f"AP {said['ap']} (8.0)" in page
    assert f"pointing {said['pointing']}, where the region nearest the centre has 12.8" in page
    assert f"specificity from {mean_of(without, 'specificity')} to {mean_of(weak, 'specificity')}" in page
    falls = [rise(without, metric) for metric in ("f1", "specificity")]
    assert max(map(max, falls)) < 0
    assert f"F1 falls by {around(falls[0])} and specificity by {around(falls[1])}" in page
    rises = [around(rise(weak, metric)) for metric in ("f1", "specificity")]
    assert f"F1 +{rises[0]} and specificity +{rises[1]} from the first epoch to the last" in page
    shares = [gradient_share(runs) for runs in (strong, weak)]
    assert "gradient of {:.0%} of the matching loss's (weight 1: {:.0%})".format(*shares).replace("%", " %") in page
    pairs = [f"{100 * run['floors']['shuffled']['f1']:.1f} of {100 * run['test']['f1']:.1f}" for run in strong]
    assert "F1 {}, {} and {} for the three seeds".format(*pairs) in page
    for metric in ("f1", "ap", "specificity"):
        best = [
            statistics.mean(logged(run, metric, run["training"][0]["best_epoch"] - 1) for run in runs)
            for runs in (strong, without, weak)
        ]
        assert best == sorted(best)
    boxes, ccs, both = map(scan_runs, ("supervised", "ccs", "both"))
    named = {"f1": "F1", "ap": "AP", "pointing": "pointing", "specificity": "specificity"}
    shown_values = [f"{name} {mean_of(boxes, metric)}" for metric, name in named.items()]
    assert "{}, {}, {} and {}, with".format(*shown_values) in page
    sums = [around([100 * run["test"]["rsum"] for run in runs]) for runs in (boxes, without)]
    assert "no constraint, too ({} and {}):".format(*sums) in page
    f1_of = {id(runs): statistics.mean(run["test"]["f1"] for run in runs) for runs in (without, weak, boxes)}
    way = (f1_of[id(weak)] - f1_of[id(without)]) / (f1_of[id(boxes)] - f1_of[id(without)])
    assert f"an F1 of {mean_of(boxes, 'f1')}, of which CCR goes an eighth of the way" in page
    assert way == pytest.approx(1 / 8, abs=0.01)
    paired = without[:3]
    lost = [-change(ccs, paired, metric) for metric in ("f1", "recall")]
    losses = [-change(runs_of(model, "ccs"), runs_of(model, "none"), "f1") for model in COSINES]
    assert (
        "CCS lowers the F1 of SCAN, BFAN and PFAN by {:.1f}, {:.1f} and {:.1f}, mostly by recall".format(*losses)
        in page
    )
    assert "recall falls by {1:.1f}, and F1 by {0:.1f}.".format(*lost) in page
    assert abs(change(ccs, paired, "ap")) < 0.5
    f1_by_seed = [" ".join(each_seed(runs)) for runs in (both, paired)]
    assert (
        "F1 {}, {} and {} for the three seeds, without a constraint {}, {} and {}.".format(
            *" ".join(f1_by_seed).split()
        )
        in page
    )


def test_prose_says_what_the_records_hold_of_bfan() -> None:
    page = " ".join((DOCS / "experiments.md").read_text(encoding="utf-8").split())
    without, weak = (runs_of("bfan-equal", cell) for cell in ("none", "ccr-w1"))
    assert "BFAN's F1 of {}, {} and {} becomes {}, {} and {}".format(*each_seed(without), *each_seed(weak)) in page
    changes = {
        metric: [100 * (run["test"][metric] - other["test"][metric]) for run, other in zip(weak, without, strict=True)]
        for metric in ("f1", "specificity", "rsum")
    }
    first, second, third = changes["f1"]
    assert f"loses {-first:.1f} and {-second:.1f} of F1 with two seeds and gains {third:.1f} with the third" in page
    falls, again, rises = changes["specificity"]
    assert f"{falls:.1f}" == f"{again:.1f}"
    assert f"specificity falls by {-falls:.1f}" in page
    shuffled = [100 * run["floors"]["shuffled"]["f1"] for run in (without[2], weak[2])]
    of_others = f"{shuffled[1] - shuffled[0]:.1f}"
    assert f"specificity rises by {rises:.1f}, but F1 for the other entities of the image by {of_others}" in page
    assert f"-0.7 of F1 ({interval([value / 100 for value in changes['f1']])[6:-1].replace(', +', ' to ')})" in page
    assert max(changes["rsum"]) < 0
    assert f"by {-statistics.mean(changes['rsum']):.1f} on the mean" in page
    assert f"(F1 {statistics.mean(100 * run['test']['f1'] for run in without):.1f}, specificity" in page
    rise = [100 * (run["training"][0]["epochs"][-1]["f1"] - run["training"][0]["epochs"][0]["f1"]) for run in without]
    assert f"F1 +{statistics.mean(rise):.1f} ± {statistics.stdev(rise):.1f} from the first epoch to the last" in page
    second_epoch = [run["training"][0]["epochs"][1]["f1"] - run["training"][0]["epochs"][0]["f1"] for run in weak]
    assert second_epoch[2] > 0.04
    assert max(second_epoch[:2]) < 0.01
    heavy, ccs, both, boxes = (runs_of("bfan-equal", cell) for cell in ("ccr-w3", "ccs", "both", "supervised"))
    assert (
        "F1 changes by {:.1f}, {:.1f} and {:.1f}, specificity by {:.1f} on the mean".format(
            *by_seed(heavy, without, "f1"), -change(heavy, without, "specificity")
        )
        in page
    )
    low, high = against_none("bfan-equal", "ccr-w3", "rsum")
    assert high == "0.0"
    assert f"by {-change(heavy, without, 'rsum'):.1f} (over images and seeds, from {low[1:]} lower to as good)" in page
    for runs, share in ((heavy, 2 / 3), (weak, 1 / 4)):
        assert gradient_share(runs) == pytest.approx(share, abs=0.03)
    lost = [-change(ccs, without, metric) for metric in ("recall", "ap", "f1")]
    intervals = against_none("bfan-equal", "ccs", "f1")
    pointing = by_seed(ccs, without, "pointing")
    assert "(pointing {:+.1f}, {:+.1f} and {:+.1f}), but recall".format(*pointing) in page
    said = "recall falls by {:.1f}, AP by {:.1f}, and F1 by {:.1f} (over images and seeds, {} to {})"
    assert said.format(*lost, *intervals) in page
    assert "**Both** lose in each seed: F1 {:.1f}, {:.1f} and {:.1f}.".format(*by_seed(both, without, "f1")) in page
    assert f"an F1 of {mean_of(boxes, 'f1')} and a specificity of {mean_of(boxes, 'specificity')}, more than" in page
    assert f"what it was ({mean_of(boxes, 'rsum')} and {mean_of(without, 'rsum')})" in page


def test_prose_says_what_the_records_hold_of_pfan() -> None:
    page = " ".join((DOCS / "experiments.md").read_text(encoding="utf-8").split())
    without, weak, ccs, both, boxes = (
        runs_of("pfan-t2i", cell) for cell in ("none", "ccr-w1", "ccs", "both", "supervised")
    )
    assert f"(F1 {mean_of(without, 'f1')}, specificity {mean_of(without, 'specificity')}, 33 regions share it)" in page
    assert "F1 {}, {} and {} becomes {}, {} and {}, and".format(*each_seed(without), *each_seed(weak)) in page
    assert "PFAN's of {}, {} and {} becomes {}, {} and {}".format(*each_seed(without), *each_seed(weak)) in page
    changes = by_seed(weak, without, "specificity")
    assert "specificity changes by {:.1f}, {:+.1f} and {:.1f}.".format(*changes) in page
    pointing = by_seed(weak, without, "pointing")
    assert min(pointing) > 0
    assert "Pointing rises with each seed (by {:.1f}, {:.1f} and {:.1f})".format(*pointing) in page
    for cell, said in (
        ("ccs", "lowers F1 by {:.1f} (over images and seeds, {} to {}"),
        ("both", "it by {:.1f} ({} to {}"),
    ):
        low, high = against_none("pfan-t2i", cell, "f1")
        assert said.format(-change(runs_of("pfan-t2i", cell), without, "f1"), low, high) in page
    assert f"and recall by {-change(ccs, without, 'recall'):.1f}, and both" in page
    assert min(by_seed(ccs, without, "rsum")) > 0
    intervals = against_none("pfan-t2i", "ccs", "rsum")
    assert f"by {change(ccs, without, 'rsum'):.1f} on the mean" in page
    assert "(over images and seeds, {} to {}).".format(*intervals) in page
    assert max(by_seed(both, without, "f1")) < 0
    shown_values = [mean_of(boxes, metric) for metric in ("f1", "ap", "pointing")]
    assert "has an F1 of {}, AP {} and pointing {}.".format(*shown_values) in page


def test_prose_says_what_the_records_hold_of_sgraf() -> None:
    page = " ".join((DOCS / "experiments.md").read_text(encoding="utf-8").split())
    without, weak = (runs_of("sgraf", cell) for cell in ("none", "ccr-w1"))
    assert "SGRAF's of {}, {} and {} becomes {}, {} and {}".format(*each_seed(without), *each_seed(weak)) in page
    specificity = [mean_of(runs, "specificity") for runs in (without, weak)]
    assert "its specificity falls from {} to {} and".format(*specificity) in page
    low, high = against_none("sgraf", "ccr-w1", "rsum")
    fall = -change(weak, without, "rsum")
    assert f"sum of recalls by {fall:.1f} (over images and seeds, {high[1:]} to {low[1:]})" in page
    assert f"(F1 {mean_of(without, 'f1')}, specificity {specificity[0]}; its" in page
    assert "F1 rises with each seed, by {:.1f}, {:.1f} and {:.1f}, and".format(*by_seed(weak, without, "f1")) in page
    others = [f"{100 * run['floors']['shuffled']['f1']:.1f}" for run in (*without, *weak)]
    assert "F1 {}, {} and {} becomes {}, {} and {}.".format(*others) in page
    assert max(by_seed(weak, without, "specificity")) < 0
    low, high = against_none("sgraf", "ccr-w1", "specificity")
    lost = -change(weak, without, "specificity")
    assert f"by {lost:.1f} on the mean (over images and seeds, {high[1:]} to {low[1:]})" in page
    assert max(by_seed(weak, without, "rsum")) < 0
    around = re.findall(r"[+-]([\d.]+)", interval([value / 100 for value in by_seed(weak, without, "rsum")]))
    assert f"by {fall:.1f} on the mean (over seeds, {around[2]} to {around[1]})" in page

    def chosen(runs: list[dict[str, Any]], part: int) -> list[float]:
        trainings = [run["training"][part] for run in runs]
        return [100 * float(each["epochs"][each["best_epoch"] - 1]["f1"]) for each in trainings]

    rise = statistics.mean(chosen(weak, 0)) - statistics.mean(chosen(without, 0))
    assert f"raises SGR's F1 by {rise:.1f}; SAF's of" in page
    assert "SAF's of {:.1f}, {:.1f} and {:.1f} is luck".format(*chosen(weak, 1)) in page
    last = [training["epochs"][-1] for run in weak for training in run["training"]]
    assert statistics.mean(epoch["ccr_active"] for epoch in last) == pytest.approx(1 / 5, abs=0.03)
    assert statistics.mean(epoch["keys"] for epoch in last) == pytest.approx(9, abs=0.5)
