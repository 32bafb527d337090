"""What boxes cover: painted pixel by pixel, and worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import box_reference
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.arrays.ragged import offsets_of
from attneval.geometry.boxes import areas, disjoint, enclosing

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from reference_inputs import Box


def rows(boxes: list[Box]) -> NDArray[np.float64]:
    return np.array(boxes, np.float64).reshape(-1, 4)


BOXES = st.lists(
    st.builds(
        lambda x, y, w, h: (x, y, x + w, y + h),
        st.integers(0, 12),
        st.integers(0, 12),
        st.integers(1, 8),
        st.integers(1, 8),
    ),
    min_size=1,
    max_size=6,
)


@given(st.lists(BOXES, max_size=4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_disjoint_boxes_cover_the_same_pixels_once(groups: list[list[Box]]) -> None:
    pieces, offset = disjoint(rows([box for own in groups for box in own]), offsets_of(list(map(len, groups))))
    assert len(offset) == len(groups) + 1
    for own, first, last in zip(groups, offset[:-1], offset[1:], strict=True):
        painted, covered = np.zeros((24, 24), np.int64), np.zeros((24, 24), np.int64)
        for x1, y1, x2, y2 in pieces[first:last].astype(np.int64).tolist():
            painted[y1:y2, x1:x2] += 1
        for x1, y1, x2, y2 in np.array(own, np.int64).tolist():
            covered[y1:y2, x1:x2] = 1
        assert np.array_equal(painted, covered)
        assert float(areas(pieces[first:last]).sum()) == box_reference.union_area(own)


def test_boxes_without_an_area_leave_one_behind() -> None:
    line, point = (3, 3, 3, 8), (5, 5, 5, 5)
    pieces, offset = disjoint(rows([line, point, (0, 0, 2, 2), line]), offsets_of([2, 2]))
    assert offset.tolist() == [0, 1, 2]
    assert pieces.tolist() == [list(line), [0, 0, 2, 2]]


def test_enclosing_and_areas() -> None:
    box = rows([(1, 5, 4, 7), (0, 6, 2, 9.5), (3, 3, 4, 4)])
    assert enclosing(box, offsets_of([2, 1])).tolist() == [[0, 5, 4, 9.5], [3, 3, 4, 4]]
    assert enclosing(rows([]), offsets_of([])).shape == (0, 4)
    assert areas(box).tolist() == [6, 7, 1]
    assert areas(rows([(2, 2, 2, 9), (0, 0, 0, 0)])).tolist() == [0, 0]
