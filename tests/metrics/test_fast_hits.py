"""Numbers of tables of rows and relevant keys equal those of pairs, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.index_sets import IndexSets
from attneval.config.thresholds import Threshold
from attneval.metrics.declaration import ATTENTION
from attneval.metrics.fast_hits import TableHits, rows_of_sets
from attneval.metrics.hits import Hits
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.registry import columns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RULES = ("uniform", "top:3", "max:0.5", "top:99", "mass:0.7", "abs:0.1", "otsu")


def sets_of(chosen: NDArray[np.bool_], random: np.random.Generator) -> IndexSets:
    size = chosen.sum(axis=1)
    return IndexSets(np.append(0, np.cumsum(size)), np.nonzero(chosen)[1], random.random(int(size.sum())))


def agree(weight: NDArray[np.float64], sets: IndexSets, rule: str, groups: list[tuple[int, int, list[int]]]) -> None:
    """Hold rows against sets both ways.

    Args:
        weight: f8[m, n].
        sets: Some sets.
        rule: The threshold.
        groups: First row, last row + 1 and the sets of each image.
    """
    rows = Rows.rank(weight, Threshold.parse(rule))
    pairs = [(row, of) for low, high, own in groups for row in range(low, high) for of in np.roll(own, row).tolist()]
    row, of = np.array(pairs, np.int64).reshape(-1, 2).T
    slow = Hits(rows, row, sets, of)
    together = rows_of_sets(row, of)
    assert sum(len(one.pair) for one in together) == len(row)
    for one in together:
        assert (of[one.pair] == one.set).all()
        assert (row[one.pair] == np.arange(one.rows.start, one.rows.stop)).all()
    fast = TableHits(rows, row, sets, of, together=together)
    for name, column in columns(*ATTENTION).items():
        if not column.needs:
            np.testing.assert_array_equal(column.values(fast), column.values(slow), name, strict=True)
    for k in (0, 1, 2, 7, weight.shape[1], weight.shape[1] + 5, np.arange(len(row)) % (weight.shape[1] + 3)):
        np.testing.assert_array_equal(fast.within(k), slow.within(k), strict=True)
    for k in (1, 3, 50):
        np.testing.assert_array_equal(fast.hit(k), slow.hit(k), strict=True)


def images(random: np.random.Generator, rows: int, sets: int) -> list[tuple[int, int, list[int]]]:
    """Deal rows and sets out to three images."""
    cuts = np.sort(random.integers(0, rows + 1, 2)).tolist()
    bounds = [0, *cuts, rows]
    own = random.permutation(sets)
    return [(bounds[k], bounds[k + 1], own[k::3].tolist()) for k in range(3)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("levels", [0, 2, 5, 60])
def test_random_and_tied_rows(rule: str, levels: int) -> None:
    random = np.random.default_rng(levels)
    weight = random.random((40, 30))
    if levels:
        weight = np.floor(weight * levels) / levels
    weight[3], weight[4], weight[5] = 0.0, 0.25, np.eye(30)[7]
    chosen = random.random((12, 30)) < random.random((12, 1)) ** 2
    chosen[0], chosen[1], chosen[2] = False, True, np.arange(30) == 7
    for method in ("sum", "none"):
        agree(normalised(weight, method), sets_of(chosen, random), rule, images(random, 40, 12))


@pytest.mark.parametrize("rule", ["uniform", "top:3"])
def test_half_precision(rule: str) -> None:
    """Many keys, of which a few tie, as maps that are stored in half precision have them."""
    random = np.random.default_rng(1)
    weight = np.exp(random.normal(0, 2, (60, 576))).astype(np.float16).astype(np.float64)
    chosen = random.random((9, 576)) < random.random((9, 1))
    agree(normalised(weight, "sum"), sets_of(chosen, random), rule, [(0, 25, [0, 1, 2, 3]), (25, 60, [4, 5, 6, 7, 8])])


@st.composite
def cases(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    m, n, k = draw(st.integers(0, 5)), draw(st.integers(1, 7)), draw(st.integers(1, 4))
    values = st.sampled_from([0.0, 0.1, 0.2, 0.3, 1 / 3, 1.0])
    weight = draw(st.lists(values, min_size=m * n, max_size=m * n))
    chosen = draw(st.lists(st.booleans(), min_size=k * n, max_size=k * n))
    return np.array(weight).reshape(m, n), np.array(chosen, np.bool_).reshape(k, n)


@given(cases(), st.sampled_from(RULES))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_rows(case: tuple[NDArray[np.float64], NDArray[np.bool_]], rule: str) -> None:
    weight, chosen = case
    random = np.random.default_rng(0)
    agree(normalised(weight, "sum"), sets_of(chosen, random), rule, [(0, len(weight), list(range(len(chosen))))])


def test_one_row_is_added_in_order() -> None:
    random = np.random.default_rng(2)
    chosen = np.ones((3, 300), np.bool_)
    agree(normalised(random.random((1, 300)), "sum"), sets_of(chosen, random), "uniform", [(0, 1, [0, 1, 2])])


def test_rows_that_are_apart_form_no_table() -> None:
    assert rows_of_sets(np.array([0, 2]), np.array([1, 1])) == []
    assert rows_of_sets(np.array([0, 0]), np.array([1, 1])) == []
    assert rows_of_sets(np.zeros(0, np.int64), np.zeros(0, np.int64)) == []
    (one,) = rows_of_sets(np.array([3, 2]), np.array([5, 5]))
    assert (one.set, one.rows, one.pair.tolist()) == (5, slice(2, 4), [1, 0])


@pytest.mark.realdata
def test_real_maps(shared: Path) -> None:
    with np.load(shared / "f8k285_grid.npz") as file:
        maps = file["attn"][file["words"] != ""]
    weight = normalised(maps.reshape(len(maps), -1)[:60].astype(np.float64), "sum")
    random = np.random.default_rng(3)
    chosen = random.random((8, weight.shape[1])) < random.random((8, 1))
    for rule in RULES:
        agree(weight, sets_of(chosen, random), rule, [(0, 30, [0, 1, 2]), (30, 60, [3, 4, 5, 6, 7])])
