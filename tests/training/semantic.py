"""The records of the experiment on features that know objects, and its page."""

from __future__ import annotations

import json
import math
import re
import statistics
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "experiments" / "semantic"
GRIDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
GRID = GRIDS["grid"]
CELLS: dict[str, list[str]] = {name: cell for grid in (GRID, *GRIDS.values()) for name, cell in grid["cells"].items()}
SEEDS = sorted({seed for grid in GRIDS.values() for seed in grid["seeds"]})
RECORDS = FOLDER / "runs.jsonl"
RUNS: list[dict[str, Any]] = sorted(
    map(json.loads, RECORDS.read_text(encoding="utf-8").splitlines()),
    key=lambda run: list(CELLS).index(run["constraints"]),
)
"""In the order in which the page has them."""
TRIALS: list[dict[str, Any]] = [
    json.loads(line) for line in (FOLDER / "trials" / "runs.jsonl").read_text(encoding="utf-8").splitlines()
]
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


def prose() -> str:
    """The page, its lines joined."""
    return " ".join((DOCS / "experiments.md").read_text(encoding="utf-8").split())


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


def half_width(values: list[float]) -> float:
    """Half of the 95 % interval of a mean, by the 97.5 % quantiles of Student's t of 2, 3, 4 and 5 values."""
    quantile = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}[len(values)]
    return 100 * quantile * statistics.stdev(values) / math.sqrt(len(values))


def interval(values: list[float]) -> str:
    """As the page writes a change."""
    middle = 100 * sum(values) / len(values)
    if len(values) == 1:
        return f"{middle:+.1f}"
    around = half_width(values)
    return f"{middle:+.1f} [{middle - around:+.1f}, {middle + around:+.1f}]"


def runs_of(model: str, cell: str, count: int = 3) -> list[dict[str, Any]]:
    """The runs of a cell that the prose is about, by seed."""
    runs = [run for run in RUNS if (run["model"], run["constraints"]) == (model, cell) and run["seed"] < count]
    assert len(runs) == count
    return sorted(runs, key=lambda run: int(run["seed"]))


scan_runs = partial(runs_of, "scan-t2i")


def each_seed(runs: list[dict[str, Any]]) -> list[str]:
    """The F1 of runs on test."""
    return [f"{100 * run['test']['f1']:.1f}" for run in runs]


def change(runs: list[dict[str, Any]], without: list[dict[str, Any]], metric: str) -> float:
    """The mean of what runs change on test, against others of the same seeds; in percent."""
    pairs = zip(runs, without, strict=True)
    return statistics.mean(100 * (float(run["test"][metric]) - float(other["test"][metric])) for run, other in pairs)


def by_seed(runs: list[dict[str, Any]], without: list[dict[str, Any]], metric: str) -> list[float]:
    """The changes of which `change` is the mean."""
    return [change([run], [other], metric) for run, other in zip(runs, without, strict=True)]


def mean_of(runs: list[dict[str, Any]], metric: str) -> str:
    """The mean on test."""
    return f"{statistics.mean(100 * run['test'][metric] for run in runs):.1f}"


def compared(model: str, cell: str, metric: str) -> str:
    """What the comparison says of a cell's change, from the interval over images and seeds on."""
    text = (FOLDER / f"{model}.txt").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^\w {cell} against a none\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    (line,) = re.findall(rf"^{re.escape(metric)} .*?(\[.*)", section, re.MULTILINE)
    return str(line)


def against_none(model: str, cell: str, metric: str) -> tuple[str, str]:
    """The interval over images and seeds of what a cell changes."""
    ((low, high),) = re.findall(r"^\[(\S+), (\S+)\]", compared(model, cell, metric))
    return low, high


def by_holm(model: str, cell: str, metric: str) -> str:
    """The p-value of what a cell changes, after Holm's adjustment."""
    return compared(model, cell, metric).split("]")[1].split()[1]


around = partial(spread, scale=1)
"""A mean and its spread over seeds, of what is in percent already."""


def rise(runs: list[dict[str, Any]], metric: str) -> list[float]:
    """By run, from the first epoch to the last on dev."""
    logs = [run["training"][0]["epochs"] for run in runs]
    return [100 * (float(log[-1][metric]) - float(log[0][metric])) for log in logs]


def gradient_share(runs: list[dict[str, Any]]) -> float:
    """Of the constraints' gradient in the matching loss's, in the first epoch with constraints."""
    epochs = [run["training"][0]["epochs"][1] for run in runs]
    constraints, matching = (
        statistics.mean(float(epoch[f"gradient_{part}"]) for epoch in epochs) for part in ("constraints", "matching")
    )
    return constraints / matching
