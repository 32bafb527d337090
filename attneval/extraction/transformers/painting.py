"""Images with some of their cells painted over in the processor's mean colour, which a model sees as nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.records import record
from attneval.extraction.transformers.regions import edges

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from attneval.extraction.transformers.regions import Regions

GREY = (0.5, 0.5, 0.5)
"""The colour where a processor has no mean."""
WHITE = 255


@record
class Canvas:
    """An image whose cells can be painted over.

    Attributes:
        pixels: u1[height, width, 3].
        cells: i8[R, 4], x1 y1 x2 y2 of the cells in whole pixels of the image; neighbours share an edge.
        colour: u1[3].
    """

    pixels: NDArray[np.uint8]
    cells: NDArray[np.int64]
    colour: NDArray[np.uint8]

    @classmethod
    def from_image(cls, image: Image, regions: Regions, processor: Any) -> Canvas:
        """Take an image, its cells and the colour that a processor makes zeros of."""
        limit = np.array([*image.size, *image.size], np.float64)
        cells = np.rint(np.clip(edges(regions), 0, limit)).astype(np.int64)
        return cls(np.array(image.convert("RGB")), cells, mean_colour(processor))

    def without(self, removed: NDArray[np.bool_]) -> Image:
        """Paint over the cells that are marked in b[R]."""
        from PIL import Image as Images

        pixels = self.pixels.copy()
        for x1, y1, x2, y2 in self.cells[removed].tolist():
            pixels[y1:y2, x1:x2] = self.colour
        return Images.fromarray(pixels)


def mean_colour(processor: Any) -> NDArray[np.uint8]:
    """Find the mean colour u1[3] that an image processor takes off, grey where it takes none off."""
    settings = getattr(processor, "image_processor", processor)
    mean = getattr(settings, "image_mean", None)
    if mean is None or getattr(settings, "do_normalize", True) is False:
        mean = GREY
    colour = np.clip(np.rint(np.broadcast_to(np.asarray(mean, np.float64), 3) * WHITE), 0, WHITE)
    return np.asarray(colour, np.uint8)
