from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("transformers")

from attneval import AttnevalError
from attneval.extraction.transformers.regions import Boxes, Grid, boxes, count, edges, grids_of, single_grid

ACROSS = Grid(2, 3, (10.0, 20.0, 5.0, -4.0))


def test_cells_of_a_grid_are_row_by_row() -> None:
    assert ACROSS.edges().tolist() == [
        [5, -4, 15, 16],
        [15, -4, 25, 16],
        [25, -4, 35, 16],
        [5, 16, 15, 36],
        [15, 16, 25, 36],
        [25, 16, 35, 36],
    ]
    assert len(ACROSS) == count(ACROSS) == 6


def test_boxes_are_clipped_to_the_image() -> None:
    clipped = boxes(ACROSS, 30, 30)
    assert clipped.dtype == np.float32
    assert clipped[0].tolist() == [5, 0, 15, 16]
    assert clipped[5].tolist() == [25, 16, 30, 30]
    outside = boxes(Grid(1, 2, (50.0, 50.0, 0.0, 0.0)), 50, 40)
    assert outside[1].tolist() == [50, 0, 50, 40], "a cell in the padding has no area"


def test_a_grid_over_the_whole_image() -> None:
    covering = Grid.covering(500, 333, rows=12, cols=18)
    assert edges(covering)[-1] == pytest.approx([500 - 500 / 18, 333 - 333 / 12, 500, 333])


def test_grids_one_after_the_other() -> None:
    small = Grid(1, 1, (7.0, 7.0, 0.0, 0.0))
    assert count([ACROSS, small]) == 7
    assert edges([ACROSS, small])[-1].tolist() == [0, 0, 7, 7]
    assert grids_of(small) == (small,)
    assert grids_of([ACROSS, small]) == (ACROSS, small)
    assert single_grid([ACROSS, small]) is None
    assert single_grid([small]) is small
    assert single_grid(small) is small
    with pytest.raises(AttnevalError, match="at least one grid"):
        edges([])


def test_boxes_that_form_no_grid() -> None:
    given = Boxes(np.array([[0, 0, 4, 5], [3, 3, 3, 3]], dtype=np.float32))
    assert count(given) == 2
    assert single_grid(given) is None
    assert boxes(given, 2, 2).tolist() == [[0, 0, 2, 2], [2, 2, 2, 2]]


@pytest.mark.parametrize(
    ("rows", "cols", "affine", "message"),
    [
        (0, 3, (1.0, 1.0, 0.0, 0.0), "at least one row"),
        (3, 3, (-1.0, 1.0, 0.0, 0.0), "positive size"),
        (3, 3, (1.0, float("nan"), 0.0, 0.0), "finite"),
    ],
)
def test_grids_that_are_none(rows: int, cols: int, affine: tuple[float, float, float, float], message: str) -> None:
    with pytest.raises(AttnevalError, match=message):
        Grid(rows, cols, affine)


def test_boxes_that_are_none() -> None:
    with pytest.raises(AttnevalError, match=r"shape \(regions, 4\), got \(4,\)"):
        Boxes(np.zeros(4, dtype=np.float32))
    with pytest.raises(AttnevalError, match="not finite"):
        Boxes(np.full((1, 4), np.inf, dtype=np.float32))
