"""Overlaps that reach a threshold, found in single precision.

Definition: every pair with `overlap.overlaps(...) >= threshold` is returned, and those returned without being marked
as close are such pairs. Single precision is twice as fast and settles nearly every pair; the close ones are left to the
definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.geometry.box_groups import BoxGroup

ROUNDING = 2.0**-18
"""By how much single precision may be off in `_surplus`, times the square of the largest coordinate.

It rounds by 2**-24. A length is off by at most four times that; an area, of two lengths of at most twice the largest
coordinate, by twenty; the shared area and half of both areas, by less than sixty-four.
"""


def likely_pairs(
    group: BoxGroup, region: NDArray[np.float64], *, overlap: str, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Find the pairs of an entity and a region whose overlap reaches, or may reach, a threshold.

    Args:
        group: The entities.
        region: f8[I, n, 4], pixels, the regions of each image.
        overlap: `iou` or `iof`.
        threshold: The overlap that is enough.

    Returns:
        i8[p] entities of the group and i8[p] regions of their image, ascending; b[p], the pairs that single precision
        cannot settle.
    """
    width, entities = region.shape[1], 0
    # s / (a + b - s) reaches t where s reaches t / (1 + t) of a + b.
    share = threshold / (1 + threshold) if overlap == "iou" else threshold
    x1, y1, x2, y2 = region.astype(np.float32).transpose(2, 0, 1)
    planes = np.stack((x1, y1, x2, y2, share * (x2 - x1) * (y2 - y1)))
    largest = max(region.max(initial=0), -region.min(initial=0), np.abs(group.box).max(initial=0))
    error = float(ROUNDING * largest**2) * (int(np.diff(group.offset).max(initial=1)) if group.add_up else 1)
    near, close = [], []
    chunks = list(group.chunks(width))
    # Memory that is asked for anew for each chunk takes longer than what is done with it.
    space = np.empty((len(planes), max((len(chunk.box) for chunk in chunks), default=0), width), np.float32)
    for chunk in chunks:
        surplus = _surplus(chunk, planes, space, share if overlap == "iou" else 0.0).ravel()
        pair = np.flatnonzero(surplus >= -error)
        near.append(pair + entities * width)
        close.append(surplus[pair] < error)
        entities += len(chunk.place)
    entity, member = np.divmod(np.concatenate(near), width)
    return entity, member, np.concatenate(close)


def _surplus(
    group: BoxGroup, planes: NDArray[np.float32], space: NDArray[np.float32], share_of_boxes: float
) -> NDArray[np.float32]:
    """Compute how much more than enough entities share with the regions of their image.

    Args:
        group: The entities.
        planes: f4[5, I, n], edges x1, y1, x2, y2 of the regions and the part of their area that must be shared.
        space: f4[5, b, n], room for as many planes of the group's pairs; the result may be a part of it.
        share_of_boxes: The part of the boxes' area that must be shared on top.

    Returns:
        f4[e, n], square pixels.
    """

    def gathered(plane: int, place: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.take(planes[plane], place, axis=0, out=space[plane, : len(place)], mode="clip")

    place = group.place_of_box
    x1, y1, x2, y2 = group.box.astype(np.float32).T[:, :, None]
    shared = _length(gathered(0, place), gathered(2, place), x1, x2)
    # What is apart in one direction shares nothing or less, which only pieces that add up must not.
    shared *= _length(gathered(1, place), gathered(3, place), y1, y2, negative=not group.add_up)
    needed = share_of_boxes * (x2 - x1) * (y2 - y1) if share_of_boxes else np.zeros_like(x1)
    if group.add_up:
        place, shared, needed = group.place, group.by_entity(np.add, shared), group.by_entity(np.add, needed)
    shared -= gathered(4, place)
    shared -= needed
    return shared if group.add_up else group.by_entity(np.maximum, shared)


def _length(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    start: NDArray[np.float32],
    stop: NDArray[np.float32],
    *,
    negative: bool = False,
) -> NDArray[np.float32]:
    """The length that [low, high] and [start, stop] share, 0 or `negative` if none; the first two are used up."""
    np.maximum(low, start, out=low)
    np.minimum(high, stop, out=high)
    if not negative:
        np.maximum(high, low, out=high)
    high -= low
    return high
