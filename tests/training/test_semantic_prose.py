"""The numbers in the prose of docs/experiments.md are those of the records."""

from __future__ import annotations

import re
import statistics
from typing import Any

import pytest

from training.semantic import (
    RUNS,
    against_none,
    around,
    by_holm,
    by_seed,
    change,
    each_seed,
    gradient_share,
    interval,
    mean_of,
    prose,
    rise,
    runs_of,
    scan_runs,
    shown,
)


def test_prose_says_what_the_records_hold() -> None:
    page = prose()
    without, weak, strong = (scan_runs(cell, count) for cell, count in (("none", 5), ("ccr-w1", 5), ("ccr-w3", 3)))

    def logged(run: dict[str, Any], metric: str, at: int) -> float:
        return float(run["training"][0]["epochs"][at][metric])

    falls = [rise(without, metric) for metric in ("f1", "specificity")]
    assert max(map(max, falls)) < 0
    assert f"F1 falls by {around(falls[0])[1:]} and specificity by {around(falls[1])[1:]}" in page
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
    paired = without[:3]
    lost = [-change(ccs, paired, metric) for metric in ("f1", "recall")]
    assert "recall falls by {1:.1f}, and F1 by {0:.1f}.".format(*lost) in page
    assert abs(change(ccs, paired, "ap")) < 0.5
    f1_by_seed = [" ".join(each_seed(runs)) for runs in (both, paired)]
    assert (
        "F1 {}, {} and {} for the three seeds, without a constraint {}, {} and {}.".format(
            *" ".join(f1_by_seed).split()
        )
        in page
    )


def test_prose_says_what_lighter_ccs_does() -> None:
    page = prose()
    without, weak, lighter = (scan_runs(cell, 5) for cell in ("none", "ccr-w1", "ccs-w0.3"))
    rises = [around(rise(lighter, metric)) for metric in ("f1", "specificity")]
    assert "F1 {} and specificity +{} from the first epoch to the last, with a tenth".format(*rises) in page
    assert gradient_share(lighter) == pytest.approx(1 / 10, abs=0.03)
    low, high = against_none("scan-t2i", "ccs-w0.3", "f1")
    assert (
        f"F1 is {change(lighter, without, 'f1'):.1f} higher than without (over images and seeds, {low} to {high};"
        in page
    )
    assert f"p after Holm {by_holm('scan-t2i', 'ccs-w0.3', 'f1')};" in page
    seeds = re.findall(r"[+-]([\d.]+)", interval([value / 100 for value in by_seed(lighter, without, "f1")]))
    assert "over seeds alone, {} to {}), specificity".format(*seeds[1:]) in page
    low, high = against_none("scan-t2i", "ccs-w0.3", "specificity")
    assert f"specificity {change(lighter, without, 'specificity'):.1f} ({low} to {high}), and recall" in page
    assert f"recall stays ({change(lighter, without, 'recall'):.1f})" in page
    for metric, share in (("f1", 1 / 3), ("specificity", 2 / 3)):
        assert change(lighter, without, metric) / change(weak, without, metric) == pytest.approx(share, abs=0.04)


def test_prose_says_what_the_records_hold_of_bfan() -> None:
    page = prose()
    without, weak = (runs_of("bfan-equal", cell) for cell in ("none", "ccr-w1"))
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
    assert f"F1 +{around(rise(without, 'f1'))} from the first epoch to the last" in page
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
    page = prose()
    without, weak, ccs, both, boxes = (
        runs_of("pfan-t2i", cell) for cell in ("none", "ccr-w1", "ccs", "both", "supervised")
    )
    assert f"(F1 {mean_of(without, 'f1')}, specificity {mean_of(without, 'specificity')}, 33 regions share it)" in page
    assert "F1 {}, {} and {} becomes {}, {} and {}, and".format(*each_seed(without), *each_seed(weak)) in page
    changes = by_seed(weak, without, "specificity")
    assert "specificity changes by {:.1f}, {:+.1f} and {:.1f}.".format(*changes) in page
    pointing = by_seed(weak, without, "pointing")
    assert min(pointing) > 0
    assert "Pointing rises with each seed (by {:.1f}, {:.1f} and {:.1f})".format(*pointing) in page
    for cell, said in (
        ("ccs", "lowers F1 by {:.1f} (over images and seeds, {} to {}; p after Holm {})"),
        ("both", "it by {:.1f} ({} to {}; {})"),
    ):
        low, high = against_none("pfan-t2i", cell, "f1")
        lost, p = -change(runs_of("pfan-t2i", cell), without, "f1"), by_holm("pfan-t2i", cell, "f1")
        assert said.format(lost, low, high, p) in page
    heavy = runs_of("pfan-t2i", "ccr-w3")
    fall = [mean_of(runs, "specificity") for runs in (without, heavy)]
    assert (
        "specificity falls from {} to {}, with each seed, and F1 is {}, {} and {};".format(*fall, *each_seed(heavy))
        in page
    )
    assert max(by_seed(heavy, without, "specificity")) < 0
    assert max(by_seed(heavy, without, "rsum")) < 0
    low, high = against_none("pfan-t2i", "ccr-w3", "rsum")
    lost = -change(heavy, without, "rsum")
    assert f"too, by {lost:.1f} on the mean (over images and seeds, {high[1:]} to {low[1:]})" in page
    assert f"and recall by {-change(ccs, without, 'recall'):.1f}, and both" in page
    assert min(by_seed(ccs, without, "rsum")) > 0
    intervals = against_none("pfan-t2i", "ccs", "rsum")
    assert f"by {change(ccs, without, 'rsum'):.1f} on the mean" in page
    assert "(over images and seeds, {} to {}).".format(*intervals) in page
    assert max(by_seed(both, without, "f1")) < 0
    shown_values = [mean_of(boxes, metric) for metric in ("f1", "ap", "pointing")]
    assert "has an F1 of {}, AP {} and pointing {}.".format(*shown_values) in page


def chosen(runs: list[dict[str, Any]], part: int) -> list[float]:
    """The F1 on dev of the chosen epochs of one of a model's parts."""
    trainings = [run["training"][part] for run in runs]
    return [100 * float(each["epochs"][each["best_epoch"] - 1]["f1"]) for each in trainings]


def regions(runs: list[dict[str, Any]]) -> float:
    """How many share attention in the last epoch."""
    return statistics.mean(float(part["epochs"][-1]["keys"]) for run in runs for part in run["training"])


def test_prose_says_what_the_records_hold_of_sgraf() -> None:
    page = prose()
    without, weak = (runs_of("sgraf", cell) for cell in ("none", "ccr-w1"))
    fall = -change(weak, without, "rsum")
    assert f"(F1 {mean_of(without, 'f1')}, specificity {mean_of(without, 'specificity')}; its" in page
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

    rise = statistics.mean(chosen(weak, 0)) - statistics.mean(chosen(without, 0))
    assert f"raises SGR's F1 by {rise:.1f}; SAF's of" in page
    assert "SAF's of {:.1f}, {:.1f} and {:.1f} is luck".format(*chosen(weak, 1)) in page
    last = [training["epochs"][-1] for run in weak for training in run["training"]]
    assert statistics.mean(epoch["ccr_active"] for epoch in last) == pytest.approx(1 / 5, abs=0.03)
    assert statistics.mean(epoch["keys"] for epoch in last) == pytest.approx(9, abs=0.5)


def test_prose_says_what_other_cells_do_in_sgraf() -> None:
    page = prose()
    without, heavy, ccs = (runs_of("sgraf", cell) for cell in ("none", "ccr-w3", "ccs"))
    gains = by_seed(heavy, without, "f1")
    others = [100 * run["floors"]["shuffled"]["f1"] for run in heavy]
    said = "F1 rises with each seed, by {:.1f}, {:.1f} and {:.1f}, and is {:.1f}, {:.1f} and {:.1f} for the other"
    assert said.format(*gains, *others) in page
    assert min(gains) > 0
    low, high = against_none("sgraf", "ccr-w3", "specificity")
    lost = -change(heavy, without, "specificity")
    assert f"falls with each by {lost:.1f} on the mean (over images and seeds, {high[1:]} to {low[1:]})" in page
    assert f"the sum of recalls with each by {-change(heavy, without, 'rsum'):.1f}. Thirteen regions" in page
    assert max(*by_seed(heavy, without, "specificity"), *by_seed(heavy, without, "rsum")) < 0
    assert regions(heavy) == pytest.approx(13, abs=0.5)
    parts = "with each seed ({:.1f}, {:.1f} and {:.1f}) and SAF's is not ({:.1f}, {:.1f} and {:.1f})."
    assert parts.format(*chosen(heavy, 0), *chosen(heavy, 1)) in page
    header, *rows = shown("dev: sgraf")
    of = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    one, other = of["ccr-w3, sgr"], of["none, sgr"]
    (f1, _), (f1_without, _), (rsum, _), (rsum_without, _) = (
        each[column].split(" ± ") for column in ("F1", "rSum") for each in (one, other)
    )
    assert (
        f"F1 {f1} instead of {f1_without}, at a specificity of {one['specificity']} instead of {other['specificity']}, "
        f"but at a sum of recalls of {rsum} instead of {rsum_without}."
    ) in page
    assert regions(ccs) == pytest.approx(9, abs=0.5)
    low, high = against_none("sgraf", "ccs", "f1")
    lost = -change(ccs, without, "f1")
    assert f"by {lost:.1f} on the mean (over images and seeds, from {low[1:]} lower to {high} higher)" in page
    assert max(by_seed(ccs, without, "f1")) < 0
    changes = [abs(change(ccs, without, metric)) for metric in ("recall", "specificity", "rsum")]
    assert "recall by {:.1f} and specificity by {:.1f}, at the same sum of recalls (+{:.1f}).".format(*changes) in page
    both = runs_of("sgraf", "both")
    low, high = against_none("sgraf", "both", "f1")
    lost = -change(both, without, "f1")
    assert (
        f"lower F1 with each seed, by {lost:.1f} on the mean (over images and seeds, {high[1:]} to {low[1:]})" in page
    )
    assert max(by_seed(both, without, "f1")) < 0
    changes = [abs(change(both, without, metric)) for metric in ("recall", "specificity", "rsum")]
    assert "recall by {:.1f} and specificity by {:.1f}, at the same sum of recalls (+{:.1f}).".format(*changes) in page
    assert regions(both) == pytest.approx(7, abs=0.5)
    assert regions(both) == min(
        regions([run for run in RUNS if (run["model"], run["constraints"]) == (model, cell)])
        for model, cell in {(run["model"], run["constraints"]) for run in RUNS}
    )
    boxes = runs_of("sgraf", "supervised")
    values = [mean_of(boxes, metric) for metric in ("f1", "ap", "pointing", "specificity")]
    said = "**Supervised attention** has an F1 of {}, AP {}, pointing {} and a specificity of {}, the highest"
    assert said.format(*values) in page
    assert f"sum of recalls is {mean_of(boxes, 'rsum')}, without a constraint {mean_of(without, 'rsum')}." in page
    for model in ("scan-t2i", "bfan-equal", "pfan-t2i"):
        for metric in ("f1", "specificity"):
            assert float(mean_of(boxes, metric)) > float(mean_of(runs_of(model, "supervised"), metric))
