"""The tables of docs/experiments.md are those of its records."""

from __future__ import annotations

import json
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
    page = (DOCS / "experiments.md").read_text(encoding="utf-8")
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


@pytest.mark.parametrize("model", MODELS)
def test_tables_are_means_of_the_recorded_runs(model: str) -> None:
    rows = printed(model)
    for constraints, name in NAMES.items():
        runs = [run for run in RUNS if (run["model"], run["constraints"]) == (model, constraints)]
        assert len({run["seed"] for run in runs}) == len(runs)
        if runs:
            assert rows.pop(name) == recorded(runs)
    assert not rows


def test_runs_of_a_model_differ_in_constraints_and_seeds_alone() -> None:
    for model in MODELS:
        configs = [part["config"] for run in RUNS if run["model"] == model for part in run["training"]]
        alike = [{k: v for k, v in c.items() if k not in {"constraints", "seed", "model"}} for c in configs]
        assert all(config == alike[0] for config in alike)
