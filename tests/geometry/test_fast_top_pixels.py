"""The largest pixels that are sought around the largest cells: the same as among all pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attneval.geometry import fast_top_pixels, pixel_boxes
from attneval.geometry.fast_top_pixels import top_boxes
from attneval.geometry.pixel_sets import PixelSets
from attneval.geometry.top_pixels import GridOnImage, tied_parts

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.geometry.pixel_boxes import PixelBoxes


def grids_of(shape: tuple[int, int], sizes: list[tuple[int, int]]) -> GridOnImage:
    size = np.array(sizes)
    affine = np.concatenate((size / np.array(shape)[::-1], np.zeros_like(size, np.float64)), axis=1)
    return GridOnImage(np.tile(shape, (len(sizes), 1)), affine, size)


def by_definition(weight: NDArray[np.float64], grids: GridOnImage, group: int) -> NDArray[np.bool_]:
    """The largest pixels of a map, b[height, width]."""
    rows, columns = grids.axes(group)
    part = tied_parts(weight.reshape(1, *grids.shape[group].tolist()), rows, columns)[0]
    return np.asarray(part.repeat(rows.size, axis=0).repeat(columns.size, axis=1))


def painted(boxes: PixelBoxes, at: int, size: tuple[int, int]) -> NDArray[np.int64]:
    """How many boxes of a set each pixel is in, i8[height, width]."""
    picture = np.zeros(size[::-1], np.int64)
    for x1, y1, x2, y2 in boxes.box[boxes.offset[at] : boxes.offset[at + 1]].tolist():
        assert 0 <= x1 < x2 <= size[0]
        assert 0 <= y1 < y2 <= size[1]
        picture[y1:y2, x1:x2] += 1
    return picture


def agree(weight: NDArray[np.float64], grids: GridOnImage) -> NDArray[np.bool_]:
    """Hold every map against its definition in every image: b[k], of which maps the pixels are known."""
    images = len(grids.size)
    row, group = np.repeat(np.arange(len(weight)), images), np.tile(np.arange(images), len(weight))
    boxes, known = top_boxes(weight, row, grids.of(group))
    for k, (r, g) in enumerate(zip(row.tolist(), group.tolist(), strict=True)):
        found = painted(boxes, k, tuple(grids.size[g].tolist()))
        assert (found == by_definition(weight[r], grids, g) * known[k]).all(), (r, g)
    return known


SIZES = [(500, 375), (333, 500), (64, 48), (97, 31), (29, 40)]


@pytest.mark.parametrize("shape", [(14, 14), (7, 9), (1, 6), (24, 3)])
def test_random_maps(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    weight = random.random((12, shape[0] * shape[1])) ** 8
    assert agree(weight / weight.sum(axis=1, keepdims=True), grids_of(shape, SIZES)).mean() > 0.5


def test_most_maps_that_look_like_a_model_s_are_known() -> None:
    power = np.exp(np.random.default_rng(4).normal(0, 2, (40, 196)))
    assert agree(power / power.sum(axis=1, keepdims=True), grids_of((14, 14), SIZES[:2])).mean() > 0.95


@pytest.mark.parametrize("levels", [2, 3, 20])
def test_ties(levels: int) -> None:
    """Plateaus, several far apart, and even maps."""
    random = np.random.default_rng(levels)
    weight = random.integers(0, levels, (30, 30)) / levels
    weight[0], weight[1], weight[2, 1:] = 0.25, 0.0, 0.0
    agree(weight, grids_of((5, 6), SIZES))


def test_a_smooth_hill_between_cells() -> None:
    y, x = np.mgrid[:14, :14]
    hills = [np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8).ravel() for a, b in ((6.5, 6.5), (6.4, 0), (13, 12.7), (3, 3))]
    assert agree(np.array(hills), grids_of((14, 14), SIZES)).all()


def test_weight_on_the_centre() -> None:
    weight = np.zeros((1, 196))
    weight[0, [6 * 14 + 6, 6 * 14 + 7, 7 * 14 + 6, 7 * 14 + 7]] = 0.25
    assert agree(weight, grids_of((14, 14), SIZES)).all()


def test_pixels_that_are_larger_than_those_at_the_largest_cell() -> None:
    """Next to a ridge whose cells are seen from a pixel's distance, another cell's pixel is the largest."""
    weight = np.array([[0.757, 1.727, 0.0], [1.74, 0.0, 0.0], [0.0, 0.0, 1.7]]).reshape(1, -1)
    agree(weight, grids_of((3, 3), [(6, 6), (7, 6), (5, 8), (9, 9), (3, 3)]))


@st.composite
def maps(draw: st.DrawFn) -> tuple[list[float], tuple[int, int], list[float], tuple[int, int]]:
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    size = draw(st.integers(1, 23)), draw(st.integers(1, 23))
    values = st.one_of(st.sampled_from([-1.0, 0.0, 0.25, 0.7, 1.0, 1.0 - 1e-13]), st.floats(-1, 1, width=16))
    weight = draw(st.lists(values, min_size=rows * columns, max_size=rows * columns))
    affine = [size[0] / columns, size[1] / rows, 0.0, 0.0]
    if draw(st.booleans()):
        scales = st.sampled_from([0.7, 1.0, 2.0, 2.5, 3.3])
        affine = [draw(scales), draw(scales), draw(st.floats(-4, 4)), draw(st.floats(-4, 4))]
    return weight, (rows, columns), affine, size


@given(maps())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_any_map(case: tuple[list[float], tuple[int, int], list[float], tuple[int, int]]) -> None:
    weight, shape, affine, size = case
    grids = GridOnImage(np.array([shape]), np.array([affine]), np.array([size]))
    known = agree(np.array([weight]), grids)
    assert known.all() or min(affine[:2]) < 1 or max(shape) > fast_top_pixels.WIDEST


def test_other_maps_are_looked_at_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares are the same whichever way they are found, also in small portions."""
    random = np.random.default_rng(6)
    grids = grids_of((4, 6), SIZES)
    group = np.repeat(np.arange(len(SIZES)), 3)
    box = np.sort(random.integers(0, 60, (15, 2, 2)), axis=1).reshape(15, 4).astype(np.float64)
    weight = np.round(random.random((9, 24)) * 5)
    row, entity = random.integers(0, 9, 80), random.integers(0, 15, 80)
    shares = PixelSets.from_boxes(grids, group, box, np.arange(16)).top_shares(weight, row, entity)
    assert 0 < shares.mean() < 1
    for module, name, value in (
        (fast_top_pixels, "WIDEST", 0),
        (fast_top_pixels, "WIDEST", 1),
        (pixel_boxes, "BOXES_AT_ONCE", 3),
    ):
        monkeypatch.setattr(module, name, value)
        sets = PixelSets.from_boxes(grids, group, box, np.arange(16))
        assert (sets.top_shares(weight, row, entity) == shares).all()


@pytest.mark.realdata
def test_real_maps(shared: Path) -> None:
    with np.load(shared / "f8k285_grid.npz") as file:
        rows = file["attn"][file["words"] != ""]
    some = rows.reshape(len(rows), -1)[:: len(rows) // 300].astype(np.float64)
    assert agree(some / some.sum(axis=1, keepdims=True), grids_of(rows.shape[1:], SIZES[:2])).mean() > 0.9
