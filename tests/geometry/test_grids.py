"""Cells of grids as boxes, worked out by hand."""

from __future__ import annotations

import numpy as np

from attneval.geometry.grids import cell_boxes, cell_offset

SHAPE = np.array([[2, 3], [1, 2]])
SIZE = np.array([[300, 100], [50, 80]])


def test_cells_of_grids_that_cover_their_images() -> None:
    expected = [
        *([0, 0, 100, 50], [100, 0, 200, 50], [200, 0, 300, 50]),
        *([0, 50, 100, 100], [100, 50, 200, 100], [200, 50, 300, 100]),
        *([0, 0, 25, 80], [25, 0, 50, 80]),
    ]
    assert cell_boxes(SHAPE, None, SIZE).tolist() == expected
    assert cell_offset(SHAPE).tolist() == [0, 6, 8]


def test_cells_are_clipped_to_the_image() -> None:
    """A letterboxed image: the outer columns reach beyond it, the last of the second one wholly."""
    affine = np.array([[150.0, 50.0, -75.0, 0.0], [50.0, 80.0, 0.0, 0.0]])
    box = cell_boxes(SHAPE, affine, SIZE)
    assert box[:3].tolist() == [[0, 0, 75, 50], [75, 0, 225, 50], [225, 0, 300, 50]]
    assert box[6:].tolist() == [[0, 0, 50, 80], [50, 0, 50, 80]]
