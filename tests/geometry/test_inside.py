"""How much of a region lies inside a phrase's boxes: by hand, by counting cells, and by the reference."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import box_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.ragged import offsets_of
from attneval.geometry import box_groups
from attneval.geometry.grids import cell_boxes
from attneval.geometry.inside import shares_inside, table_sides

if TYPE_CHECKING:
    from reference_inputs import Box


def shares(regions: list[list[Box]], entities: list[tuple[int, list[Box]]]) -> list[dict[int, float]]:
    """By entity, the share of each region of its image that is not 0."""
    sets = shares_inside(
        np.array([box for _, own in entities for box in own], np.float64).reshape(-1, 4),
        offsets_of([len(own) for _, own in entities]),
        np.array([box for own in regions for box in own], np.float64).reshape(-1, 4),
        offsets_of([len(own) for own in regions]),
        np.array([image for image, _ in entities], np.int64),
    )
    assert sets.value is not None
    return [
        dict(zip(sets.member[a:b].tolist(), sets.value[a:b].tolist(), strict=True))
        for a, b in zip(sets.offset[:-1].tolist(), sets.offset[1:].tolist(), strict=True)
    ]


UNIT: Box = (0, 0, 4, 4)


@pytest.mark.parametrize(
    ("boxes", "share"),
    [
        ([(0, 0, 4, 4)], 1.0),
        ([(-9, -9, 9, 9)], 1.0),
        ([(0, 0, 2, 4)], 0.5),
        ([(1, 1, 3, 3)], 0.25),
        ([(0, 0, 2, 2), (2, 2, 4, 4)], 0.5),
        ([(0, 0, 2, 4), (0, 0, 4, 2)], 0.75),  # what two boxes cover counts once
        ([(0, 0, 2, 4), (0, 0, 2, 4)], 0.5),
        ([(0, 0, 3, 4), (1, 0, 4, 4)], 1.0),
        ([(1, 1, 3, 3), (0, 0, 4, 4)], 1.0),
        ([(3.5, 3.5, 8, 8)], 1 / 64),
    ],
)
def test_by_hand(boxes: list[Box], share: float) -> None:
    assert shares([[UNIT]], [(0, boxes)]) == [{0: share}]


def test_what_shares_no_area_is_not_there() -> None:
    regions: list[Box] = [(0, 0, 2, 2), (2, 0, 4, 2), (9, 9, 10, 10)]
    assert shares([regions], [(0, [(2, 0, 5, 5)])]) == [{1: 1.0}]
    assert shares([regions], [(0, [(20, 20, 30, 30)]), (0, [(1, 1, 1, 2)])]) == [{}, {}]


def test_each_entity_meets_the_regions_of_its_image() -> None:
    regions: list[list[Box]] = [[(0, 0, 2, 2)], [], [(0, 0, 4, 4), (2, 2, 4, 4)]]
    box: list[Box] = [(0, 0, 2, 2)]
    assert shares(regions, [(0, box), (1, box), (2, box), (2, [(3, 3, 9, 9)])]) == [
        {0: 1.0},
        {},
        {0: 0.25},
        {0: 1 / 16, 1: 0.25},
    ]
    assert shares([[]], [(0, box)]) == [{}]


def test_a_share_is_never_above_one() -> None:
    third: Box = (0, 0, 1 / 3, 1 / 3)
    boxes: list[Box] = [(k / 30, 0, (k + 1) / 30, 1 / 3) for k in range(10)]
    ((share),) = shares([[third]], [(0, boxes)])
    assert share[0] <= 1
    assert share[0] == pytest.approx(1, abs=1e-12)


SIDES = st.integers(0, 6)
BOXES = st.builds(lambda x, y, w, h: (float(x), float(y), float(x + w), float(y + h)), SIDES, SIDES, SIDES, SIDES)
REAL = BOXES.filter(lambda box: box_reference.area(box) > 0)


def counted(region: Box, boxes: list[Box]) -> float:
    """The share of the unit cells of a region that some box holds."""
    cells = [(x, y) for x in range(int(region[0]), int(region[2])) for y in range(int(region[1]), int(region[3]))]
    held = [any(b[0] <= x < b[2] and b[1] <= y < b[3] for b in boxes) for x, y in cells]
    return float(Fraction(sum(held), len(cells)))


@given(
    st.lists(REAL, min_size=1, max_size=4), st.lists(st.lists(BOXES, min_size=1, max_size=4), min_size=1, max_size=3)
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_by_counting_cells(regions: list[Box], entities: list[list[Box]]) -> None:
    found = shares([regions], [(0, boxes) for boxes in entities])
    for own, boxes in zip(found, entities, strict=True):
        for r, region in enumerate(regions):
            assert own.get(r, 0.0) == pytest.approx(counted(region, boxes), abs=1e-12)
            assert own.get(r, 0.0) == pytest.approx(box_reference.share_inside(region, boxes), abs=1e-12)
            assert (r in own) == (counted(region, boxes) > 0)


def test_how_much_is_worked_on_together_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)

    def some(count: int) -> list[Box]:
        low = random.random((count, 2)) * 8
        high = low + random.random((count, 2)) * 4 + 0.1
        return [(float(a), float(b), float(c), float(d)) for (a, b), (c, d) in zip(low, high, strict=True)]

    regions = [some(5), some(3), some(5)]
    entities = [(k % 3, some(1 + k % 4)) for k in range(12)]
    whole = shares(regions, entities)
    monkeypatch.setattr(box_groups, "PAIRS_AT_ONCE", 1)
    assert shares(regions, entities) == whole


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4))
def test_cells_are_held_against_boxes_along_their_sides(seed: int, rows: int, columns: int) -> None:
    """What is computed along rows and columns is what each cell has among regions anywhere, to the last bit."""
    random = np.random.default_rng(seed)
    affine = np.array([[120 / columns, 90 / rows, 0, 0], [28.5, 20.25, 3.5, 5.0]])
    cells = cell_boxes(np.array([[rows, columns]] * 2), affine, np.array([[120, 90]] * 2)).reshape(2, -1, 4)
    across, down = table_sides(cells)
    if min(rows, columns) > 1:
        assert (across.shape[1], down.shape[1]) == (columns, rows)
    # With a region that is no cell they are any regions.
    regions = np.concatenate((cells, [[[1.0, 2.0, 3.0, 4.0]]] * 2), axis=1)
    assert [side.shape[1] for side in table_sides(regions)] == [rows * columns + 1] * 2
    low = random.random((6, 2)) * 80
    box, image = np.concatenate((low, low + random.random((6, 2)) * 60), axis=1), np.repeat([0, 1], 3)
    kept = []
    for table in (cells, regions):
        offset = offsets_of([table.shape[1]] * 2)
        sets = shares_inside(box, np.arange(7), table.reshape(-1, 4), offset, image)
        assert sets.value is not None
        entity = np.repeat(np.arange(6), sets.size)
        rows_kept = zip(entity.tolist(), sets.member.tolist(), sets.value.tolist(), strict=True)
        kept.append([row for row in rows_kept if row[1] < rows * columns])
    assert kept[0] == kept[1]
    assert kept[0]
