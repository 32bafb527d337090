"""The curve over all thresholds of a rule, against scoring one threshold after the other."""

from __future__ import annotations

import numpy as np
import pytest
import row_reference
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import offsets_of
from attneval.config.thresholds import Threshold
from attneval.metrics.fast_counting import counted_below
from attneval.metrics.hits import Hits
from attneval.metrics.rankings import Rows
from attneval.metrics.registry import columns
from attneval.metrics.sweep import CURVES, grid, sweep

RULES = ("uniform", "abs", "max", "top", "mass")
OWN = {"uniform": "uniform:1.7", "abs": "abs:0.123", "max": "max:0.333", "top": "top:150", "mass": "mass:0.456"}


def world(seed: int, count: int, keys: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], list[set[int]]]:
    """Rows that sum to one or are empty, with ties, and sets of keys of which some are empty."""
    random = np.random.default_rng(seed)
    weights = random.choice([0.0, 0.0, 1.0, 1.0, 2.0, 3.0], (count, keys))
    weights[::2] = random.random((len(weights[::2]), keys)) ** 4
    total = weights.sum(axis=1, keepdims=True)
    relevant = [set(np.flatnonzero(row).tolist()) for row in random.random((count, keys)) < random.random((count, 1))]
    return weights / np.where(total > 0, total, 1), relevant


def judged(weights: np.ndarray[tuple[int, int], np.dtype[np.float64]], relevant: list[set[int]], rule: str) -> Hits:
    sets = IndexSets(
        offsets_of(list(map(len, relevant))), np.array([key for own in relevant for key in sorted(own)], np.int64)
    )
    every = np.arange(len(relevant))
    return Hits(Rows.rank(weights, Threshold.parse(rule)), every, sets, every)


def text_of(rule: str, value: float) -> str:
    return f"{rule}:{value:.17g}"


@pytest.mark.parametrize(
    ("threshold", "first", "last", "count"),
    [
        ("uniform", 0.01, 100, 101),
        ("abs:0.25", 0, 1, 101),  # (50/100) squared is among them
        ("max:0.5", 0, 1, 101),
        ("top:7", 1, 101, 101),
        ("mass:0.8", 0.01, 1, 100),
        ("uniform:1.7", 0.01, 100, 102),
        ("uniform:0.001", 0.001, 100, 102),
        ("abs:3", 0, 3, 102),
        ("max:0.333", 0, 1, 102),
        ("top:150", 1, 150, 102),
        ("mass:0.456", 0.01, 1, 101),
    ],
)
def test_grids(threshold: str, first: float, last: float, count: int) -> None:
    rule = Threshold.parse(threshold)
    values = grid(rule)
    assert (float(values[0]), float(values[-1]), len(values)) == (first, last, count)
    assert (np.diff(values) > 0).all()
    assert rule.value in values.tolist()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("own", [True, False])
def test_every_point_is_what_its_threshold_scores(rule: str, own: bool) -> None:
    plain = {"uniform": "uniform", "abs": "abs:0", "max": "max:1", "top": "top:1", "mass": "mass:1"}
    threshold = OWN[rule] if own else plain[rule]
    values = grid(Threshold.parse(threshold))
    for keys, count in ((1, 5), (7, 30), (120, 12)):
        weights, relevant = world(keys, count, keys)
        group = np.arange(count) % 3 - 1  # the first third counts for nobody
        found = sweep(judged(weights, relevant, threshold), Threshold.parse(threshold), group, 2)
        assert found.shape == (3, 2, len(values))
        for point, value in enumerate(values.tolist()):
            items = judged(weights, relevant, text_of(rule, value))
            for curve, name in enumerate(CURVES):
                scores = columns("attention")[name].values(items)
                expected = [float(scores[group == g].sum()) for g in range(2)]
                assert found[curve, :, point].tolist() == pytest.approx(expected, abs=1e-9), (name, value)


@given(st.integers(0, 10**6), st.integers(1, 9), st.sampled_from(sorted(OWN.values())))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_the_reference_agrees(seed: int, keys: int, threshold: str) -> None:
    weights, relevant = world(seed, 4, keys)
    rule = Threshold.parse(threshold)
    found = sweep(judged(weights, relevant, threshold), rule, np.zeros(4, np.int64), 1)[:, 0]
    values = grid(rule).tolist()
    for point in range(0, len(values), 9):
        scored = [
            row_reference.judge(row, row_reference.keys_alone(own, keys), text_of(rule.rule, values[point]))
            for row, own in zip(weights.tolist(), relevant, strict=True)
        ]
        for curve, name in enumerate(CURVES):
            assert float(found[curve, point]) == pytest.approx(sum(s[name] for s in scored), abs=1e-9)


def test_by_hand() -> None:
    # One row of 0.5, 0.3, 0.2, of whose keys the second is relevant.
    items = judged(np.array([[0.5, 0.3, 0.2]]), [{1}], "top:1")
    found = sweep(items, Threshold.parse("top:1"), np.zeros(1, np.int64), 1)[:, 0]
    assert found[:, :4].tolist() == [
        pytest.approx([0, 1 / 2, 1 / 3, 1 / 3]),  # precision of the first one, two, three; there is no fourth
        pytest.approx([0, 1, 1, 1]),
        pytest.approx([0, 2 / 3, 1 / 2, 1 / 2]),
    ]
    found = sweep(
        judged(np.array([[0.5, 0.3, 0.2]]), [{1}], "abs:0.25"), Threshold.parse("abs:0.25"), np.zeros(1, np.int64), 1
    )
    values = grid(Threshold.parse("abs:0.25"))
    f1 = found[2, 0]
    assert f1[values >= 0.5].tolist() == pytest.approx([0] * int((values >= 0.5).sum()))
    assert f1[(values >= 0.3) & (values < 0.5)].max() == 0
    assert f1[(values >= 0.2) & (values < 0.3)].tolist() == pytest.approx([2 / 3] * 10, abs=1e-12)
    assert f1[values < 0.2].tolist() == pytest.approx([1 / 2] * 45, abs=1e-12)


def test_items_without_a_relevant_key_add_nothing() -> None:
    items = judged(np.array([[0.5, 0.5], [0.5, 0.5]]), [set(), {0}], "uniform")
    found = sweep(items, Threshold.parse("uniform"), np.array([0, 1]), 2)
    assert not found[:, 0].any()
    assert found[1, 1, 0] == 1


@pytest.mark.parametrize("seed", range(4))
def test_cuts_are_counted_as_a_search_counts_them(seed: int) -> None:
    """Also levels that are cuts, their neighbours, zeros of either sign, negative and huge ones."""
    random = np.random.default_rng(seed)
    positive = np.unique(10.0 ** random.uniform(-9, 2, random.integers(1, 60)))
    for cuts in (positive, np.append(-1e-12, positive), np.append(0.0, positive), -positive[::-1], np.zeros(1)):
        near = [np.nextafter(cuts, -np.inf), cuts, np.nextafter(cuts, np.inf)]
        level = np.concatenate([*near, 10.0 ** random.uniform(-12, 4, 500), [0.0, -0.0, -5.0, 5e-324, 1e300]])
        expected = [sum(cut < own for cut in cuts.tolist()) for own in level.tolist()]
        assert counted_below(level[None], cuts)[0].tolist() == expected
