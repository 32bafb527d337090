"""Boxes that are tiles, by hand and pair by pair."""

from __future__ import annotations

import box_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_inputs import Box, Export

from attneval.arrays.ragged import offsets_of
from attneval.geometry import tiles
from attneval.geometry.tiles import are_tiles


def cells(rows: int, columns: int, width: float = 100, height: float = 80) -> list[Box]:
    x, y = width / columns, height / rows
    return [(c * x, r * y, (c + 1) * x, (r + 1) * y) for r in range(rows) for c in range(columns)]


def tiled(*images: list[Box]) -> bool:
    box = np.array([box for own in images for box in own], np.float64).reshape(-1, 4)
    return are_tiles(box, offsets_of([len(own) for own in images]))


WHOLE: Box = (0, 0, 100, 80)
NOTHING: Box = (0, 0, 0, 0)


def test_sixteen_are_needed() -> None:
    assert tiled(cells(4, 4))
    assert not tiled(cells(3, 5))
    assert not tiled([])
    assert not tiled()


def test_the_whole_image_stands_apart() -> None:
    assert tiled([WHOLE, *cells(4, 4)])
    assert tiled([*cells(4, 4), WHOLE, WHOLE])
    # It is none of the sixteen.
    assert not tiled([WHOLE, *cells(3, 5)])


def test_padding_stands_apart() -> None:
    assert tiled([*cells(4, 4), NOTHING, NOTHING])
    assert not tiled([*cells(3, 5), NOTHING])


def test_every_image_must_be_tiled() -> None:
    assert tiled(cells(4, 4), cells(5, 7), [WHOLE, *cells(7, 3)])
    assert not tiled(cells(4, 4), cells(3, 5))
    assert not tiled(cells(4, 4), [])


def test_one_overlap_is_too_much() -> None:
    for at in (0, 7, 15):
        boxes = cells(4, 4)
        x1, y1, x2, y2 = boxes[at]
        boxes[at] = (x1, y1, x2 + 0.5, y2 + 0.5) if at < 15 else (x1 - 0.5, y1 - 0.5, x2, y2)
        assert not tiled(boxes)
    assert not tiled([*cells(4, 4), cells(4, 4)[5]])


def test_tiles_need_not_cover_the_image() -> None:
    assert tiled(cells(6, 6)[::2])
    far_apart = [(20.0 * k, 10.0 * k, 20.0 * k + 5, 10.0 * k + 5) for k in range(20)]
    assert tiled(far_apart)


def test_single_precision_makes_no_overlap() -> None:
    box = np.array(cells(14, 14, 500, 333), np.float32).astype(np.float64)
    assert are_tiles(box, np.array([0, len(box)]))


@pytest.mark.parametrize("at_once", [1, 5, 256])
def test_how_many_rows_are_looked_at_at_once_does_not_matter(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "ROWS_AT_ONCE", at_once)
    assert tiled(cells(5, 4))
    # The same area, but one over another.
    boxes = cells(5, 4)
    boxes[19] = boxes[3]
    assert not tiled(boxes)


SIDES, CORNERS = st.integers(0, 4), st.integers(0, 12)
BOXES = st.builds(lambda x, y, w, h: (float(x), float(y), float(x + w), float(y + h)), CORNERS, CORNERS, SIDES, SIDES)


@given(st.lists(st.lists(BOXES, max_size=5).map(lambda more: [*cells(4, 4, 8, 8), *more]), min_size=1, max_size=2))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_reference_agrees(images: list[list[Box]]) -> None:
    export = Export({str(k): own for k, own in enumerate(images)}, [], None, [])
    assert tiled(*images) == box_reference.are_tiles(export)
