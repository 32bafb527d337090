"""Sums of groups in one table, against dictionaries of groups."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.statistics.group_sums import GroupedRows, ImageRows, joined_groups

Slow = dict[str, dict[int, dict[str, float]]]
"""By group and image the number of each column."""


def slow(rows: GroupedRows) -> Slow:
    return {
        group: {
            image: {name: column[place] for name, column in each.columns.items()}
            for place, image in enumerate(each.row.tolist())
        }
        for group, each in rows.items()
    }


@st.composite
def grouped(draw: st.DrawFn, first: int = 0) -> GroupedRows:
    """Groups of some of five images, which begin at a row."""
    groups = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
    columns = draw(st.lists(st.sampled_from(["f1", "ap", "items"]), unique=True, min_size=1))
    named = {}
    for group in groups:
        images = sorted(draw(st.sets(st.integers(first, first + 4), min_size=1)))
        values = {name: np.array([draw(st.floats(0, 9)) for _ in images]) for name in columns}
        named[group] = ImageRows(np.array(images, np.int64), values)
    return GroupedRows.of(named)


@given(grouped(), st.permutations(range(5)))
@settings(deadline=None, derandomize=True)
def test_images_move(rows: GroupedRows, order: list[int]) -> None:
    moved = rows.moved(np.array(order))
    assert slow(moved) == {
        group: {order[image]: numbers for image, numbers in images.items()} for group, images in slow(rows).items()
    }
    assert all((np.diff(each.row) > 0).all() for each in moved.values())


@given(grouped())
@settings(deadline=None, derandomize=True)
def test_some_groups_in_another_order(rows: GroupedRows) -> None:
    groups = list(rows)[:0:-1]
    chosen = rows.chosen(groups)
    assert list(chosen) == groups
    assert slow(chosen) == {group: slow(rows)[group] for group in groups}
    assert rows.sizes.tolist() == [len(each.row) for each in rows.values()]


@given(st.integers(0, 3).flatmap(lambda parts: st.tuples(*(grouped(5 * k) for k in range(parts)))))
@settings(deadline=None, derandomize=True)
def test_parts_are_joined(parts: tuple[GroupedRows, ...]) -> None:
    joined = joined_groups([{"type": part} for part in parts])
    there = [part for part in parts if len(part)]
    if not there:
        assert joined == {}
        return
    shared = [name for name in there[0].columns if all(name in part.columns for part in there)]
    expected: Slow = {}
    for part in there:
        for group, images in slow(part).items():
            for image, numbers in images.items():
                expected.setdefault(group, {})[image] = {name: numbers[name] for name in shared}
    assert slow(joined["type"]) == expected
    assert all((np.diff(each.row) > 0).all() for each in joined["type"].values())
