"""Means over classes of resampled images, against slow loops; and the resamples that many groups are drawn from."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.metrics.class_means import AVERAGED, CLASSES, PREFIX, class_sums
from attneval.statistics import class_draws, resamples
from attneval.statistics.bootstrap import bootstrap_repeats
from attneval.statistics.class_draws import resampled_class_sums
from attneval.statistics.group_draws import GroupDraws
from attneval.statistics.group_sums import GroupedRows, ImageRows
from attneval.statistics.resamples import Resamples


def some_classes(seed: int, images: int, number: int) -> GroupedRows:
    """Classes with items in some of the images, most of them in one; some items are not scored."""
    random = np.random.default_rng(seed)
    named = {}
    for name in range(number):
        row = np.sort(random.permutation(images)[: 1 + random.geometric(0.6) % images])
        scored = random.integers(0, 4, len(row)).astype(np.float64)
        columns = {"items": scored + 1, "scored": scored}
        named[str(name)] = ImageRows(row, columns | {each: scored * random.random(len(row)) for each in AVERAGED})
    return GroupedRows.of(named)


@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 30))
@settings(deadline=None, derandomize=True)
def test_class_means_by_a_loop(seed: int, images: int, number: int) -> None:
    classes = some_classes(seed, images, number)
    drawn = resampled_class_sums(classes, Resamples(images, 20, seed))
    for resample, times in enumerate(bootstrap_repeats(images, 20, seed)):
        expected = dict.fromkeys([CLASSES, *(PREFIX + name for name in AVERAGED)], 0.0)
        for rows in classes.values():
            count = math.fsum(rows.columns["scored"] * times[rows.row])
            if count:
                expected[CLASSES] += 1
                for name in AVERAGED:
                    expected[PREFIX + name] += math.fsum(rows.columns[name] * times[rows.row]) / count
        assert {name: values[resample] for name, values in drawn.items()} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("held", [0, 2**23])
def test_class_means_are_those_of_all_classes_drawn(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resamples, "HELD", held)
    monkeypatch.setattr(resamples, "TOGETHER", 32 * 40 * 30)  # 30 resamples at once
    monkeypatch.setattr(class_draws, "AT_ONCE", 6)
    classes = some_classes(7, 40, 500)
    repeated = Resamples(40, 100, 3)
    assert len(list(repeated.by_image)) == 4
    drawn = [table for _, table in GroupDraws({"category": classes}, repeated, {}).of("category", list(classes))]
    together = class_sums({name: np.concatenate([table[name] for table in drawn]) for name in classes.columns})
    again = resampled_class_sums(classes, repeated)
    assert again.keys() == together.keys()
    assert np.array_equal(again[CLASSES], together[CLASSES])
    for name, values in together.items():
        assert again[name] == pytest.approx(values, rel=1e-12), name


def test_the_means_of_classes_are_added_one_after_the_other() -> None:
    classes = some_classes(11, 40, 700)
    totals = {name: np.array([rows.columns[name].sum() for rows in classes.values()]) for name in classes.columns}
    added = class_sums(totals)
    for name in AVERAGED:
        expected = 0.0
        for value, count in zip(totals[name].tolist(), totals["scored"].tolist(), strict=True):
            expected += value / count if count else 0.0
        assert float(added[PREFIX + name]) == expected
    assert float(added[CLASSES]) == np.count_nonzero(totals["scored"])
    assert class_sums({}) == {}


# ---------------------------------------------------------------- resamples


@pytest.mark.parametrize("held", [0, 2**23])
@pytest.mark.parametrize("together", [1, 32 * 7 * 20, 2**26])
def test_resamples_by_image_are_those_in_rows(held: int, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resamples, "HELD", held)
    monkeypatch.setattr(resamples, "TOGETHER", together)
    repeated, expected = Resamples(7, 50, 1), bootstrap_repeats(7, 50, 1)
    for _ in range(2):
        assert np.concatenate(list(repeated.by_image), axis=1).T.tolist() == expected.tolist()
    assert np.concatenate(list(repeated.in_rows)).tolist() == expected.tolist()
    again = copy.deepcopy(repeated)
    assert vars(again) == {"images": 7, "number": 50, "seed": 1}
    assert np.concatenate(list(again.by_image), axis=1).T.tolist() == expected.tolist()
    assert [bool(Resamples(images, number, 1)) for images, number in ((2, 1), (1, 5), (5, 0))] == [True, False, False]


def test_an_image_may_count_more_often_than_a_byte_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    often = np.array([[300.0, 0.0], [1.0, 299.0]])
    monkeypatch.setattr(resamples, "repeats_in_blocks", lambda *_: iter([often, often[1:] * 0]))
    first, second = Resamples(2, 3, 1).by_image
    assert first.tolist() == often.T.tolist()
    assert (first.itemsize, second.itemsize) == (2, 1)
