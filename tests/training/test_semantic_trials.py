"""The trials of docs/experiments.md are the recorded ones, and its prose says what they hold."""

from __future__ import annotations

import json

import pytest

from training.semantic import FOLDER, RUNS, TRIALS, prose, shown


@pytest.mark.parametrize(("model", "name"), [("scan-t2i", "grid"), ("sgraf", "sgraf")])
def test_trials_are_the_recorded_ones_and_saw_no_test(model: str, name: str) -> None:
    header, *rows = shown(f"trials: {model}")
    grid = json.loads((FOLDER / "trials" / f"{name}.json").read_text(encoding="utf-8"))
    assert list(grid["models"]) == [model]
    tried = [run for run in TRIALS if run["model"] == model]
    assert {run["constraints"] for run in tried} == set(grid["cells"])
    tried.sort(key=lambda run: list(grid["cells"]).index(run["constraints"]))
    assert {run["seed"] for run in tried} == set(grid["seeds"]) == {0}
    assert not any("test" in run or "floors" in run for run in tried)
    varied = [run for run in RUNS if run["name"] in {f"{model}-{cell}-0" for cell in ("none", "ccr-w1", "ccs")}]
    parts = [(run, training) for run in (*varied, *tried) for training in run["training"]]
    alone = len(grid["models"][model]["parts"]) == 1
    names = [run["constraints"] + ("" if alone else f", {training['part']}") for run, training in parts]
    assert [row[0] for row in rows] == names
    for row, (run, training) in zip(rows, parts, strict=True):
        best, last = training["epochs"][training["best_epoch"] - 1], training["epochs"][-1]
        assert row[1] == ("yes" if run["flat"] else "no")
        for column, metric in (("F1", "f1"), ("AP", "ap"), ("specificity", "specificity"), ("rSum", "rsum")):
            assert row[header.index(column)] == f"{100 * best[metric]:.1f}"
        assert row[header.index("regions")] == f"{last['keys']:.1f}"
        within = last.get("ccr_active")
        assert row[header.index("CCR: within margin")] == ("" if within is None else f"{100 * within:.1f}")


def test_prose_says_what_trials_hold() -> None:
    page = prose()
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

    highest = of["ccr-weight-10"]
    assert f"the highest F1 of all trials, {highest['F1']}, at a specificity of {highest['specificity']} and" in page
    assert all(float(highest[column]) == max(float(row[column]) for row in of.values()) for column in ("F1", "AP"))
    assert f"{float(mild['rSum']) - float(highest['rSum']):.0f} lower than with weight 1" in page
    assert "nothing is gained ({} and {});".format(*both("ccr-margin-0.02")) in page
    even = [f"{float(of[name]['regions']):.0f}" for name in ("ccr-margin-0.02", "none")]
    assert even == ["33", "33"]
    wide = of["ccr-margin-1"]
    assert f"less F1 ({wide['F1']}), more specificity ({wide['specificity']}), " in page
    assert f"{float(mild['rSum']) - float(wide['rSum']):.0f} less in recalls." in page
    assert wide["CCR: within margin"] == "100.0"
    sharp, taught = of["none-temperature-20"], of["ccr-temperature-20"]
    assert f"a specificity of {sharp['specificity']} instead of {of['none']['specificity']}" in page
    assert f"the same F1 ({sharp['F1']})" in page
    assert f"with CCR {taught['specificity']}, the highest of all, at an F1 of {taught['F1']}" in page
    assert max(float(row["specificity"]) for row in of.values()) == float(taught["specificity"])
    assert f"({taught['rSum']} and {sharp['rSum']})" in page
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
    assert f"({random['CCS: within margin']} % within the margin) and change little ({random['F1']};" in page
    assert f"not content words alone, {of['ccs-random-words']['F1']})" in page
    assert f"does not help ({of['ccs-margin-0.05']['F1']})" in page
    assert float(everything["CCR: within margin"]) == pytest.approx(100 / 3, abs=2)
    assert float(everything["CCR: wrong side"]) < 0.5


def test_prose_says_what_trials_of_sgraf_hold() -> None:
    page = prose()
    header, *rows = shown("trials: sgraf")
    of = {row[0]: dict(zip(header, row, strict=True)) for row in rows}

    def both(name: str) -> tuple[str, str]:
        return of[name]["F1"], of[name]["specificity"]

    regions = [f"{float(of[name]['regions']):.0f}" for name in ("ccr-fit-model, sgr", "ccr-fit-model, saf")]
    assert "{} and {} regions share it instead of 9.".format(*regions) in page
    saf = (*both("ccr-fit-model, saf"), *both("none, saf"))
    assert "by it, {} and {} where it has {} and {} without a constraint".format(*saf) in page
    sgr = (*both("ccr-fit-model, sgr"), *both("none, sgr"))
    assert "loses most of both, {} and {} where it has {} and {}: all its words stay".format(*sgr) in page
    assert of["ccr-fit-model, sgr"]["CCR: within margin"] == "100.0"
    (run,) = (run for run in TRIALS if run["name"] == "sgraf-ccr-fit-model-0")
    assert f"at a gap of {100 * run['training'][0]['epochs'][-1]['ccr_gap']:.0f} %" in page


def test_all_trials_were_made() -> None:
    assert "grids](experiments/semantic/trials/sgraf.json) were made." in prose()
    made = {(run["model"], run["constraints"]) for run in TRIALS}
    for path in (FOLDER / "trials").glob("*.json"):
        grid = json.loads(path.read_text(encoding="utf-8"))
        assert {(model, cell) for model in grid["models"] for cell in grid["cells"]} <= made
