"""The contents of one picture, and the brightness of each of its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.report.overlay.outline import outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.report.overlay.outline import Segment


def sides(box: list[float]) -> list[Segment]:
    """The sides of a box."""
    x1, y1, x2, y2 = box
    return [(x1, y1, x2, y1), (x1, y2, x2, y2), (x1, y1, x1, y2), (x2, y1, x2, y2)]


Span = tuple[int, int]
"""Half-open code points into a caption."""


@record
class Scene:
    """One item over its image.

    Attributes:
        image_id: The image.
        size: Its width and height in pixels.
        box: f[n, 4], the regions: x1, y1, x2, y2 in pixels.
        weight: f8[n], their weights; None where they are not known.
        attended: b[n].
        relevant: b[n].
        shapes: f8[b, 4], the annotated boxes; None where they are not known.
        mask: b[h, w], what annotated masks cover, in cells of the whole image; None where boxes are what is scored.
        caption: Its text.
        caption_id: ``36979#2``.
        word: The item in the caption.
        phrase: The phrase that it is part of; None where it is not known.
        other: What was attended in its place; None if nothing was.
        kind: The kind of error.
        scores: Precision, recall and F1.
    """

    image_id: str
    size: tuple[int, int]
    box: NDArray[np.floating]
    weight: NDArray[np.float64] | None
    attended: NDArray[np.bool_]
    relevant: NDArray[np.bool_]
    shapes: NDArray[np.float64] | None
    mask: NDArray[np.bool_] | None
    caption: str
    caption_id: str
    word: Span
    phrase: Span | None
    other: Span | None
    kind: str
    scores: tuple[float, float, float]

    @property
    def annotated(self) -> list[Segment]:
        """The lines around what was annotated: the outline of masks, or the sides of boxes."""
        if self.mask is not None:
            height, width = self.mask.shape
            row, column = np.nonzero(self.mask)
            scale = np.array([self.size[0] / width, self.size[1] / height] * 2)
            return outline(np.stack((column, row, column + 1, row + 1), axis=1) * scale)
        boxes = [] if self.shapes is None else self.shapes.tolist()
        return [side for box in boxes for side in sides(box)]

    @property
    def text(self) -> str:
        """The item's word or phrase."""
        return self.caption[slice(*self.word)]


def brightness(scene: Scene, width: int, height: int) -> NDArray[np.float64] | None:
    """The share of the largest weight at each pixel of a picture.

    A pixel has the largest weight of the regions that its centre lies in, and 0 outside all of them: what is shown is
    what was scored, and nothing between.

    Args:
        scene: What is shown.
        width: Of the picture.
        height: Of the picture.

    Returns:
        f8[height, width]; None without weights.
    """
    if scene.weight is None or not len(scene.weight):
        return None
    largest = float(scene.weight.max(initial=0.0))
    field = np.zeros((height, width))
    if largest <= 0:
        return field
    scale = np.array([width / scene.size[0], height / scene.size[1]] * 2)
    # A pixel belongs to a box if its centre does.
    edge = np.ceil(np.asarray(scene.box, np.float64) * scale - 0.5).astype(np.int64)
    edge = np.clip(edge, 0, np.array([width, height] * 2))
    for row in np.argsort(scene.weight, kind="stable").tolist():
        x1, y1, x2, y2 = edge[row].tolist()
        field[y1:y2, x1:x2] = scene.weight[row] / largest
    return field
