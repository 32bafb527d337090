"""Holm's family: the headline metrics unless metrics are named, with as many trials as it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from results import image_sums, made, of_f1

from attneval import compare
from attneval.config.options import MOST_TRIALS, TRIALS
from attneval.metrics.registry import metrics
from attneval.report.compare import compare_page
from attneval.report.plain import render_plain
from attneval.statistics.holm import holm, trials_needed

if TYPE_CHECKING:
    from attneval import Result

HEADLINE = ["f1", "ap", "pointing", "i2t_r@1", "t2i_r@1", "rsum"]
RANKED = [f"{d}_r@{k}" for d in ("i2t", "t2i") for k in (1, 5, 10)]


def systems(count: int, images: int = 40) -> list[Result]:
    """Systems with thirteen metrics each, every one better than the one before on every image."""
    ones = [1.0] * images
    results = []
    for number in range(count):
        value = [(number + 1) / (count + 1)] * images
        columns = dict.fromkeys(("precision", "recall", "f1", "ap", "pointing", "mass", *RANKED), value)
        columns |= {"scored": ones, "i2t_n": ones, "t2i_n": ones}
        results.append(made(f"s{number}", image_sums(columns)))
    return results


def test_the_family_is_the_headline_metrics() -> None:
    assert [metric.name for metric in metrics() if metric.family] == HEADLINE
    comparison = compare(systems(2), resamples=0)
    assert list(comparison.family) == HEADLINE
    for line in comparison.lines:
        change = line.differences[1]
        assert change is not None
        if line.metric in HEADLINE:
            assert change.p_holm == pytest.approx(6 * change.p)
            assert line.better_than == ((), (0,))
        else:
            assert change.p_holm is None
            assert line.better_than == ((), ())
    text = render_plain(compare_page(comparison))
    assert "Holm's family: f1, ap, pointing, i2t_r@1, t2i_r@1, rsum; other p-values are raw" in text


def test_named_metrics_are_the_family() -> None:
    comparison = compare(systems(2), names=["precision", "f1"], resamples=0)
    assert comparison.family == ("precision", "f1")
    for line in comparison.lines:
        assert line.better_than == ((), (0,))
        assert line.differences[1] is not None
        assert line.differences[1].p_holm == pytest.approx(2 * line.differences[1].p)
    assert "Holm's family" not in render_plain(compare_page(comparison))


def test_the_rest_does_not_weigh_on_the_family() -> None:
    results = systems(3)
    everything = compare(results, resamples=0, trials=500)
    headline = compare(results, names=HEADLINE, resamples=0, trials=500)
    lines = {line.metric: line for line in everything.lines}
    for line in headline.lines:
        assert lines[line.metric].differences == line.differences


@pytest.mark.parametrize(
    ("tests", "alpha", "trials"),
    [
        (1, 0.05, TRIALS),
        (249, 0.05, TRIALS),
        (251, 0.05, 10_040),
        (45 * 6, 0.05, 10_800),
        (45 * 13, 0.05, 23_400),
        (45 * 13, 0.01, 117_000),
        (100_000, 0.05, MOST_TRIALS),
        (1, 0.0, MOST_TRIALS),
        (0, 0.05, TRIALS),
    ],
)
def test_trials_rise_with_the_family(tests: int, alpha: float, trials: int) -> None:
    assert trials_needed(tests, alpha) == trials
    if tests and alpha and trials < MOST_TRIALS:
        assert trials + 1 > 2 * tests / alpha
        # The smallest p-value of a bootstrap is significant among all the others.
        assert holm([2 / (trials + 1)] * tests)[0] < alpha


def test_ten_systems_and_thirteen_metrics_can_be_told_apart() -> None:
    names = ["precision", "recall", "f1", "ap", "pointing", "mass", *RANKED, "rsum"]
    results = systems(10)
    comparison = compare(results, names=names, resamples=0)
    assert len(comparison.lines) == 13
    assert comparison.trials == 23_400
    (note,) = comparison.notes
    assert note == "23400 trials in place of 10000, since p-values of 585 tests are adjusted together"
    for line in comparison.lines:
        assert line.better_than == tuple(tuple(range(system)) for system in range(10))
    # With 10,000 nothing is significant; whoever asks for them is told.
    fixed = compare(results, names=names, resamples=0, trials=10_000)
    assert fixed.trials == 10_000
    assert not any(line.better_than[9] for line in fixed.lines)
    (note,) = fixed.notes
    assert note.startswith("no p-value of 585 tests can be below 0.05 after Holm with 10000 trials: compare fewer ")
    assert note.endswith("or raise --trials")


def test_a_family_that_no_bounded_number_of_trials_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attneval.results.compare.trials_needed", lambda *_: 15)
    comparison = compare([of_f1("a", [0.1] * 9), of_f1("b", [0.2] * 9)], resamples=0)
    assert comparison.notes == (
        "no p-value of 1 tests can be below 0.05 after Holm with 15 trials: compare fewer systems or metrics at once",
    )


def test_resamples_of_runs_in_blocks_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from attneval.results.comparison import System

    random = np.random.default_rng(2)
    runs = [of_f1(str(k), random.random(30).tolist()) for k in range(4)]
    pair = [System("a", tuple(runs[:2])), System("b", tuple(runs[2:]))]
    whole = compare(pair, resamples=200, trials=300)
    monkeypatch.setattr("attneval.statistics.bootstrap.DRAWN_AT_ONCE", 30 * 7)
    assert compare(pair, resamples=200, trials=300) == whole
