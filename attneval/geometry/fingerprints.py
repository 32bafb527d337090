"""Fingerprints of regions: whether two systems attended to the same boxes of an image."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PER_PIXEL = 100
"""Boxes are rounded to this fraction of a pixel, so that single precision and clipping do not tell them apart."""
DIGITS = 16
"""Hexadecimal digits of a digest that are kept."""
_BOX = 4 * 8


def fingerprints(
    box: NDArray[np.float64],
    offset: NDArray[np.int64],
    group_image: NDArray[np.int64],
    image_size: NDArray[np.int64],
) -> list[str]:
    """Make the fingerprint of each image's regions: their number, a colon and a digest of their boxes.

    The boxes are taken in their order, clipped to the image and rounded to 1/100 of a pixel. Where captions have
    windows of regions, each caption's is a group; an image whose groups are all the same has the fingerprint of one of
    them, so that windows that leave nothing out are none.

    Args:
        box: f8[R, 4], the regions that have an area, x1, y1, x2, y2 in pixels.
        offset: i8[G+1], first region of each group.
        group_image: i8[G], the image of each group.
        image_size: i8[I, 2], width and height of each image.
    """
    image = group_image[np.repeat(np.arange(len(group_image)), np.diff(offset))]
    limit = np.tile(image_size[image], 2)
    corner = np.rint(np.clip(box, 0, limit) * PER_PIXEL).astype("<i8") + 0  # no negative zeros
    data, bounds = corner.tobytes(), offset.tolist()
    groups: list[dict[bytes, int]] = [{} for _ in image_size]
    for place, start, stop in zip(group_image.tolist(), bounds[:-1], bounds[1:], strict=True):
        if stop > start:
            groups[place].setdefault(data[start * _BOX : stop * _BOX], stop - start)
    # Images of one size often have the same cells, whose digest is taken once.
    distinct = {tuple(group): group for group in groups}
    made = {boxes: _fingerprint(group) for boxes, group in distinct.items()}
    return [made[tuple(group)] for group in groups]


def _fingerprint(groups: dict[bytes, int]) -> str:
    parts = [part for boxes, count in groups.items() for part in (count.to_bytes(8, "little"), boxes)]
    return f"{sum(groups.values())}:{hashlib.sha256(b''.join(parts)).hexdigest()[:DIGITS]}"
