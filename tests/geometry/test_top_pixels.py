"""The top pixels of maps enlarged to images: by hand, and by enlarging them pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import heat_reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.geometry.pixel_sets import PixelSets
from attneval.geometry.top_pixels import GridOnImage, PixelAxis, tied_parts

if TYPE_CHECKING:
    from reference_inputs import Box

Affine = tuple[float, float, float, float]


def sets_of(
    shape: tuple[int, int],
    size: tuple[int, int],
    entities: list[list[Box]],
    affine: Affine | None = None,
    **how: str,
) -> PixelSets:
    (rows, columns), (width, height) = shape, size
    affine = affine or (width / columns, height / rows, 0.0, 0.0)
    grids = GridOnImage(np.array([shape]), np.array([affine]), np.array([size]))
    offset = np.cumsum([0, *map(len, entities)])
    box = np.array([box for own in entities for box in own], np.float64).reshape(-1, 4)
    return PixelSets.from_boxes(grids, np.zeros(len(entities), np.int64), box, offset, **how)


def share(
    weight: list[list[float]], size: tuple[int, int], boxes: list[Box], *, combined: str = "any", **how: str
) -> float:
    shape = len(weight), len(weight[0])
    sets = sets_of(shape, size, [boxes], None, boxes=combined, **how)
    row = np.array(weight, np.float64).reshape(1, -1)
    return float(sets.top_shares(row, np.zeros(1, np.int64), np.zeros(1, np.int64))[0])


# ---------------------------------------------------------------- by hand


def test_one_top_pixel() -> None:
    # Three cells of three pixels each: the middle of the second is the middle of pixel 4.
    row = [[0.0, 1.0, 0.5]]
    assert share(row, (9, 1), [(4, 0, 5, 1)]) == 1
    assert share(row, (9, 1), [(0, 0, 4, 1), (5, 0, 9, 1)]) == 0


def test_beside_the_middle_of_a_cell_the_higher_side_wins() -> None:
    # Three cells of four pixels: the middle of the second lies between pixels 5 and 6, and the third is higher.
    row = [[0.0, 1.0, 0.5]]
    assert share(row, (12, 1), [(6, 0, 7, 1)]) == 1
    assert share(row, (12, 1), [(5, 0, 6, 1)]) == 0
    # Between equal neighbours both are as large.
    assert share([[0.5, 1.0, 0.5]], (12, 1), [(6, 0, 7, 1)]) == 0.5
    assert share([[0.5, 1.0, 0.5]], (12, 1), [(5, 0, 7, 1)]) == 1


def test_a_cell_at_the_border_goes_on_to_the_edge() -> None:
    # Two cells of four pixels: from the middle of the first, between pixels 1 and 2, on to the left all is as large.
    row = [[1.0, 0.0]]
    assert share(row, (8, 1), [(0, 0, 2, 1)]) == 1
    assert share(row, (8, 1), [(0, 0, 1, 1)]) == 0.5
    assert share(row, (8, 1), [(2, 0, 8, 1)]) == 0
    # A corner of two by two.
    corner = [[1.0, 0.0], [0.0, 0.0]]
    assert share(corner, (8, 8), [(0, 0, 1, 1)]) == 0.25
    assert share(corner, (8, 8), [(0, 0, 1, 1), (0, 0, 2, 1)]) == 0.5  # a pixel in two boxes counts once


def test_equal_neighbours_are_a_plateau() -> None:
    # Cells of four pixels: between the middles of the second and the third all pixels are as large.
    row = [[0.0, 1.0, 1.0, 0.0]]
    assert share(row, (16, 1), [(6, 0, 10, 1)]) == 1
    assert share(row, (16, 1), [(6, 0, 7, 1)]) == 0.25
    assert share(row, (16, 1), [(0, 0, 6, 1), (10, 0, 16, 1)]) == 0


def test_even_maps_are_the_share_of_the_image() -> None:
    for weight in (0.0, 0.1, 1.0):
        assert share([[weight] * 3] * 2, (7, 5), [(0, 0, 3, 5)]) == 15 / 35
        assert share([[weight] * 3] * 2, (7, 5), [(0, 0, 7, 5)]) == 1


def test_two_tops_far_apart() -> None:
    row = [[0.0, 1.0, 0.0, 1.0, 0.0]]
    assert share(row, (15, 3), [(4, 0, 5, 3)]) == 0.5


def test_pixels_are_in_a_box_by_their_middles() -> None:
    row = [[0.0, 1.0, 0.0]]  # pixel 4
    assert share(row, (9, 1), [(4.5, 0, 9, 1)]) == 1
    assert share(row, (9, 1), [(4.5, 0, 9, 1)], border="outside") == 0
    assert share(row, (9, 1), [(4.4, 0, 9, 1)], border="outside") == 1
    assert share(row, (9, 1), [(0, 0, 4.4, 1)]) == 0
    assert share(row, (9, 1), [(0, 0, 4, 1)]) == 0
    # Edges that are numbers of pixels hold the last one, too.
    assert share(row, (9, 1), [(0, 0, 4, 1)], extent="pixel") == 1
    assert share(row, (9, 1), [(4, 0, 4, 0)], extent="pixel") == 1
    assert share(row, (9, 1), [(0, 0, 3, 0)], extent="pixel") == 0


def test_merged_boxes_are_their_enclosing_box() -> None:
    row = [[0.0, 1.0, 0.0]]
    apart: list[Box] = [(0, 0, 2, 1), (7, 0, 9, 1)]
    assert share(row, (9, 1), apart) == 0
    assert share(row, (9, 1), apart, combined="merged") == 1


def test_a_grid_that_ends_within_the_image() -> None:
    """Cells of two pixels from pixel 3 on: beyond them the map goes on as it is at its ends."""
    sets = sets_of((1, 3), (12, 1), [[(0, 0, 4, 1)], [(6, 0, 12, 1)]], affine=(2.0, 1.0, 3.0, 0.0))
    rows = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = sets.top_shares(rows, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    # The middle of the first cell is pixel 3.5: pixels 0 to 3. Of the third it is 7.5: pixels 8 to 11.
    assert found.tolist() == [1, 0, 0, 1]


def test_more_cells_than_pixels() -> None:
    # Ten cells over two pixels, whose middles are those of cells 2 and 7; no pixel sees the last.
    row = [[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.75, 0.5, 9.0]]
    assert share(row, (2, 1), [(0, 0, 1, 1)]) == 1
    assert share(row, (2, 1), [(1, 0, 2, 1)]) == 0


# ---------------------------------------------------------------- pixel by pixel


@st.composite
def maps(draw: st.DrawFn) -> tuple[list[float], tuple[int, int], Affine, tuple[int, int], list[Box]]:
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    size = draw(st.integers(1, 23)), draw(st.integers(1, 23))
    weight = draw(st.lists(st.sampled_from([0.0, 0.25, 0.7, 1.0]), min_size=rows * columns, max_size=rows * columns))
    affine: Affine = (size[0] / columns, size[1] / rows, 0.0, 0.0)
    if draw(st.booleans()):
        affine = (draw(st.sampled_from([0.7, 2.0, 3.3])), draw(st.sampled_from([1.0, 2.5])), -1.3, 0.5)
    edges = st.sampled_from([k / 2 for k in range(50)])
    boxes = draw(st.lists(st.tuples(edges, edges, edges, edges), min_size=1, max_size=3))
    ordered = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]
    return weight, (rows, columns), affine, size, ordered


@given(maps(), st.sampled_from(["edge", "pixel"]), st.sampled_from(["inside", "outside"]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_reference_agrees(
    case: tuple[list[float], tuple[int, int], Affine, tuple[int, int], list[Box]], extent: str, border: str
) -> None:
    weight, shape, affine, size, boxes = case
    sets = sets_of(shape, size, [boxes], affine, extent=extent, border=border)
    found = sets.top_shares(np.array([weight]), np.zeros(1, np.int64), np.zeros(1, np.int64))
    picture = heat_reference.Picture(shape, affine, size, tuple(boxes), extent, border)
    assert float(found[0]) == heat_reference.top_pixel_inside(tuple(weight), picture)


@given(maps())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_parts_are_all_pixels_each_once(
    case: tuple[list[float], tuple[int, int], Affine, tuple[int, int], list[Box]],
) -> None:
    weight, (rows, columns), (sx, sy, tx, ty), (width, height), _ = case
    across, down = PixelAxis.along(columns, sx, tx, width), PixelAxis.along(rows, sy, ty, height)
    assert (across.bound[0], across.bound[-1], down.bound[0], down.bound[-1]) == (0, width, 0, height)
    assert (across.size >= 0).all()
    assert across.weight.sum(axis=1) == pytest.approx(1)
    tied = tied_parts(np.array(weight).reshape(1, rows, columns), down, across)[0]
    found = {
        (x, y)
        for r, c in np.argwhere(tied).tolist()
        for y in range(*down.bound[r : r + 2].tolist())
        for x in range(*across.bound[c : c + 2].tolist())
    }
    assert found == set(heat_reference.top_pixels(tuple(weight), (rows, columns), (sx, sy, tx, ty), (width, height)))


def test_pairs_of_several_images() -> None:
    """Maps with equally many cells in images of several shapes, one map for all of them as well."""
    random = np.random.default_rng(5)
    shapes, sizes = [(2, 6), (3, 4), (12, 1)], [(31, 17), (9, 40), (22, 22)]
    affine = [(w / c, h / r, 0.0, 0.0) for (r, c), (w, h) in zip(shapes, sizes, strict=True)]
    grids = GridOnImage(np.array(shapes), np.array(affine), np.array(sizes))
    group = np.array([0, 1, 1, 2, 0])
    box = np.sort(random.integers(0, 23, (5, 2, 2)), axis=1).reshape(5, 4).astype(np.float64)
    sets = PixelSets.from_boxes(grids, group, box, np.arange(6))
    weight = np.round(random.random((4, 12)) * 3)
    row, entity = np.array([0, 1, 2, 3, 3, 3, 0, 2]), np.array([0, 4, 1, 3, 2, 0, 3, 2])
    found = sets.top_shares(weight, row, entity)
    for k, (r, e) in enumerate(zip(row.tolist(), entity.tolist(), strict=True)):
        x1, y1, x2, y2 = box[e].tolist()
        picture = heat_reference.Picture(
            shapes[group[e]], affine[group[e]], sizes[group[e]], ((x1, y1, x2, y2),), "edge", "inside"
        )
        assert float(found[k]) == heat_reference.top_pixel_inside(tuple(weight[r].tolist()), picture)
    assert sets.top_shares(weight, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
