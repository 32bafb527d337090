"""The tables of docs/experiments/weak-features.md are those of its records."""

from __future__ import annotations

import json
import math
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[1] / "docs"
RUNS = [json.loads(line) for line in (DOCS / "experiments" / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
MODELS = ("scan-t2i", "bfan-equal", "pfan-t2i", "sgraf")
NAMES = {"none": "none", "ccr": "CCR", "ccs": "CCS", "ccr,ccs": "CCR + CCS"}
METRICS = (
    *("precision", "recall", "f1", "ap", "pointing"),
    *("i2t_r@1", "i2t_r@5", "i2t_r@10", "t2i_r@1", "t2i_r@5", "t2i_r@10", "rsum"),
)


def printed(model: str) -> dict[str, list[str]]:
    """The cells of a table by its first column."""
    page = (DOCS / "experiments" / "weak-features.md").read_text(encoding="utf-8")
    (table,) = re.findall(rf"<!-- table: {model} -->\n((?:\|.*\n)+)", page)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {name: cells for name, *cells in rows}


def recorded(runs: list[dict[str, Any]]) -> list[str]:
    """What the table should say of the runs of one cell."""
    cells = [str(len(runs))]
    for metric in METRICS:
        values = [100 * run["test"][metric] for run in runs]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.1f}{spread}")
    return cells


def chance(k: int, images: int) -> tuple[float, float]:
    """Recall@K of captions and of images in percent, of a random ranking of images with five captions each."""
    right = 1 - math.comb(5 * images - 5, k) / math.comb(5 * images, k)
    return 100 * right, 100 * k / images


def test_tables_have_the_same_floors() -> None:
    floors = {(name, *cells) for model in MODELS for name, cells in printed(model).items() if name.startswith("*")}
    assert {name for name, *_ in floors} == {"*even attention*", "*region nearest the centre*"}
    to_text, to_image = zip(*(chance(k, images=500) for k in (1, 5, 10)), strict=True)
    for _, _, *cells in floors:
        assert cells[5:] == [f"{value:.1f}" for value in (*to_text, *to_image, sum((*to_text, *to_image)))]
    # As a set even attention is all regions, and as a ranking one tie.
    precision, recall, _, ap, pointing = next(cells[1:6] for name, *cells in floors if name == "*even attention*")
    assert recall == "100.0"
    assert precision == ap == pointing


@pytest.mark.parametrize("model", MODELS)
def test_tables_are_means_of_the_recorded_runs(model: str) -> None:
    rows = {name: cells for name, cells in printed(model).items() if not name.startswith("*")}
    for constraints, name in NAMES.items():
        runs = [run for run in RUNS if (run["model"], run["constraints"]) == (model, constraints)]
        assert len({run["seed"] for run in runs}) == len(runs)
        if runs:
            assert rows.pop(name) == recorded(runs)
    assert not rows


def test_prose_says_what_the_records_hold() -> None:
    page = " ".join((DOCS / "experiments" / "weak-features.md").read_text(encoding="utf-8").split())

    def share(model: str, metric: str) -> str:
        """How much of CCR's gain both constraints together give."""
        none, ccr, both = (
            statistics.mean(
                run["test"][metric] for run in RUNS if (run["model"], run["constraints"]) == (model, constraints)
            )
            for constraints in ("none", "ccr", "ccr,ccs")
        )
        return f"{100 * (both - none) / (ccr - none):.0f} %"

    scan, pfan = ([share(model, metric) for metric in ("f1", "ap", "pointing")] for model in ("scan-t2i", "pfan-t2i"))
    assert "(F1 {}, AP {}, pointing {}), in PFAN".format(*scan) in page
    assert "(F1 {}, AP {}) but for pointing ({})".format(*pfan) in page

    minutes = [part["epochs"][-1]["seconds"] / 60 for run in RUNS for part in run["training"]]
    assert "one to seven minutes of one core, half of them less than three" in page
    assert (round(min(minutes)), round(max(minutes))) == (1, 7)
    assert 2 < statistics.median(minutes) < 3

    hinges = {
        name: [
            [epoch["ccs"] for epoch in part["epochs"][1:]]
            for run in RUNS
            if run["constraints"] == "ccs"
            for part in run["training"]
            if part["config"]["model"]["name"].startswith(name)
        ]
        for name in ("scan", "bfan", "pfan", "sgr", "saf")
    }
    for names, second, third in (
        (("scan", "bfan", "pfan"), "0.02 to 0.04", "0.01 to 0.02"),
        (("sgr", "saf"), "0.05 to 0.06", "0.03 to 0.04"),
    ):
        for epoch, told in enumerate((second, third)):
            found = [hinge[epoch] for name in names for hinge in hinges[name]]
            assert told in page
            assert f"{min(found):.2f} to {max(found):.2f}" == told


def test_runs_of_a_model_differ_in_constraints_and_seeds_alone() -> None:
    for model in MODELS:
        configs = [part["config"] for run in RUNS if run["model"] == model for part in run["training"]]
        alike = [{k: v for k, v in c.items() if k not in {"constraints", "seed", "model"}} for c in configs]
        assert all(config == alike[0] for config in alike)
