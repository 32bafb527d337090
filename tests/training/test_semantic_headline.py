"""The first paragraph of docs/experiments.md says what the records hold, and little enough to be read."""

from __future__ import annotations

import re
import statistics
from typing import Any

import pytest

from training.semantic import (
    DOCS,
    GRID,
    RUNS,
    against_none,
    by_seed,
    change,
    each_seed,
    half_width,
    interval,
    mean_of,
    runs_of,
    scan_runs,
)


def paragraph() -> str:
    """Its lines joined, without marks."""
    text = (DOCS / "experiments.md").read_text(encoding="utf-8").split("\n\n")[1]
    return " ".join(text.replace("**", "").split())


def test_it_has_three_sentences() -> None:
    assert len(re.findall(r"[a-z)]\.(?= [A-Z]|$)", paragraph())) == 3


def test_what_ccr_does_in_scan() -> None:
    said = paragraph()
    without, weak = scan_runs("none", 5), scan_runs("ccr-w1", 5)
    boxes = scan_runs("supervised")
    moves = {
        metric: f"from {mean_of(without, metric)} to {mean_of(weak, metric)}"
        for metric in ("f1", "ap", "pointing", "specificity")
    }
    floors = without[0]["floors"]
    even, centre = floors["uniform"], floors["center"]
    assert (
        f"SCAN's F1 {moves['f1']} (even attention has {100 * even['f1']:.1f}, attention taught with annotated boxes "
        f"{mean_of(boxes, 'f1')}, of which CCR goes an eighth of the way)"
    ) in said

    def f1(runs: list[dict[str, Any]]) -> float:
        return statistics.mean(float(run["test"]["f1"]) for run in runs)

    assert (f1(weak) - f1(without)) / (f1(boxes) - f1(without)) == pytest.approx(1 / 8, abs=0.01)
    middle, *ends = re.findall(r"[+-]([\d.]+)", interval([value / 100 for value in by_seed(weak, without, "f1")]))
    low, high = against_none("scan-t2i", "ccr-w1", "f1")
    assert (
        f"by {middle} (95 % interval over images and seeds {low} to {high}, over seeds alone {ends[0]} to {ends[1]})"
    ) in said
    assert f"AP {moves['ap']} (even: {100 * even['ap']:.1f})" in said
    assert f"pointing {moves['pointing']} (the region nearest the centre has {100 * centre['pointing']:.1f})" in said
    assert f"own things, {moves['specificity']}, while" in said
    low, high = against_none("scan-t2i", "ccr-w1", "rsum")
    assert f"recalls changes by {change(weak, without, 'rsum'):.1f} ({low} to {high})" in said


def test_what_lighter_ccs_does_in_scan() -> None:
    without, lighter = scan_runs("none", 5), scan_runs("ccs-w0.3", 5)
    added = {metric: f"{change(lighter, without, metric):.1f}" for metric in ("f1", "specificity")}
    around = {metric: "({} to {})".format(*against_none("scan-t2i", "ccs-w0.3", metric)) for metric in added}
    assert (
        f"lighter CCS adds {added['f1']} to F1 {around['f1']} and {added['specificity']} to specificity "
        f"{around['specificity']}."
    ) in paragraph()


@pytest.mark.parametrize("model", GRID["models"])
def test_no_constraint_is_shown_to_make_retrieval_better(model: str) -> None:
    assert "no constraint is shown to make retrieval better." in paragraph()
    cells = {run["constraints"] for run in RUNS if run["model"] == model} - {"none", "supervised"}
    assert {"ccr-w1", "ccr-w3"} <= cells
    for cell in cells:
        low, _ = against_none(model, cell, "rsum")
        assert float(low) <= 0


@pytest.mark.parametrize("model", ["bfan-equal", "pfan-t2i", "sgraf"])
def test_in_no_other_model_is_ccr_shown_to_help(model: str) -> None:
    assert "in no other model is CCR shown to help" in paragraph()
    for cell in ("ccr-w1", "ccr-w3"):
        lows = [float(against_none(model, cell, metric)[0]) for metric in ("f1", "specificity")]
        assert min(lows) <= 0


def test_no_other_cell_speaks_for_a_gain() -> None:
    """By the interval of F1 over seeds; CCR in SGRAF gains with each, and its specificity falls with each."""
    cells = {(run["model"], run["constraints"]) for run in RUNS if run["constraints"] not in {"none", "supervised"}}
    gains = set()
    for model, cell in cells:
        seeds = sum((run["model"], run["constraints"]) == (model, cell) for run in RUNS)
        runs, without = (runs_of(model, name, seeds) for name in (cell, "none"))
        changes = by_seed(runs, without, "f1")
        if statistics.mean(changes) > half_width([value / 100 for value in changes]):
            gains.add((model, cell))
        if (model, cell) == ("sgraf", "ccr-w1"):
            assert min(changes) > 0 > max(by_seed(runs, without, "specificity"))
    assert gains == {("scan-t2i", "ccr-w1"), ("scan-t2i", "ccs-w0.3")}


def test_what_does_not_hold() -> None:
    said = paragraph()
    by_model = [
        [*each_seed(runs_of(model, "none")), *each_seed(runs_of(model, "ccr-w1"))]
        for model in ("bfan-equal", "pfan-t2i")
    ]
    assert (
        "In BFAN and PFAN CCR gains or loses with the seed (F1 of {}, {} and {} becomes {}, {} and {}; of {}, {} and "
        "{} becomes {}, {} and {})".format(*by_model[0], *by_model[1])
    ) in said
    for model in ("bfan-equal", "pfan-t2i"):
        changes = by_seed(runs_of(model, "ccr-w1"), runs_of(model, "none"), "f1")
        assert min(changes) < 0 < max(changes)
    without, weak = (runs_of("sgraf", cell) for cell in ("none", "ccr-w1"))
    low, high = against_none("sgraf", "ccr-w1", "rsum")
    moved = {metric: f"{abs(change(weak, without, metric)):.1f}" for metric in ("f1", "specificity", "rsum")}
    assert (
        f"(F1 rises by {moved['f1']}, but specificity falls by {moved['specificity']} and the sum of recalls by "
        f"{moved['rsum']}, over images and seeds {high[1:]} to {low[1:]})"
    ) in said
    losses = [-change(runs_of(model, "ccs"), runs_of(model, "none"), "f1") for model in GRID["models"]]
    assert (
        "of SCAN, BFAN, PFAN and SGRAF by {:.1f}, {:.1f}, {:.1f} and {:.1f}, mostly by recall".format(*losses) in said
    )
    others = ("bfan-equal", "pfan-t2i", "sgraf")
    losses = [-change(runs_of(model, "both"), runs_of(model, "none"), "f1") for model in others]
    assert "both together that of the last three by {:.1f}, {:.1f} and {:.1f}, and".format(*losses) in said
    assert max(float(against_none(model, "both", "f1")[1]) for model in others) < 0
