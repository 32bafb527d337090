"""Swap tests and Holm's adjustment, against slow loops, full enumeration and the definitions."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from results import image_sums, made, of_f1, spec

from attneval.config.options import SEED, TRIALS
from attneval.results.compare import compare
from attneval.results.comparison import System
from attneval.statistics.holm import holm
from attneval.statistics.randomization import EQUAL, TRIALS_AT_ONCE, swap_p_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attneval.statistics.image_sums import ImageSums

Image = dict[str, list[float]]  # the numbers of one image by column; ranks are a column with any number of them


def rounded(random: np.random.Generator, high: float) -> float:
    # Few different values, so that differences tie and the tolerance matters.
    return round(float(random.random()) * high, 1)


def some_images(seed: int, count: int) -> list[Image]:
    """Images with up to three items and up to three queries; some have none."""
    random = np.random.default_rng(seed)
    images: list[Image] = []
    for row in range(count):
        items = int(random.integers(0, 4)) if row else 2
        others = int(random.integers(0, items + 1)) if row else 1
        images.append(
            {
                "scored": [float(items)],
                "f1": [rounded(random, items)],
                "tp": [float(random.integers(0, items + 1))],
                "attended": [float(random.integers(items, 2 * items + 1))],
                "relevant": [float(items)],
                "shuffled_n": [float(others)],
                "shuffled_f1": [rounded(random, others)],
                "ranks": [float(rank) for rank in random.integers(1, 6, int(random.integers(0, 4)) if row else 1)],
            }
        )
    return images


def as_sums(images: Sequence[Image]) -> ImageSums:
    columns = {name: [image[name][0] for image in images] for name in images[0] if name != "ranks"}
    return image_sums(columns, {"i2t": [image["ranks"] for image in images]})


def total(images: Iterable[Image], name: str) -> float:
    return math.fsum(value for image in images for value in image[name])


def share(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def value(metric: str, images: Sequence[Image]) -> float:
    """What a metric is, in one line each."""
    if metric == "f1":
        return share(total(images, "f1"), total(images, "scored"))
    if metric == "micro_f1":
        both = total(images, "attended") + total(images, "relevant")
        return 2 * total(images, "tp") / both if both else 0.0 if total(images, "scored") else math.nan
    if metric == "specificity":
        shuffled = share(total(images, "shuffled_f1"), total(images, "shuffled_n"))
        return share(total(images, "f1"), total(images, "scored")) - shuffled
    ranks = [rank for image in images for rank in image["ranks"]]
    return statistics.median(ranks) if ranks else math.nan


METRICS = ("f1", "micro_f1", "specificity", "i2t_medr")


def is_large(metric: str, a: Sequence[Image], b: Sequence[Image], swapped: Sequence[int]) -> bool:
    """Whether the difference after some swaps is at least that before; one that is undefined is."""
    mixed = [(y, x) if swap else (x, y) for x, y, swap in zip(a, b, swapped, strict=True)]
    after = value(metric, [y for _, y in mixed]) - value(metric, [x for x, _ in mixed])
    before = value(metric, b) - value(metric, a)
    return math.isnan(after) or abs(after) >= abs(before) - 1e-12


def random_swaps(images: int, trials: int, seed: int) -> list[list[int]]:
    """One bit per image from whole bytes per trial, the first image in the highest bit."""
    random = np.random.default_rng(seed)
    width = (images + 7) // 8
    swaps = []
    for first in range(0, trials, TRIALS_AT_ONCE):
        count = min(TRIALS_AT_ONCE, trials - first)
        data = random.bytes(count * width)
        for trial in range(count):
            own = data[trial * width : (trial + 1) * width]
            swaps.append([own[k // 8] >> (7 - k % 8) & 1 for k in range(images)])
    return swaps


def p_values(
    systems: Sequence[Sequence[Image]], wanted: dict[tuple[int, int], Sequence[str]], trials: int = 200, seed: int = 5
) -> dict[tuple[int, int, str], float]:
    groups = {pair: [spec(name) for name in names] for pair, names in wanted.items()}
    return swap_p_values([as_sums(images) for images in systems], groups, trials=trials, seed=seed)


# ---------------------------------------------------------------- swaps


@given(st.integers(0, 10**6), st.integers(1, 19))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_p_values_by_a_loop_over_the_same_swaps(seed: int, images: int) -> None:
    systems = [some_images(seed + k, images) for k in range(3)]
    pairs = list(itertools.combinations(range(3), 2))
    found = p_values(systems, dict.fromkeys(pairs, METRICS), trials=60, seed=seed)
    swaps = random_swaps(images, 60, seed)
    for i, j in pairs:
        for metric in METRICS:
            large = sum(is_large(metric, systems[i], systems[j], swapped) for swapped in swaps)
            assert found[i, j, metric] == (1 + large) / 61, (i, j, metric)


def test_trials_beyond_one_batch() -> None:
    trials = 2 * TRIALS_AT_ONCE + 3
    a, b = some_images(1, 11), some_images(2, 11)
    found = p_values([a, b], {(0, 1): ["f1"]}, trials=trials)
    large = sum(is_large("f1", a, b, swapped) for swapped in random_swaps(11, trials, 5))
    assert found == {(0, 1, "f1"): (1 + large) / (1 + trials)}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("images", [2, 5, 8])
def test_p_values_by_all_swaps_there_are(images: int, metric: str) -> None:
    a, b = some_images(images, images), some_images(images + 100, images)
    every = list(itertools.product((0, 1), repeat=images))
    exact = sum(is_large(metric, a, b, swapped) for swapped in every) / len(every)
    found = p_values([a, b], {(0, 1): ["f1", metric]}, trials=TRIALS)[0, 1, metric]
    # Three standard errors of 10,000 trials, and what the added one changes.
    assert found == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / TRIALS) + 1e-4)


def test_the_exact_p_value_by_hand() -> None:
    # Differences of 0.3, 0.2 and 0.1 by image: only with all signs alike is their sum 0.6, which is 2 swaps of 8.
    ones = {"scored": [1.0, 1.0, 1.0]}
    a, b = (image_sums(ones | {"f1": f1}) for f1 in ([0.1, 0.2, 0.3], [0.4, 0.4, 0.4]))
    found = swap_p_values([a, b], {(0, 1): [spec("f1")]})[0, 1, "f1"]
    assert found == pytest.approx(2 / 8, abs=0.014)


@pytest.mark.parametrize("tenths", [(1, 2, -3, 6), (1, 1, 1, -3), (7, -1, -2, -4, 3), (3, -1, -2)])
def test_differences_that_only_rounding_tells_apart_are_equal(tenths: tuple[int, ...]) -> None:
    # In whole tenths nothing is rounded; as floating numbers sums of the same size differ in their last bits.
    ones = {"scored": [1.0] * len(tenths)}
    a = image_sums(ones | {"f1": [max(-t, 0) / 10 for t in tenths]})
    b = image_sums(ones | {"f1": [max(t, 0) / 10 for t in tenths]})
    found = swap_p_values([a, b], {(0, 1): [spec("f1")]}, trials=250)[0, 1, "f1"]
    swaps = random_swaps(len(tenths), 250, SEED)
    sizes = [abs(sum(-t if swap else t for t, swap in zip(tenths, own, strict=True))) for own in swaps]
    assert found == (1 + sum(size >= abs(sum(tenths)) for size in sizes)) / 251
    assert EQUAL == 1e-12


def test_identical_systems_have_p_1() -> None:
    a = some_images(3, 9)
    found = p_values([a, a, a], {(0, 1): METRICS, (1, 2): METRICS})
    assert set(found.values()) == {1.0}


def test_one_image_says_nothing() -> None:
    ones = {"scored": [1.0]}
    a, b = image_sums(ones | {"f1": [0.0]}), image_sums(ones | {"f1": [1.0]})
    assert swap_p_values([a, b], {(0, 1): [spec("f1")]}) == {(0, 1, "f1"): 1.0}


def test_p_is_never_zero_and_falls_with_the_number_of_images() -> None:
    found = []
    for images in (3, 6, 40):
        ones = {"scored": [1.0] * images}
        a, b = image_sums(ones | {"f1": [0.2] * images}), image_sums(ones | {"f1": [0.4] * images})
        found.append(swap_p_values([a, b], {(0, 1): [spec("f1")]}, trials=999)[0, 1, "f1"])
    assert found[0] > found[1] > found[2]
    assert found[2] == 1 / 1000


def test_undefined_trials_count_as_large() -> None:
    # Each system has an item on one image only. Swapping one of the two leaves a system without items (half of the
    # trials); swapping both or none leaves the difference as it is.
    a = image_sums({"f1": [1.0, 0.0], "scored": [1.0, 0.0]})
    b = image_sums({"f1": [0.0, 0.0], "scored": [0.0, 1.0]})
    assert swap_p_values([a, b], {(0, 1): [spec("f1")]}) == {(0, 1, "f1"): 1.0}


def test_medians_by_hand() -> None:
    # Ranks of 1, 1, 1 against 3, 3, 3 differ by 2 in the median after no swap or three. One swap turns that around:
    # medians stay 1 and 3, and so do they after two.
    a, b = ([{"scored": [1.0], "f1": [0.0], "ranks": [rank]} for _ in range(3)] for rank in (1.0, 3.0))
    assert p_values([a, b], {(0, 1): ["i2t_medr", "f1"]})[0, 1, "i2t_medr"] == 1
    # With two images the medians after one swap are both 2: half of the swaps are smaller.
    found = p_values([a[:2], b[:2]], {(0, 1): ["i2t_medr", "f1"]}, trials=TRIALS)
    assert found[0, 1, "i2t_medr"] == pytest.approx(0.5, abs=0.015)


# ---------------------------------------------------------------- several pairs and metrics


def test_pairs_and_metrics_do_not_influence_one_another() -> None:
    systems = [some_images(20 + k, 13) for k in range(4)]
    pairs = list(itertools.combinations(range(4), 2))
    together = p_values(systems, dict.fromkeys(pairs, METRICS))
    assert set(together) == {(*pair, metric) for pair in pairs for metric in METRICS}
    for i, j in pairs:
        alone = p_values([systems[i], systems[j]], {(0, 1): METRICS})
        assert {metric: together[i, j, metric] for metric in METRICS} == {m: alone[0, 1, m] for m in METRICS}
    for metric in METRICS[:3]:
        only = p_values(systems, {pair: [metric] for pair in pairs})
        assert only == {key: p for key, p in together.items() if key[2] == metric}


def test_the_order_of_two_systems_does_not_matter() -> None:
    a, b = some_images(31, 12), some_images(32, 12)
    there, back = p_values([a, b], {(0, 1): METRICS}), p_values([b, a], {(0, 1): METRICS})
    assert there == back


def test_a_metric_that_only_some_systems_have() -> None:
    systems = [some_images(40 + k, 10) for k in range(3)]
    whole = p_values(systems, {(0, 1): ["f1", "micro_f1"], (0, 2): ["f1"], (1, 2): ["f1"]})
    lacking = [as_sums(images) for images in systems]
    for name in ("tp", "attended", "relevant"):
        del lacking[2].columns[name]
    wanted = {(0, 1): [spec("f1"), spec("micro_f1")], (0, 2): [spec("f1")], (1, 2): [spec("f1")]}
    assert swap_p_values(lacking, wanted, trials=200, seed=5) == whole


def test_medians_that_only_some_systems_have() -> None:
    systems = [as_sums(some_images(50 + k, 10)) for k in range(3)]
    wanted = {(0, 1): [spec("i2t_medr"), spec("f1")]}
    pair = swap_p_values(systems[:2], wanted, trials=50, seed=5)
    systems[2].ranks.clear()
    found = swap_p_values(systems, wanted | {(0, 2): [spec("f1")], (1, 2): [spec("f1")]}, trials=50, seed=5)
    assert {key: found[key] for key in pair} == pair


def test_medians_alone() -> None:
    a, b = some_images(60, 7), some_images(61, 7)
    both = p_values([a, b], {(0, 1): ["i2t_medr", "f1"]})
    alone = p_values([a, b], {(0, 1): ["i2t_medr"]})
    assert alone == {(0, 1, "i2t_medr"): both[0, 1, "i2t_medr"]}


def test_pairs_without_a_common_metric() -> None:
    assert p_values([some_images(1, 4), some_images(2, 4)], {(0, 1): []}) == {}


def test_the_protocol_of_the_test() -> None:
    assert (TRIALS, SEED) == (10_000, 12345)
    a, b = (as_sums(some_images(seed, 30)) for seed in (1, 2))
    wanted = {(0, 1): [spec("f1")]}
    assert swap_p_values([a, b], wanted) == swap_p_values([a, b], wanted, trials=10_000, seed=12345)
    assert swap_p_values([a, b], wanted) != swap_p_values([a, b], wanted, seed=1)


# ---------------------------------------------------------------- Holm


def test_holm_by_hand() -> None:
    # In order: 4 * 0.005, 3 * 0.01, 2 * 0.03, and 0.04 that may not fall below the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(st.lists(st.sampled_from([1e-4, 0.001, 0.01, 0.02, 0.024, 0.05, 0.3, 0.5, 1.0]), min_size=1, max_size=7))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_holm_is_the_closure_of_bonferroni(p: list[float]) -> None:
    """A hypothesis is rejected when Bonferroni rejects every set of hypotheses that it is in."""
    adjusted = holm(p)
    for row in range(len(p)):
        sets = [s for n in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), n) if row in s]
        assert adjusted[row] == pytest.approx(max(min(len(s) * min(p[k] for k in s), 1.0) for s in sets))


# ---------------------------------------------------------------- several runs of a system


def some_runs(seed: int, runs: int, images: int) -> list[list[Image]]:
    """Runs on the same images, which only differ in what was attended."""
    made = [some_images(seed, images) for _ in range(runs)]
    random = np.random.default_rng(seed)
    for run in made:
        for image in run:
            image["f1"] = [rounded(random, image["scored"][0])]
    return made


def system(name: str, runs: Sequence[Sequence[Image]]) -> System:
    return System(name, tuple(made(name, as_sums(images)) for images in runs))


def two_level_draws(
    systems: Sequence[Sequence[Sequence[Image]]], metric: str, resamples: int, seed: int
) -> list[list[float]]:
    """By system, the metric over randomly drawn images of randomly drawn runs: the same images for all systems."""
    images = len(systems[0][0])
    drawn_images = np.random.default_rng(seed).integers(0, images, (resamples, images)).tolist()
    random = np.random.default_rng([seed, 1])
    drawn = []
    for runs in systems:
        # A single run is always that run.
        chosen = random.integers(0, len(runs), (resamples, len(runs))).tolist() if len(runs) > 1 else [[0]] * resamples
        drawn.append(
            [
                value(metric, [runs[run][image] for run in own for image in of])
                for own, of in zip(chosen, drawn_images, strict=True)
            ]
        )
    return drawn


@pytest.mark.parametrize("runs", [(3, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("metric", ["f1", "micro_f1", "specificity"])
def test_runs_and_images_are_drawn(runs: tuple[int, int], metric: str) -> None:
    systems = [some_runs(70 + k, count, 12) for k, count in enumerate(runs)]
    found = compare(
        [system("a", systems[0]), system("b", systems[1])], names=[metric], resamples=80, trials=120, seed=3
    )
    (line,) = found.lines
    together = [[image for run in own for image in run] for own in systems]
    assert line.values == pytest.approx([value(metric, images) for images in together])
    drawn = two_level_draws(systems, metric, 80, 3)
    for sample, bounds in zip(drawn, line.intervals, strict=True):
        assert bounds == pytest.approx(tuple(np.nanquantile(sample, [0.025, 0.975])), abs=1e-12)
    change = [b - a for a, b in zip(*drawn, strict=True)]
    difference = line.differences[1]
    assert difference is not None
    assert difference.delta == pytest.approx(value(metric, together[1]) - value(metric, together[0]))
    assert difference.ci == pytest.approx(tuple(np.nanquantile(change, [0.025, 0.975])), abs=1e-12)
    change = [b - a for a, b in zip(*two_level_draws(systems, metric, 120, 3), strict=True) if not math.isnan(b - a)]
    tail = min(sum(d <= 1e-12 for d in change), sum(d >= -1e-12 for d in change))
    assert difference.p == min(2 * (1 + tail) / (1 + len(change)), 1)
    assert any("2 of" in note or "3 of" in note for note in found.notes)


def flat(name: str, *levels: float) -> System:
    """A system with one run per level, which scores the same on every image."""
    return System(name, tuple(of_f1(name, [level] * 40) for level in levels))


def test_seeds_that_differ_more_than_the_systems_tell_nothing() -> None:
    # Every image says that b is better by 0.02, but runs of one system differ by 0.2.
    single = compare([flat("a", 0.5), flat("b", 0.52)], names=["f1"]).lines[0]
    several = compare([flat("a", 0.4, 0.5, 0.6), flat("b", 0.42, 0.52, 0.62)], names=["f1"]).lines[0]
    apart = compare([flat("a", 0.4, 0.5, 0.6), flat("b", 0.8, 0.9, 1.0)], names=["f1"]).lines[0]
    for line in (single, several):
        assert line.values == pytest.approx((0.5, 0.52))
    assert single.better_than == ((), (0,))
    assert several.better_than == ((), ())
    assert apart.better_than == ((), (0,))
    difference = several.differences[1]
    assert difference is not None
    assert difference.p > 0.5
    assert difference.ci is not None
    assert difference.ci[0] < -0.1 < 0.1 < difference.ci[1]


def test_runs_that_are_all_the_same_have_p_1() -> None:
    a = some_runs(5, 1, 20)[0]
    line = compare([system("a", [a, a]), system("b", [a, a, a])], names=["f1"]).lines[0]
    difference = line.differences[1]
    assert difference is not None
    assert difference.p == 1
    assert difference.delta == pytest.approx(0, abs=1e-12)
    assert difference.ci == pytest.approx((0, 0), abs=1e-12)


def test_a_metric_that_only_the_first_run_has_is_no_metric_of_the_system() -> None:
    whole, lacking = as_sums(some_images(1, 9)), as_sums(some_images(2, 9))
    del lacking.columns["tp"]
    systems = [system("a", [some_images(3, 9)]), System("b", (made("b", whole), made("b", lacking)))]
    lines = {line.metric: line.values[1] for line in compare(systems, names=["f1", "micro_f1"]).lines}
    assert lines["f1"] is not None
    assert lines["micro_f1"] is None


def test_the_median_of_several_runs_is_resampled_as_it_is_computed() -> None:
    # All ranks of four runs are 1, of the fifth 100: whatever runs are drawn, the median of their ranks is 1 or 100.
    ranks = (1.0, 1.0, 1.0, 1.0, 100.0)
    runs = tuple(made("b", image_sums({}, {"i2t": [[rank]] * 40, "t2i": [[rank]] * 40})) for rank in ranks)
    base = made("a", image_sums({"f1": [0.5] * 40}, {"i2t": [[2.0]] * 40, "t2i": [[2.0]] * 40}))
    line = compare([System("a", (base,)), System("b", runs)], names=["i2t_medr"]).lines[0]
    assert line.values == (2, 1)
    drawn = [statistics.median(own) for own in itertools.product(ranks, repeat=5)]
    assert line.intervals[1] == tuple(np.quantile(drawn, [0.025, 0.975]))
