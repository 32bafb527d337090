"""Boxes that are tiles: cells of a grid that were written as boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.geometry.boxes import areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST = 16
"""Tiles that an image has at least."""
SLACK = 0.01
"""Pixels by which tiles may overlap along an edge, for single-precision arithmetic."""
ROWS_AT_ONCE = 256


def are_tiles(box: NDArray[np.float64], offset: NDArray[np.int64]) -> bool:
    """Tell whether boxes are tiles: in every image at least 16, no two of which overlap.

    Boxes that cover all that the image's boxes cover are left apart, as a global view beside the tiles is. So are boxes
    without an area, which are padding.

    Args:
        box: f8[R, 4], pixels, x1, y1, x2, y2.
        offset: i8[I+1], first box of each image.
    """
    if len(offset) < 2:
        return False
    bounds = zip(offset[:-1].tolist(), offset[1:].tolist(), strict=True)
    return all(_tile(box[start:stop]) for start, stop in bounds)


def _tile(box: NDArray[np.float64]) -> bool:
    box = box[areas(box) > 0]
    if len(box) < LEAST:
        return False
    low, high = box[:, :2].min(axis=0), box[:, 2:].max(axis=0)
    whole = ((box[:, :2] <= low + SLACK) & (box[:, 2:] >= high - SLACK)).all(axis=1)
    box = box[~whole]
    # Tiles cannot have more area than what they lie in, which tells most other boxes at once.
    if len(box) < LEAST or areas(box).sum() > np.prod(high - low) * (1 + 1e-3):
        return False
    for first in range(0, len(box), ROWS_AT_ONCE):
        part = box[first : first + ROWS_AT_ONCE, None]
        width = np.minimum(part[..., 2], box[:, 2]) - np.maximum(part[..., 0], box[:, 0])
        height = np.minimum(part[..., 3], box[:, 3]) - np.maximum(part[..., 1], box[:, 1])
        shared = (width > SLACK) & (height > SLACK)
        if np.count_nonzero(shared) > len(part):  # each shares with itself
            return False
    return True
