#!/usr/bin/env python3
"""Write the tables of docs/experiments.md from the records of a grid.

    python tables.py semantic/runs.jsonl ../experiments.md

A table stands between `<!-- KIND: MODEL -->`, `<!-- curves: MODEL METRIC -->` or `<!-- summary: METRIC... -->`, and
`<!-- end -->`:

- `summary`: what each cell changes in all models, bold where the interval over seeds leaves out zero;
- `table`: the results on test of each cell;
- `gains`: what each cell changes, against the run without constraints of the same seed;
- `runs`: every run, with the F1 of its attention against the other entities of the image, too;
- `dev`: the scores on dev of the epoch that was chosen;
- `curves`: a number of the log by epoch;
- `fades`: what changes from the first epoch to the last, on dev;
- `hinges`: how peaked attention is, and what a constraint sees, in the second epoch and in the last;
- `drawings`: those of `curves.py`;
- `trials`: those of `trials/runs.jsonl` beside the records, each a single run, after the cells that they vary.

Runs whose sum of recalls on dev has not stopped rising are left out of `table`, `gains` and `summary`; `table` counts
them.
"""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from records import read
from writing import change, marked, mean, table

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


GAINS = ("F1", "AP", "pointing", "specificity", "R", "i2t R@1", "t2i R@1", "rSum")
"""Of those, what the table of gains has."""

DEV = {"F1": "f1", "AP": "ap", "pointing": "pointing", "specificity": "specificity", "rSum": "rsum"}
"""By column, the logged scores of dev."""

SEEN = {
    "CCR: within margin": "ccr_active",
    "CCR: wrong side": "ccr_wrong",
    "CCS: within margin": "ccs_active",
    "CCS: wrong side": "ccs_wrong",
}
"""By column, what is logged of the queries that a constraint sees."""

VARIED = ("none", "ccr-w1", "ccs")
"""The cells that trials vary, which are of the trials' seed."""

EVEN = "*even attention*"
"""The row of the floor."""

COUNTS = {"keys"}
"""Logged numbers that are no shares."""

HINGES: dict[str, tuple[str, float]] = {
    "largest weight": ("peak", 100),
    "regions": ("keys", 1),
    "entropy": ("entropy", 100),
    "CCR: gap": ("ccr_gap", 100),
    "within margin": ("ccr_active", 100),
    "wrong side": ("ccr_wrong", 100),
    "CCS: gap": ("ccs_gap", 100),
    "within margin ": ("ccs_active", 100),
    "wrong side ": ("ccs_wrong", 100),
    "gradient, matching": ("gradient_matching", 100),
    "gradient, constraints": ("gradient_constraints", 100),
}
"""By column, the logged number and the scale of its values."""


def by_cell(runs: list[dict[str, Any]], model: str) -> dict[str, list[dict[str, Any]]]:
    """The runs of a model by cell, in their order."""
    cells: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        if run["model"] == model:
            cells.setdefault(run["constraints"], []).append(run)
    return cells


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


def gains(runs: list[dict[str, Any]], model: str) -> str:
    """The table of what a model's cells change on test: means over pairs of a seed, and their intervals over seeds."""
    rows = []
    for cell, pairs in paired(runs, model).items():
        values = [[RESULTS[name](run) - RESULTS[name](other) for run, other in pairs] for name in GAINS]
        rows.append([cell, str(len(pairs)), *(change(each) if each else "" for each in values)])
    return table(["cell", "seeds", *GAINS], rows)


def paired(runs: list[dict[str, Any]], model: str) -> dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
    """The flat runs of a model's cells, each with that without constraints of its seed, where there is one."""
    cells = {cell: {run["seed"]: run for run in made if run["flat"]} for cell, made in by_cell(runs, model).items()}
    without = cells.pop("none", {})
    return {
        cell: [(made[seed], without[seed]) for seed in sorted(made.keys() & without.keys())]
        for cell, made in cells.items()
    }


def summary(runs: list[dict[str, Any]], *metrics: str) -> str:
    """The table of what cells change in all models: the mean of each metric without constraints, and its changes."""
    models = list(dict.fromkeys(run["model"] for run in runs))
    rows: dict[str, dict[str, str]] = {}
    for model in models:
        flat = [run for run in by_cell(runs, model).get("none", []) if run["flat"]]
        means = [f"{100 * statistics.mean(run['test'][metric] for run in flat):.1f}" for metric in metrics if flat]
        rows.setdefault("none", {})[model] = " / ".join(means)
        for cell, pairs in paired(runs, model).items():
            values = [[run["test"][metric] - other["test"][metric] for run, other in pairs] for metric in metrics]
            rows.setdefault(cell, {})[model] = " / ".join(marked(each) for each in values if each)
    cells = dict.fromkeys(run["constraints"] for run in runs)
    even = {run["model"]: run["floors"]["uniform"] for run in runs}
    rows[EVEN] = {
        model: " / ".join(f"{100 * even[model][metric]:.1f}" if metric in even[model] else "-" for metric in metrics)
        for model in models
    }
    cells = {EVEN: None, **cells}
    return table(["cell", *models], [[cell, *(rows[cell].get(model, "") for model in models)] for cell in cells])


def every_run(runs: list[dict[str, Any]], model: str) -> str:
    """The table of a model's single runs."""
    rows = []
    for cell, made in by_cell(runs, model).items():
        for run in sorted(made, key=lambda run: run["seed"]):
            best = ", ".join(f"{training['best_epoch']} of {len(training['epochs'])}" for training in run["training"])
            shown = [run["test"][name] for name in ("f1", "ap", "pointing", "specificity", "rsum")]
            values = (*shown[:1], run["floors"]["shuffled"]["f1"], *shown[1:])
            rows.append(
                [cell, str(run["seed"]), best, "yes" if run["flat"] else "no", *(mean([each]) for each in values)]
            )
    columns = ("F1", "F1, other entities", "AP", "pointing", "specificity", "rSum")
    return table(["cell", "seed", "best epoch", "flat", *columns], rows)


def dev(runs: list[dict[str, Any]], model: str) -> str:
    """The table of the scores on dev of a model's trainings, at the epochs with the best sum of recalls."""
    rows = []
    for name, trainings in parts_of(runs, model).items():
        flat = [training["epochs"][training["best_epoch"] - 1] for training in trainings if training["flat"]]
        values = [mean([epoch[metric] for epoch in flat]) if flat else "" for metric in DEV.values()]
        rows.append([name, f"{len(flat)} of {len(trainings)}", *values])
    return table(["cell", "runs", *DEV], rows)


def parts_of(runs: list[dict[str, Any]], model: str) -> dict[str, list[dict[str, Any]]]:
    """The trainings of a model by cell and, where several are averaged, by part."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for cell, made in by_cell(runs, model).items():
        for run in made:
            for training in run["training"]:
                name = cell if len(run["training"]) == 1 else f"{cell}, {training['part']}"
                parts.setdefault(name, []).append(training)
    return parts


def trials(runs: list[dict[str, Any]], model: str) -> str:
    """The table of single runs on dev, at their epochs with the best sum of recalls, and what training saw last."""
    rows = []
    for name, trainings in parts_of(runs, model).items():
        (training,) = trainings
        best, last = training["epochs"][training["best_epoch"] - 1], training["epochs"][-1]
        seen = [last.get(logged) for logged in SEEN.values()]
        shares = ["" if share is None else mean([share]) for share in seen]
        scores = [mean([best[metric]]) for metric in DEV.values()]
        rows.append([name, "yes" if training["flat"] else "no", *scores, f"{last['keys']:.1f}", *shares])
    return table(["trial", "flat", *DEV, "regions", *SEEN], rows)


def fades(runs: list[dict[str, Any]], model: str) -> str:
    """The table of what changes on dev from the first epoch to the last."""
    rows = []
    for name, trainings in parts_of(runs, model).items():
        row = [name, str(len(trainings))]
        for metric in ("f1", "ap", "pointing", "specificity"):
            ends = [(training["epochs"][0][metric], training["epochs"][-1][metric]) for training in trainings]
            row += [mean([first for first, _ in ends]), mean([last for _, last in ends])]
            row.append(mean([last - first for first, last in ends]))
        rows.append(row)
    heads = [[f"{metric}, epoch 1", "last", "change"] for metric in ("F1", "AP", "pointing", "specificity")]
    return table(["cell", "runs", *(name for head in heads for name in head)], rows)


def hinges(runs: list[dict[str, Any]], model: str) -> str:
    """The table of what is seen at the second epoch, the first with constraints, and at the last."""
    rows = []
    for name, trainings in parts_of(runs, model).items():
        row = [name]
        for logged, scale in HINGES.values():
            ends = [[training["epochs"][at].get(logged) for training in trainings] for at in (1, -1)]
            known = all(None not in each for each in ends)
            row.append(" → ".join(f"{scale * statistics.mean(each):.1f}" for each in ends) if known else "")
        rows.append(row)
    return table(["cell", *(name.strip() for name in HINGES)], rows)


def curves(runs: list[dict[str, Any]], model: str, metric: str) -> str:
    """A metric of dev by epoch: of every part of a model, mean over the seeds."""
    rows, longest, scale = [], 0, 1 if metric in COUNTS else 100
    for name, trainings in parts_of(runs, model).items():
        count = min(len(training["epochs"]) for training in trainings)
        longest = max(longest, count)
        start = [training["untrained"].get(metric) for training in trainings]
        by_epoch = [[training["epochs"][at].get(metric) for training in trainings] for at in range(count)]
        rows.append([name, *("" if None in each else mean(each, scale) for each in (start, *by_epoch))])
    rows = [row + [""] * (longest + 2 - len(row)) for row in rows]
    return table(["cell", *map(str, range(longest + 1))], rows)


def drawings(runs: list[dict[str, Any]], model: str) -> str:
    """The drawings of curves.py that show a model."""
    parts = dict.fromkeys(training["part"] for run in runs if run["model"] == model for training in run["training"])
    shows = "F1, AP, pointing, specificity, sum of recalls, and regions that share attention, by epoch"
    return "".join(f"![{part}: {shows}](experiments/semantic/curves-{part}.svg)\n" for part in parts)


KINDS: dict[str, Callable[..., str]] = {
    "summary": summary,
    "table": results,
    "gains": gains,
    "runs": every_run,
    "dev": dev,
    "curves": curves,
    "fades": fades,
    "hinges": hinges,
    "drawings": drawings,
    "trials": trials,
}


def main() -> None:
    """Rewrite the page."""
    records, page = map(Path, sys.argv[1:])
    runs, tried = read(records), read(records.parent / "trials" / "runs.jsonl")
    varied = [run for run in runs if tried and run["constraints"] in VARIED and run["seed"] == tried[0]["seed"]]

    def replaced(match: re.Match[str]) -> str:
        text = KINDS[match[1]](varied + tried if match[1] == "trials" else runs, *match[2].split())
        return f"{match[0].splitlines()[0]}\n{text}<!-- end -->"

    pattern = re.compile(rf"<!-- ({'|'.join(KINDS)}): ([^>]+) -->\n.*?<!-- end -->", re.DOTALL)
    page.write_text(pattern.sub(replaced, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
