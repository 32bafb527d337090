"""The bootstrap over images, against slow loops over the same draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval import Options, score
from attneval.config.options import RESAMPLES, SEED
from attneval.metrics.declaration import Metric
from attneval.metrics.registry import metrics
from attneval.metrics.values import divided, ratio
from attneval.statistics import bootstrap as stats
from attneval.statistics import group_draws
from attneval.statistics.bootstrap import (
    CONFIDENCE,
    bootstrap_repeats,
    draw,
    intervals,
    percentile_bounds,
    percentile_bounds_each,
)
from attneval.statistics.group_draws import draw_with_groups
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable
from attneval.statistics.resamples import Resamples

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def metric(name: str, value: object, **given_: object) -> Metric:
    fields = {"name": name, "title": name, "group": "attention", "higher_is_better": True, "definition": ""}
    return Metric(**(fields | {"value": value} | given_))  # type: ignore[arg-type]


MEAN = metric("mean", ratio("part", "whole"))


def some_sums(seed: int, images: int) -> ImageSums:
    """Per-image sums and ranks as a scoring leaves them; image 0 has no query."""
    random = np.random.default_rng(seed)
    whole = random.integers(0, 6, images).astype(np.float64)
    image = np.sort(random.integers(min(1, images - 1), images, 3 * images))
    ranks = RankTable(image, random.integers(1, 9, 3 * images) / 2, image % 2)
    return ImageSums(
        [str(i) for i in range(images)], {"part": whole * random.random(images), "whole": whole}, {"i2t": ranks}
    )


def drawn_images(images: int, resamples: int, seed: int) -> list[list[int]]:
    """The images of each resample, as they are drawn."""
    return [[int(i) for i in row] for row in np.random.default_rng(seed).integers(0, images, (resamples, images))]


# ---------------------------------------------------------------- repeats


def test_the_protocol_of_the_bootstrap() -> None:
    assert (RESAMPLES, SEED, CONFIDENCE) == (1000, 12345, 0.95)


@pytest.mark.parametrize(("images", "resamples", "seed"), [(1, 3, 0), (2, 50, 12345), (17, 40, 1)])
def test_repeats_count_the_draws(images: int, resamples: int, seed: int) -> None:
    repeats = bootstrap_repeats(images, resamples, seed)
    assert repeats.tolist() == [[own.count(i) for i in range(images)] for own in drawn_images(images, resamples, seed)]
    assert (repeats.sum(axis=1) == images).all()


def test_repeats_are_the_same_for_everybody() -> None:
    # Results are compared by the same resamples. numpy does not promise that a generator's stream stays as it is from
    # version to version, so this is where a change would be seen.
    assert bootstrap_repeats(4, 3).tolist() == [[1, 1, 1, 1], [1, 0, 2, 1], [0, 2, 0, 2]]
    assert bootstrap_repeats(40, 3, seed=1).tolist() != bootstrap_repeats(40, 3, seed=2).tolist()


def test_how_many_are_drawn_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = some_sums(3, 7)
    whole = bootstrap_repeats(7, 50, 1)
    wanted = [MEAN, metric("median", lambda sums: sums["i2t_medr"])]
    bounds = intervals(wanted, draw(sums, resamples=50))
    assert set(bounds) == {"mean", "median"}
    for at_once in (1, 20, 7 * 49):
        monkeypatch.setattr(stats, "DRAWN_AT_ONCE", at_once)
        assert bootstrap_repeats(7, 50, 1).tolist() == whole.tolist()
        for name, found in intervals(wanted, draw(sums, resamples=50)).items():
            assert found == pytest.approx(bounds[name], abs=1e-12)


# ---------------------------------------------------------------- intervals


@given(st.integers(0, 10**6), st.integers(2, 9))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_intervals_by_a_loop_over_the_draws(seed: int, images: int) -> None:
    sums = some_sums(seed, images)
    part, whole = sums.columns["part"].tolist(), sums.columns["whole"].tolist()
    values = []
    for own in drawn_images(images, 60, seed):
        above, below = sum(part[i] for i in own), sum(whole[i] for i in own)
        if below > 0:  # a resample in which it is undefined is left out
            values.append(above / below)
    found = intervals([MEAN], draw(sums, resamples=60, seed=seed))
    if not values:
        assert found == {}
        return
    values.sort()
    for tail, bound in zip((0.025, 0.975), found["mean"], strict=True):
        # Linear interpolation between the order statistics.
        position = tail * (len(values) - 1)
        low = math.floor(position)
        high = min(low + 1, len(values) - 1)
        expected = values[low] + (values[high] - values[low]) * (position - low)
        assert bound == pytest.approx(expected, abs=1e-12)


def test_intervals_by_hand() -> None:
    # Two images of one item each, scoring 0 and 1: a resample is 0, 0.5 or 1, with shares of 1/4, 1/2 and 1/4.
    sums = ImageSums(["a", "b"], {"part": np.array([0.0, 1.0]), "whole": np.ones(2)})
    assert intervals([MEAN], draw(sums)) == {"mean": (0.0, 1.0)}
    sums = ImageSums(["a", "b"], {"part": np.array([0.5, 0.5]), "whole": np.ones(2)})
    assert intervals([MEAN], draw(sums)) == {"mean": (0.5, 0.5)}


def test_a_single_image_has_no_interval() -> None:
    assert intervals([MEAN], draw(some_sums(3, 1))) == {}


def test_what_has_no_interval() -> None:
    sums = some_sums(3, 5)
    tuned = metric("tuned", ratio("part", "whole"), resampled=False)
    assert set(intervals([MEAN, tuned], draw(sums, resamples=10))) == {"mean"}
    assert intervals([tuned], draw(sums, resamples=10)) == {}
    assert intervals([MEAN], draw(sums, resamples=0)) == {}
    assert intervals([], draw(sums, resamples=10)) == {}


def test_resamples_in_which_a_metric_is_undefined() -> None:
    # Only image 0 has items; wherever it is drawn the value is 0.25.
    sums = ImageSums(["a", "b", "c"], {"part": np.array([1.0, 0, 0]), "whole": np.array([4.0, 0, 0])})
    repeats = bootstrap_repeats(3, 1000, SEED)
    assert 200 < (repeats[:, 0] == 0).sum() < 400
    assert intervals([MEAN], draw(sums)) == {"mean": (0.25, 0.25)}
    nothing = ImageSums(["a", "b"], {"part": np.zeros(2), "whole": np.zeros(2)})
    assert intervals([MEAN], draw(nothing)) == {}


def test_percentile_bounds() -> None:
    assert percentile_bounds(np.arange(41.0)) == pytest.approx((1, 39))
    assert percentile_bounds(np.array([math.nan, 2.0, math.inf, 2.0])) == (2.0, 2.0)
    assert percentile_bounds(np.array([math.nan])) is None
    assert percentile_bounds(np.zeros(0)) is None


def test_bounds_of_several_rows_are_those_of_each() -> None:
    values = np.random.default_rng(0).standard_normal((6, 200))
    values[1, :30] = np.nan
    values[2, 5:] = np.inf
    values[3] = np.nan
    bounds = percentile_bounds_each(values)
    for row, pair in zip(values, bounds, strict=True):
        defined = row[np.isfinite(row)]
        expected = tuple(np.quantile(defined, [0.025, 0.975])) if len(defined) else None
        assert pair == (expected and pytest.approx(expected, rel=1e-12))
    assert percentile_bounds_each(np.zeros((2, 0))) == [None, None]


# ---------------------------------------------------------------- medians


@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_medians_of_the_expanded_list(seed: int, images: int, folds: int) -> None:
    random = np.random.default_rng(seed)
    queries = int(random.integers(1, 12))
    image = random.integers(0, images, queries)
    table = RankTable(image, random.integers(2, 12, queries) / 2, image % folds)
    repeats = random.integers(0, 4, (6, images)).astype(np.float64)
    found = table.medians(repeats)
    assert table.median() == table.medians(np.ones((1, images)))[0]
    present = sorted(set(table.fold.tolist()))
    for resample, counts in enumerate(repeats.astype(np.int64).tolist()):
        medians = []
        for fold in present:
            expanded = [
                rank
                for rank, own, of in zip(table.rank.tolist(), image.tolist(), table.fold.tolist(), strict=True)
                for _ in range(counts[own])
                if of == fold
            ]
            medians.append(float(np.median(expanded)) if expanded else math.nan)
        assert float(found[resample]) == pytest.approx(sum(medians) / len(medians), nan_ok=True)


def test_medians_by_hand() -> None:
    table = RankTable(np.array([0, 0, 1, 2]), np.array([1.0, 4, 2, 9]), np.zeros(4, np.int64))
    repeats = np.array([[1, 1, 1], [2, 0, 0], [0, 3, 1], [0, 1, 1], [0, 0, 0.0]])
    assert table.medians(repeats).tolist()[:4] == [3, 2.5, 2, 5.5]
    assert math.isnan(table.medians(repeats)[4])
    nobody = RankTable(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    assert np.isnan(nobody.medians(repeats)).all()
    assert (table.median(), math.isnan(nobody.median())) == (3, True)


def test_a_resample_without_a_fold_is_left_out() -> None:
    table = RankTable(np.array([0, 1]), np.array([1.0, 3.0]), np.array([0, 1]))
    median = metric("median", lambda sums: sums["i2t_medr"], group="retrieval")
    sums = ImageSums(["a", "b"], {}, {"i2t": table})
    assert table.medians(np.array([[1, 1], [2, 0.0]])).tolist()[0] == 2
    assert intervals([median], draw(sums)) == {"median": (2.0, 2.0)}
    assert float(sums.total()["i2t_medr"]) == 2


# ---------------------------------------------------------------- sums


def test_totals_are_sums_over_images() -> None:
    sums = some_sums(5, 4)
    total = sums.total()
    assert float(total["part"]) == pytest.approx(math.fsum(sums.columns["part"].tolist()))
    assert float(total["i2t_medr"]) == pytest.approx(
        np.mean([np.median(sums.ranks["i2t"].rank[sums.ranks["i2t"].fold == fold]) for fold in (0, 1)])
    )
    resampled = sums.resampled(np.array([[1, 1, 1, 1], [0, 2, 0, 0.0]]))
    assert resampled["part"].tolist() == pytest.approx([float(total["part"]), 2 * float(sums.columns["part"][1])])
    assert set(resampled) == set(total)


# ---------------------------------------------------------------- of every metric


def test_intervals_of_every_metric_by_a_loop(fixtures: Path) -> None:
    """The whole way: each resample's value from the images it draws, one metric after the other."""
    result = score(fixtures / "good.npz", fixtures / "entities", options=Options(resamples=200, seed=7))
    sums = result.scores.sums
    images = len(sums.image_id)
    values: dict[str, list[float]] = {name: [] for name in result.metrics}
    for own in drawn_images(images, 200, 7):
        summed = {name: np.asarray(math.fsum(column[i] for i in own)) for name, column in sums.columns.items()}
        for direction, table in sums.ranks.items():
            ranks = [rank for i in own for rank in table.rank[table.image == i].tolist()]
            summed[f"{direction}_medr"] = np.asarray(np.median(ranks))
        for spec in metrics():
            if spec.resampled and spec.name in values:
                values[spec.name].append(float(spec.value(summed)))
    for name, measured in result.metrics.items():
        if name == "best_f1":
            assert measured.ci is None
            continue
        assert measured.ci is not None
        assert measured.ci == pytest.approx(tuple(np.quantile(values[name], [0.025, 0.975])), abs=1e-12), name
        assert measured.value is not None
        assert measured.ci[0] - 1e-12 <= measured.value <= measured.ci[1] + 1e-12


def test_intervals_of_groups_and_of_floors_by_a_loop(fixtures: Path) -> None:
    """Images are drawn from all of them, also those without an item of the group; differences are paired by image."""
    result = score(fixtures / "noisy.npz", fixtures / "entities", options=Options(resamples=150, seed=11))
    sums = result.scores.sums
    drawn = drawn_images(len(sums.image_id), 150, 11)
    shown = 0
    for kind, groups in sums.by.items():
        for group, rows in groups.items():
            place = {int(image): k for k, image in enumerate(rows.row)}
            values: dict[str, list[float]] = {}
            for own in drawn:
                there = [place[image] for image in own if image in place]
                summed = {n: np.asarray(math.fsum(column[k] for k in there)) for n, column in rows.columns.items()}
                for spec in metrics("attention", "companion", "ceiling"):
                    if "breakdown" in spec.tables:
                        values.setdefault(spec.name, []).append(float(spec.value(summed)))
            for name, measured in result.scores.by[kind][group].items():
                if name not in values:
                    continue
                defined = [value for value in values[name] if math.isfinite(value)]
                expected = tuple(np.quantile(defined, [0.025, 0.975])) if defined else None
                assert measured.ci == (expected and pytest.approx(expected, abs=1e-12)), (kind, group, name)
                shown += measured.ci is not None
    assert shown > 80
    for name in ("precision", "recall", "f1", "ap", "pointing", "mass"):
        gap = result.metrics[name].above_floor
        assert gap is not None
        # What the model and the floor have on the same items, summed image by image.
        model = sums.columns[f"paired_{name}" if gap.floor == "shuffled" else name].tolist()
        count = sums.columns["shuffled_n" if gap.floor == "shuffled" else "scored"].tolist()
        floor = sums.columns[f"{gap.floor}_{name}"].tolist()

        def difference(images: Iterable[int], parts: tuple[list[float], ...] = (model, floor, count)) -> float:
            own, base, over = (math.fsum(part[i] for i in images) for part in parts)
            return (own - base) / over

        assert gap.difference == pytest.approx(difference(range(len(sums.image_id))), abs=1e-12)
        expected = tuple(np.quantile([difference(own) for own in drawn], [0.025, 0.975]))
        assert gap.ci == pytest.approx(expected, abs=1e-12), name


def test_many_groups_are_drawn_as_few_are(fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sums = score(fixtures / "noisy.npz", fixtures / "entities", options=Options(resamples=0)).scores.sums
    together, few = draw_with_groups(sums, Resamples(len(sums.image_id), 300, 1))
    monkeypatch.setattr(group_draws, "MANY", 0)
    apart, many = draw_with_groups(sums, Resamples(len(sums.image_id), 300, 1))
    assert together is not None
    assert apart is not None
    assert few.few.keys() == sums.by.keys()
    assert not many.few
    for name, values in together.items():
        assert np.array_equal(values, apart[name]), name
    for kind, groups in sums.by.items():
        assert len(groups) > 2
        chosen = list(groups)[:0:-1]  # some of them, in another order
        ((names, expected),) = few.of(kind, chosen)
        assert names == chosen
        for at_once, kept in ((64, 2**26), (2, 2**26), (64, 40 * len(sums.image_id))):
            monkeypatch.setattr(group_draws, "AT_ONCE", at_once)
            monkeypatch.setattr(group_draws, "MORE_AT_ONCE", at_once)
            monkeypatch.setattr(group_draws, "TOGETHER", kept)
            drawn = list(many.of(kind, chosen))
            assert [name for names, _ in drawn for name in names] == chosen
            for name, values in expected.items():
                again = np.concatenate([table[name] for _, table in drawn])
                assert again == pytest.approx(values, abs=1e-12), (kind, name)


def test_the_seed_and_the_number_of_resamples_are_the_users(fixtures: Path) -> None:
    def interval(options: Options) -> tuple[float, float] | None:
        return score(fixtures / "good.npz", fixtures / "entities", options=options).metrics["f1"].ci

    assert interval(Options()) == interval(Options(resamples=1000, seed=12345))
    assert interval(Options(seed=1)) != interval(Options())
    assert interval(Options(resamples=0)) is None


def test_divided() -> None:
    # The way an undefined value comes about.
    assert divided(np.array([1.0, 0.0, 3.0]), np.array([2.0, 0.0, -1.0])).tolist()[0] == 0.5
    assert np.isnan(divided(np.array([0.0, 3.0]), np.array([0.0, -1.0]))).all()
