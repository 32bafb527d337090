"""Rows judged against sets of keys: expected values under ties, by writing out every order of the tied keys."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import row_reference
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import offsets_of
from attneval.config.thresholds import Threshold
from attneval.metrics.hits import Hits
from attneval.metrics.rankings import Rows
from attneval.metrics.registry import columns
from attneval.metrics.ties import first_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Pair(NamedTuple):
    row: list[float]
    relevant: set[int]


def judged(pairs: list[Pair], threshold: str = "uniform") -> Hits:
    """Each row with its own set."""
    sets = IndexSets(
        offsets_of([len(pair.relevant) for pair in pairs]),
        np.array([key for pair in pairs for key in sorted(pair.relevant)], np.int64),
        np.ones(sum(len(pair.relevant) for pair in pairs)),
    )
    every = np.arange(len(pairs))
    rows = np.array([pair.row for pair in pairs], np.float64)
    return Hits(Rows.rank(rows, Threshold.parse(threshold)), every, sets, every)


def orders(row: list[float]) -> Iterator[tuple[int, ...]]:
    """Every ranking of the keys in which no weight stands before a larger one."""
    for order in itertools.permutations(range(len(row))):
        if all(row[a] >= row[b] for a, b in itertools.pairwise(order)):
            yield order


def over_orders(row: list[float], value: Callable[[tuple[int, ...]], float]) -> float:
    """The mean of a value over every order of the tied keys."""
    values = [value(order) for order in orders(row)]
    return sum(values) / len(values)


def pairs_of(n: int) -> st.SearchStrategy[Pair]:
    weights = st.lists(st.integers(0, 3).map(lambda w: w / 4), min_size=n, max_size=n)
    return st.builds(Pair, weights, st.sets(st.integers(0, n - 1)))


PAIRS = st.integers(1, 6).flatmap(lambda n: st.lists(pairs_of(n), min_size=1, max_size=3))

# ---------------------------------------------------------------- by hand


def test_by_hand() -> None:
    #            ranks: 1st; 2nd to 4th; 5th
    pair = Pair([0.2, 0.3, 0.2, 0.2, 0.1], {0, 4})
    items = judged([pair], "top:3")
    assert items.keys == 5
    assert items.relevant.tolist() == [2]
    assert items.attended.tolist() == [3]
    assert items.weight.tolist() == [0.2, 0.1]
    assert items.ahead.tolist() == [1, 4]
    assert items.through.tolist() == [4, 5]
    # Key 0 is one of three for places 2 to 4.
    assert [items.within(k).tolist() for k in range(1, 6)] == [
        [0],
        [pytest.approx(1 / 3)],
        [pytest.approx(2 / 3)],
        [1],
        [2],
    ]
    assert items.gain_by_rank()[0].tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 1])
    assert [float(items.hit(k)[0]) for k in (1, 2, 3, 4, 5, 9)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1])
    # Tied weights are one step: at key 0 one of four, at key 4 two of five.
    assert items.precision_at_hits().tolist() == pytest.approx([1 / 4 + 2 / 5])


def test_a_row_may_have_several_sets_and_none() -> None:
    sets = IndexSets(np.array([0, 1, 1, 3]), np.array([2, 0, 1]))
    rows = Rows.rank(np.array([[0.6, 0.3, 0.1], [0.0, 0.5, 0.5]]), Threshold.parse("abs:0.2"))
    items = Hits(rows, np.array([0, 0, 1, 1, 0]), sets, np.array([0, 1, 0, 2, 2]))
    assert items.relevant.tolist() == [1, 0, 1, 2, 2]
    assert items.attended.tolist() == [2, 2, 2, 2, 2]
    assert items.within(items.attended).tolist() == [0, 0, 1, 1, 2]
    assert items.within(1).tolist() == [0, 0, 0.5, 0.5, 1]
    assert items.hit(1).tolist() == [0, 0, 0.5, 0.5, 1]
    assert items.sum(items.weight).tolist() == pytest.approx([0.1, 0, 0.5, 0.5, 0.9])
    assert items.precision_at_hits().tolist() == pytest.approx([1 / 3, 0, 1 / 2, 1 / 2 + 2 / 3, 2])


@pytest.mark.parametrize(
    ("k", "ahead", "others", "relevant", "expected"),
    [
        (1, 0, 0, 1, 1),
        (1, 1, 0, 1, 0),
        (1, 0, 1, 1, 1 / 2),
        (1, 0, 3, 2, 2 / 5),
        (2, 0, 3, 2, 1 - 3 / 10),  # C(3, 2) of C(5, 2)
        (4, 0, 3, 2, 1),
        (5, 4, 9, 1, 1 / 10),
        (10, 4, 9, 1, 6 / 10),
        (5, 5, 9, 1, 0),
        (10, 0, 999, 1, 10 / 1000),
        (10, 0, 995, 5, 1 - math.comb(995, 10) / math.comb(1000, 10)),
    ],
)
def test_the_first_of_several(k: int, ahead: int, others: int, relevant: int, expected: float) -> None:
    found = first_within(
        k, np.array([ahead, 0]), np.array([others, 0], np.float64), np.array([relevant, 1], np.float64)
    )
    assert found.tolist() == pytest.approx([expected, 1], abs=1e-12)


# ---------------------------------------------------------------- by enumeration


@given(PAIRS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_expected_values_are_means_over_all_orders(pairs: list[Pair]) -> None:
    items = judged(pairs)
    curve = np.cumsum(items.gain_by_rank(), axis=1)
    for p, (row, relevant) in enumerate(pairs):
        for k in range(1, len(row) + 1):
            first = [set(order[:k]) & relevant for order in orders(row)]
            expected = sum(map(len, first)) / len(first)
            assert float(items.within(k)[p]) == pytest.approx(expected, abs=1e-12)
            assert float(curve[p, k - 1]) == pytest.approx(expected, abs=1e-12)
            assert float(items.hit(k)[p]) == pytest.approx(sum(map(bool, first)) / len(first), abs=1e-12)


def cut_through(row: list[float], relevant: set[int], k: int) -> dict[str, float]:
    """What cuts through ties, over all orders: the first k keys, the first key, as many keys as are relevant."""
    size, many = min(k, len(row)), len(relevant)

    def hits(first: int) -> float:
        return over_orders(row, lambda order: len(set(order[:first]) & relevant))

    return {
        "tp": hits(size),
        "precision": hits(size) / size,
        "recall": hits(size) / many if many else 0,
        "f1": over_orders(row, lambda order: harmonic_mean(len(set(order[:size]) & relevant), size, many)),
        "pointing": hits(1),
        "rank_accuracy": hits(many) / many if many else 0,
    }


def harmonic_mean(hits: int, attended: int, relevant: int) -> float:
    if not hits:
        return 0
    precision, recall = hits / attended, hits / relevant
    return 2 * precision * recall / (precision + recall)


@given(PAIRS, st.integers(1, 7))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_metrics_under_ties_are_means_over_all_orders(pairs: list[Pair], k: int) -> None:
    items = judged(pairs, f"top:{k}")
    specs = columns("attention", "companion")
    for p, (row, relevant) in enumerate(pairs):
        for name, expected in cut_through(row, relevant, k).items():
            assert float(specs[name].values(items)[p]) == pytest.approx(expected, abs=1e-12), name


@given(PAIRS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_average_precision_is_scikit_learns(pairs: list[Pair]) -> None:
    from sklearn.metrics import average_precision_score

    found = columns("attention")["ap"].values(judged(pairs))
    for p, (row, relevant) in enumerate(pairs):
        with warnings.catch_warnings():
            # Of no positives scikit-learn says 0, and warns.
            warnings.simplefilter("ignore", UserWarning)
            expected = average_precision_score([key in relevant for key in range(len(row))], row)
        assert float(found[p]) == pytest.approx(expected, abs=1e-12)


@given(PAIRS, st.sampled_from(["uniform", "abs:0.25", "max:0.5", "top:2", "mass:0.7"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_every_column_is_the_references(pairs: list[Pair], threshold: str) -> None:
    items = judged(pairs, threshold)
    specs = {name: column for name, column in columns("attention", "companion").items() if not column.needs}
    for name, column in specs.items():
        values = column.values(items)
        for p, (row, relevant) in enumerate(pairs):
            expected = row_reference.judge(row, row_reference.keys_alone(relevant, len(row)), threshold)
            if name in {"entropy_n", "auc_n"}:
                assert float(values[p]) == (name.removesuffix("_n") in expected)
            else:
                assert float(values[p]) == pytest.approx(expected.get(name, 0.0), abs=1e-12), name
