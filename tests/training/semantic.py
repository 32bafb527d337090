"""The records of the experiment on features that know objects, and its page."""

from __future__ import annotations

import json
import math
import re
import statistics
from fractions import Fraction
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
