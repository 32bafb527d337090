#!/usr/bin/env python3
"""Run a grid of trainings, one after the other, and take it up where it stopped.

    python grid.py semantic/grid.json --data f8k_semantic --gt flickr8k_entities.zip --work DIR

A run is a model, a cell (a choice of constraints) and a seed. Each is trained, exported and scored on test by the
commands that anyone would give, in DIR, which keeps what an interrupted run needs to go on. A finished run is one line
of `runs.jsonl` beside the grid, written at once, and its result without breakdowns is `results/RUN.json.xz`; a run that
has its line is not run again. The order is that of the grid: by model, then by seed, then by cell, so that what exists
compares.

With `"until_flat": {"step": 2, "most": 16}` in the grid, a training whose sum of recalls on dev still rises after the
epochs that it was given goes on, two epochs at a time, until it has stopped rising or has had 16. With `"test": false`
nothing is scored on test: such a grid is for trials, whose records hold dev alone.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLAT_EPOCHS, FLAT_GAIN = 3, 0.01


@dataclass(frozen=True)
class Run:
    """A run of a grid.

    Args:
        model: Its name in the grid.
        cell: The name of its constraints in the grid.
        seed: Of its training.
        parts: For each checkpoint that is averaged, the arguments of `attneval train`, without data and folder.
        lengths: The numbers of epochs after which a training may end.
        tested: True if it is scored on test.
    """

    model: str
    cell: str
    seed: int
    parts: dict[str, list[str]]
    lengths: Sequence[int]
    tested: bool

    @property
    def name(self) -> str:
        """Such as `scan-t2i-none-0`."""
        return f"{self.model}-{self.cell}-{self.seed}"


def runs_of(grid: dict[str, Any]) -> Iterator[Run]:
    """All runs of a grid, in the order in which they are made."""
    given = int(grid["common"][grid["common"].index("--epochs") + 1])
    longer = grid.get("until_flat")
    lengths = range(given, longer["most"] + 1, longer["step"]) if longer else [given]
    for model, about in grid["models"].items():
        for seed in grid["seeds"]:
            for cell, constraints in grid["cells"].items():
                late = [] if cell == "none" else about.get("constrained", [])
                shared = [*grid["common"], *about.get("arguments", []), *constraints, *late, "--seed", str(seed)]
                parts = {part: ["--model", part, *shared] for part in about["parts"]}
                yield Run(model, cell, seed, parts, lengths, grid.get("test", True))


def of_length(arguments: list[str], epochs: int) -> list[str]:
    """The arguments of a training with another number of epochs."""
    place = arguments.index("--epochs") + 1
    return [*arguments[:place], str(epochs), *arguments[place + 1 :]]


def is_flat(rsums: Sequence[float]) -> bool:
    """Decide that the sum of recalls has stopped rising: the last three epochs gained at most 1 % over those before.

    Args:
        rsums: The sum of recalls on dev after each epoch.
    """
    before, last = rsums[:-FLAT_EPOCHS], rsums[-FLAT_EPOCHS:]
    return bool(before) and max(last) <= (1 + FLAT_GAIN) * max(before)


def events_of(log: Path, kind: str) -> list[dict[str, Any]]:
    """The events of one kind of a training's log."""
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [event for event in events if event.pop("event") == kind]


def training_record(part: str, arguments: list[str], log: Path) -> dict[str, Any]:
    """The part of a record that is about a training: its choices and every epoch."""
    (start,), epochs = events_of(log, "start"), events_of(log, "epoch")
    return {
        "part": part,
        "arguments": of_length(arguments, len(epochs)),
        # The log begins with the epochs that were planned first.
        "config": {**start["config"], "epochs": len(epochs)},
        "parameters": start["parameters"],
        "torch": start["torch"],
        "untrained": start["untrained"],
        "epochs": epochs,
        "best_epoch": max(event["epoch"] for event in epochs if event["best"]),
        "flat": is_flat([event["rsum"] for event in epochs]),
    }


def result_record(result: dict[str, Any]) -> dict[str, Any]:
    """The part of a record that is about a result: the metrics, and their floors."""
    return {
        "test": {name: metric["value"] for name, metric in result["metrics"].items()},
        "floors": {
            floor: {name: metric["value"] for name, metric in metrics.items()}
            for floor, metrics in result["baselines"].items()
        },
        "counts": result["counts"],
        "signature": result["signature"],
    }


def without_breakdowns(result: dict[str, Any]) -> bytes:
    """The text of a result that compares as the whole one does, in a third of its size."""
    kept = dict(result)
    for name in ("by", "by_baselines", "by_images"):
        if name in kept:
            kept[name] = {}
    kept["per_image"] = {name: column for name, column in result["per_image"].items() if name != "by"}
    return json.dumps(kept).encode()


def attneval(*arguments: str, folder: Path) -> None:
    """Run a command in a folder; what it says goes to stderr."""
    subprocess.run([sys.executable, "-m", "attneval", *arguments], cwd=folder, check=True, stdout=sys.stderr)  # noqa: S603


def trained(run: Run, work: Path, data: str, gt: str) -> dict[str, Any]:
    """Train the parts of a run until each is flat; gives its record without test."""
    for part, arguments in run.parts.items():
        for epochs in run.lengths:
            longer = of_length(arguments, epochs)
            attneval("train", *longer, "--data", data, "--gt", gt, "-o", f"{run.name}/{part}", "-q", folder=work)
            # Of a training that was stopped later, too: what decides is the log up to here.
            if is_flat([event["rsum"] for event in events_of(work / run.name / part / "log.jsonl", "epoch")][:epochs]):
                break
    trainings = [training_record(part, run.parts[part], work / run.name / part / "log.jsonl") for part in run.parts]
    return {
        "name": run.name,
        "data": data,
        "model": run.model,
        "constraints": run.cell,
        "seed": run.seed,
        "flat": all(training["flat"] for training in trainings),
        "training": trainings,
    }


def tested(run: Run, work: Path, gt: str) -> dict[str, Any]:
    """Export the attention of a trained run on test, and score it; gives the result."""
    checkpoints = [f"{run.name}/{part}/best.pth.tar" for part in run.parts]
    export, result = f"{run.name}/test.npz", f"{run.name}/test.json"
    attneval("export", *checkpoints, "--split", "test", "--device", "cpu", "-o", export, "-q", folder=work)
    attneval("score", export, "--gt", gt, "--name", run.name, "-o", result, "-q", folder=work)
    scored: dict[str, Any] = json.loads((work / result).read_bytes())
    return scored


def linked(work: Path, target: Path) -> str:
    """The name of a link in the folder of the work, so that records hold no path of this machine."""
    link = work / target.name
    if not link.exists():
        link.symlink_to(target.resolve())
    return target.name


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description="Run what is missing of a grid of trainings.")
    parser.add_argument("grid", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder in the precomputed layout")
    parser.add_argument("--gt", type=Path, required=True, help="annotations")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--models", nargs="*", help="only these")
    parser.add_argument("--cells", nargs="*", help="only these")
    parser.add_argument("--seeds", nargs="*", type=int, help="only these")
    parser.add_argument("--limit", type=int, default=sys.maxsize, help="at most so many runs")
    parser.add_argument("--list", action="store_true", help="only say what is missing")
    given = parser.parse_args()
    records, results = given.grid.parent / "runs.jsonl", given.grid.parent / "results"
    lines = records.read_text(encoding="utf-8").splitlines() if records.exists() else []
    done = {json.loads(line)["name"] for line in lines}
    chosen = {"model": given.models, "cell": given.cells, "seed": given.seeds}
    missing = [
        run
        for run in runs_of(json.loads(given.grid.read_text(encoding="utf-8")))
        if run.name not in done and all(not only or getattr(run, key) in only for key, only in chosen.items())
    ]
    if given.list:
        print("\n".join(run.name for run in missing))  # noqa: T201
        return
    given.work.mkdir(parents=True, exist_ok=True)
    data, gt = linked(given.work, given.data), linked(given.work, given.gt)
    for run in missing[: given.limit]:
        record = trained(run, given.work, data, gt)
        if run.tested:
            result = tested(run, given.work, gt)
            record |= result_record(result)
            results.mkdir(exist_ok=True)
            (results / f"{run.name}.json.xz").write_bytes(lzma.compress(without_breakdowns(result), preset=9))
        with records.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(given.work / run.name)
        print(f"{run.name}: done", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
