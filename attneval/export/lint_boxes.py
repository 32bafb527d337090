"""Boxes that look as if they were in other units, or of another image than the original one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.export.lint import Lint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

LEAST_BOXES = 20
"""Boxes with an area below which nothing is said of boxes."""
LEAST_IMAGES = 10
"""Images below which nothing is said of where boxes end."""
RELATIVE = 1.01
"""Coordinates up to which boxes look relative to the image's size."""
INPUT_SIZES = (224, 336, 384, 448, 640)
"""Sides of the input of common image encoders, in pixels."""
REACHES = 0.97
"""Share of the input's side that some box must reach to look as if it were in the input's pixels."""
LARGER = 1.05
"""By how much at least half of the images must be larger than the input."""
HALF = 0.6
"""Share of the image's sides beyond which no box of an image of half the size ends."""
ONE_BASED = 0.05
"""Share of the images in which a box must begin at exactly 1 to look counted from 1."""


def lint_boxes(export: AttentionExport, image_size: NDArray[np.int64] | None = None) -> list[Lint]:
    """Look at an export's region boxes.

    Args:
        export: An export; one with a grid has no boxes to look at.
        image_size: i8[I, 2], widths and heights where the export lacks them but annotations say so; rows of zeros for
            images that nobody knows.
    """
    regions = export.regions
    if regions.box is None:
        return []
    size = export.image_size if export.image_size is not None else image_size
    box = np.asarray(regions.box, np.float64)
    real = (box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1]) & np.isfinite(box).all(axis=1)
    image = np.repeat(np.arange(len(export.image_id)), np.diff(regions.offset))[real]
    box = box[real]
    if len(box) < LEAST_BOXES:
        return []
    if box.max() <= RELATIVE:
        text = (
            f"boxes look relative to the image's size: all {len(box)} of them lie within 0..{box.max():.3g}; multiply "
            "x by the width and y by the height of the original image"
        )
        return [Lint("boxes-relative", text)]
    images, first = np.unique(image, return_index=True)
    if len(images) < LEAST_IMAGES:
        return []
    lints = _one_based(box, image, len(images))
    if size is not None:
        # How far the boxes of each image reach, in pixels.
        reach = np.maximum.reduceat(box[:, 2:], first, axis=0)
        known = (size[images] > 0).all(axis=1)
        if known.sum() >= LEAST_IMAGES:
            lints += _of_another_size(reach[known], size[images][known])
    return lints


def _of_another_size(reach: NDArray[np.float64], size: NDArray[np.int64]) -> list[Lint]:
    largest = float(reach.max())
    for side in INPUT_SIZES:
        larger = (size.max(axis=1) > LARGER * side).mean()
        if REACHES * side <= largest <= side + 1 and larger >= 0.5:
            text = (
                f"boxes look as if they were in pixels of an input of {side} x {side}: none ends beyond {largest:.6g}, "
                f"though {larger:.0%} of the images are larger; scale them to the original image's width and height"
            )
            return [Lint("boxes-of-the-input", text)]
    share = (reach / size).max(axis=0)
    if (share <= HALF).all():
        text = (
            f"boxes look as if they were of a smaller image: in none of {len(size)} images does one end beyond "
            f"{share[0]:.0%} of the width or {share[1]:.0%} of the height; scale them to the original image"
        )
        return [Lint("boxes-of-a-smaller-image", text)]
    return []


def _one_based(box: NDArray[np.float64], image: NDArray[np.int64], images: int) -> list[Lint]:
    """Whole numbers none of which is 0, though many boxes begin at the edge."""
    if box[:, :2].min() != 1 or (box != np.rint(box)).any():
        return []
    at_edge = len(distinct_values(image[(box[:, :2] == 1).any(axis=1)]))
    if at_edge < max(LEAST_IMAGES, ONE_BASED * images):
        return []
    text = (
        f"boxes look counted from 1: all are whole numbers, none begins at 0, and in {at_edge} of {images} images one "
        "begins at exactly 1; as continuous edges they are x1 - 1, y1 - 1, x2, y2"
    )
    return [Lint("boxes-from-1", text)]


def looks_like_width_and_height(box: NDArray[np.float64], size: NDArray[np.int64] | None) -> bool:
    """Test whether boxes f8[n, 4], some of them inverted as x1, y1, x2, y2, look like x, y, width, height.

    Args:
        box: At least five of them, from images of
        size: i8[n, 2], widths and heights of each one's image, if known.
    """
    if len(box) < 5 or not np.isfinite(box).all() or box.min() < 0:
        return False
    inverted = (box[:, 2:] < box[:, :2]).any(axis=1)
    end = box[:, :2] + box[:, 2:]
    return bool(inverted.any() and (size is None or (end <= size + 1).all()))
