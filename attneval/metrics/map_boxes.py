"""One box of a heat map: around its largest part, or the one of given boxes that holds most of it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.geometry.boxes import areas
from attneval.geometry.components import largest_components
from attneval.geometry.overlap import relevant_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.geometry.enlarging import Taps

ROUNDING = 1e-12
"""Pixels and sums that differ from the largest by this share or less are as large."""


@record
class Boxes:
    """Boxes x1, y1, x2, y2 with continuous edges, in pixels, several of each of n things.

    Attributes:
        box: f8[b, 4].
        offset: i8[n+1], the first box of each.
    """

    box: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    offset: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    def of(self, place: int) -> NDArray[np.float64]:
        """Those of one thing, f8[k, 4]."""
        return self.box[slice(*self.offset[place : place + 2].tolist())]

    @classmethod
    def joined(cls, parts: Sequence[Boxes]) -> Boxes:
        """Those of some things after those of others."""
        count = np.concatenate([np.diff(part.offset) for part in parts])
        return cls(np.concatenate([part.box for part in parts]), offsets_of(count))


def around_components(pixel: NDArray[np.float64], share: float) -> Boxes:
    """Put boxes around the largest connected parts of what reaches a share of the largest pixel.

    Args:
        pixel: f8[m, height, width], enlarged maps.
        share: The share.

    Returns:
        The boxes of each map, several where parts are equally large.
    """
    peak = pixel.max(axis=(1, 2), keepdims=True)
    picture, box = largest_components(pixel >= share * peak - ROUNDING * np.abs(peak))
    return Boxes(box.astype(np.float64), offsets_of(np.bincount(picture, minlength=len(pixel))))


def of_detections(
    cells: NDArray[np.float64], box: NDArray[np.float64], power: float, down: Taps, across: Taps
) -> Boxes:
    """Choose the detected boxes that have the largest sum of enlarged pixels over area^power.

    Args:
        cells: f8[m, rows, columns], maps.
        box: f8[b, 4], the boxes, in pixels; those without an area are none.
        power: Of the area.
        down: The cells that rows of pixels take from.
        across: The cells that columns of pixels take from.

    Returns:
        The boxes of each map, several where they are equally good, and none where there are none.
    """
    box = box[areas(box) > 0]
    if not len(box):
        return Boxes(box, np.zeros(len(cells) + 1, np.int64))
    # Pixels from the one that a box begins in to before the one that it ends in.
    x1, y1, x2, y2 = np.trunc(box).astype(np.int64).T
    tall, wide = down.between(y1, y2, cells.shape[1]), across.between(x1, x2, cells.shape[2])
    score = np.einsum("bh,mhw,bw->mb", tall, cells, wide, optimize=True) / areas(box) ** power
    best = score.max(axis=1, keepdims=True)
    row, chosen = np.nonzero(score >= best - ROUNDING * np.abs(best))
    return Boxes(box[chosen], offsets_of(np.bincount(row, minlength=len(cells))))


def reaching(
    box: NDArray[np.float64], annotated: Boxes, entity: NDArray[np.int64], protocol: Protocol
) -> NDArray[np.bool_]:
    """Mark the boxes whose IoU with those of an entity is enough.

    Args:
        box: f8[k, 4], boxes of maps.
        annotated: The boxes of entities.
        entity: i8[k], the entity that each is held against.
        protocol: What is enough, and how several boxes of an entity count.

    Returns:
        b[k].
    """
    count = np.diff(annotated.offset)[entity]
    reached = relevant_regions(
        annotated.box[ranges(annotated.offset[entity], count)],
        offsets_of(count),
        box,
        np.arange(len(box) + 1),
        np.arange(len(box)),
        overlap="iou",
        boxes=protocol.boxes,
        threshold=protocol.iou,
        extent=protocol.extent,
    )
    return np.asarray(reached.size > 0)
