#!/usr/bin/env python3
"""Write the tables of docs/experiments.md from the records of a grid.

    python tables.py semantic/runs.jsonl ../experiments.md

A table stands between `<!-- table: MODEL -->` or `<!-- curves: MODEL METRIC -->` and `<!-- end -->`. Runs whose sum of
recalls on dev has not stopped rising are left out of the tables of results, and counted beside the others.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS: dict[str, Callable[[dict[str, Any]], float]] = {
    "P": lambda run: run["test"]["precision"],
    "R": lambda run: run["test"]["recall"],
    "F1": lambda run: run["test"]["f1"],
    "AP": lambda run: run["test"]["ap"],
    "pointing": lambda run: run["test"]["pointing"],
    "mass": lambda run: run["test"]["mass"],
    "specificity": lambda run: run["test"]["specificity"],
    "F1 - even": lambda run: run["test"]["f1"] - run["floors"]["uniform"]["f1"],
    "F1 - centre": lambda run: run["test"]["f1"] - run["floors"]["center"]["f1"],
    "AP - even": lambda run: run["test"]["ap"] - run["floors"]["uniform"]["ap"],
    "pointing - centre": lambda run: run["test"]["pointing"] - run["floors"]["center"]["pointing"],
    "i2t R@1": lambda run: run["test"]["i2t_r@1"],
    "R@5": lambda run: run["test"]["i2t_r@5"],
    "R@10": lambda run: run["test"]["i2t_r@10"],
    "t2i R@1": lambda run: run["test"]["t2i_r@1"],
    "R@5 ": lambda run: run["test"]["t2i_r@5"],
    "R@10 ": lambda run: run["test"]["t2i_r@10"],
    "rSum": lambda run: run["test"]["rsum"],
}
"""By column, what it has of a run."""


COUNTS = {"keys"}
"""Logged numbers that are no shares."""


def mean(values: list[float], scale: float = 100) -> str:
    """Mean and standard deviation of several values, in percent unless they are counts; the value, if there is one."""
    spread = f" ± {scale * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{scale * statistics.mean(values):.1f}{spread}"


def by_cell(runs: list[dict[str, Any]], model: str) -> dict[str, list[dict[str, Any]]]:
    """The runs of a model by cell, in the order of the records."""
    cells: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        if run["model"] == model:
            cells.setdefault(run["constraints"], []).append(run)
    return cells


def table(header: list[str], rows: list[list[str]]) -> str:
    """A table, or a sentence where there is nothing to show."""
    if not rows:
        return "No run has finished.\n"
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def results(runs: list[dict[str, Any]], model: str) -> str:
    """The table of a model's results on test."""
    rows = []
    for cell, made in by_cell(runs, model).items():
        flat = [run for run in made if run["flat"]]
        values = [mean([value(run) for run in flat]) if flat else "" for value in RESULTS.values()]
        rows.append([cell, f"{len(flat)} of {len(made)}", epochs_of(made), *values])
    return table(["cell", "runs", "epochs", *(name.strip() for name in RESULTS)], rows)


def epochs_of(runs: list[dict[str, Any]]) -> str:
    """The lengths of trainings, such as 10-14."""
    lengths = [len(training["epochs"]) for run in runs for training in run["training"]]
    return "-".join(map(str, sorted({min(lengths), max(lengths)})))


def curves(runs: list[dict[str, Any]], model: str, metric: str) -> str:
    """A metric of dev by epoch: of every part of a model, mean over the seeds."""
    rows, longest = [], 0
    for cell, made in by_cell(runs, model).items():
        for place, part in enumerate(training["part"] for training in made[0]["training"]):
            trainings = [run["training"][place] for run in made]
            count = min(len(training["epochs"]) for training in trainings)
            longest = max(longest, count)
            start = [training["untrained"][metric] for training in trainings if metric in training["untrained"]]
            by_epoch = [[training["epochs"][at].get(metric) for training in trainings] for at in range(count)]
            name = cell if len(made[0]["training"]) == 1 else f"{cell}, {part}"
            scale = 1 if metric in COUNTS else 100
            values = [mean(each, scale) if each and None not in each else "" for each in (start, *by_epoch)]
            rows.append([name, *values])
    rows = [row + [""] * (longest + 2 - len(row)) for row in rows]
    return table(["cell", *map(str, range(longest + 1))], rows)


def main() -> None:
    """Rewrite the page."""
    records, page = map(Path, sys.argv[1:])
    lines = records.read_text(encoding="utf-8").splitlines() if records.exists() else []
    runs = [json.loads(line) for line in lines]

    def replaced(match: re.Match[str]) -> str:
        kind, model, metric = match[1], match[2], match[3]
        text = results(runs, model) if kind == "table" else curves(runs, model, metric)
        return f"{match[0].splitlines()[0]}\n{text}<!-- end -->"

    pattern = re.compile(r"<!-- (table|curves): (\S+)(?: (\S+))? -->\n.*?<!-- end -->", re.DOTALL)
    page.write_text(pattern.sub(replaced, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
