"""Exact totals of groups in one table, against dictionaries."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.metrics.totals import SAFE, UNIT, GroupTotals, add_totals

if TYPE_CHECKING:
    from collections.abc import Mapping

NUMBERS = st.one_of(st.integers(-(10**6), 10**6), st.integers(-(2**70), 2**70))


@st.composite
def tables(draw: st.DrawFn) -> dict[str, dict[str, int]]:
    groups = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
    columns = draw(st.lists(st.sampled_from(["f1", "ap", "items"]), unique=True, min_size=1))
    return {group: {name: draw(NUMBERS) for name in columns} for group in groups}


def added(mine: dict[str, dict[str, int]], other: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Dictionaries added number by number, of the columns that both have."""
    if not mine or not other:
        return mine or other
    kept = [name for name in next(iter(mine.values())) if name in next(iter(other.values()))]
    return {
        group: {name: mine.get(group, {}).get(name, 0) + other.get(group, {}).get(name, 0) for name in kept}
        for group in dict.fromkeys((*mine, *other))
    }


@given(tables(), tables())
@settings(deadline=None, derandomize=True)
def test_they_add_up_as_dictionaries_do(mine: dict[str, dict[str, int]], other: dict[str, dict[str, int]]) -> None:
    both = GroupTotals.of(mine).plus(GroupTotals.of(other))
    assert both == added(mine, other)
    assert both.to_dict() == added(mine, other)
    assert list(both) == list(added(mine, other))
    either: Any = mine
    for one, two in ((GroupTotals.of(mine), GroupTotals.of(other)), (either, GroupTotals.of(other))):
        totals: Any = add_totals({"by": {"type": one}, "sweep": [1]}, {"by": {"type": two}, "sweep": [2]})
        assert totals == {"by": {"type": added(mine, other)}, "sweep": [3]}


@given(tables())
@settings(deadline=None, derandomize=True)
def test_they_are_a_mapping(table: dict[str, dict[str, int]]) -> None:
    totals = pickle.loads(pickle.dumps(GroupTotals.of(table)))  # noqa: S301 - our own
    assert totals == table
    assert len(totals) == len(table)
    assert "z" not in totals
    with pytest.raises(KeyError):
        totals["z"]
    backwards = list(table)[::-1]
    assert totals.chosen(backwards).to_dict() == {group: table[group] for group in backwards}
    assert list(totals.chosen(backwards)) == backwards
    assert totals.with_columns(["f1", "none"]) == {
        group: {name: value for name, value in row.items() if name == "f1"} for group, row in table.items()
    }
    for name, values in totals.sums().items():
        assert values.tolist() == [row[name] / UNIT for row in table.values()]


def test_they_never_leave_their_bits() -> None:
    most = {"a": {"f1": SAFE - 1}}
    once = GroupTotals.of(most).plus(GroupTotals.of(most))
    twice = once.plus(once).plus(once)
    assert twice == {"a": {"f1": 6 * (SAFE - 1)}}
    assert twice.sums()["f1"].tolist() == [6 * (SAFE - 1) / UNIT]


def test_groups_with_different_columns_keep_what_all_have() -> None:
    table: Mapping[str, Mapping[str, int]] = {"a": {"f1": 1, "ap": 2}, "b": {"ap": 3}}
    assert GroupTotals.of(table) == {"a": {"ap": 2}, "b": {"ap": 3}}
    assert GroupTotals.of(table).numbers.dtype == np.int64
