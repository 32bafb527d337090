"""The keys of the maps: region boxes of each image, given or laid out as a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import ranges
from attneval.arrays.records import record
from attneval.geometry.grids import cell_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray


@record
class Regions:
    """The regions of I images.

    Attributes:
        offset: i8[I+1], first region of each image.
        box: f[sum R, 4], x1, y1, x2, y2 in pixels of the original image, continuous edges; or None for a grid.
        grid_shape: i[I, 2], rows and columns of each image's grid, row-major; or None.
        grid_affine: f8[I, 4], (sx, sy, tx, ty): a cell's x edge is `sx * column + tx`, its y edge `sy * row + ty`; or
            None for a grid that covers the whole image.
        member: Where they are described, for messages.
    """

    offset: NDArray[np.int64]
    box: NDArray[np.floating] | None = None
    grid_shape: NDArray[np.integer] | None = None
    grid_affine: NDArray[np.floating] | None = None
    member: str = ""

    @property
    def known(self) -> bool:
        """True if there is any geometry at all."""
        return self.box is not None or self.grid_shape is not None

    def boxes(self, images: NDArray[np.intp], size: NDArray[np.int64]) -> NDArray[np.float64]:
        """The boxes of some images' regions, one image after the other.

        Args:
            images: i[k], rows of images.
            size: i8[k, 2], their widths and heights. A grid's cells are clipped to them, so that a cell of padding
                has no area.

        Returns:
            f8[sum R, 4].
        """
        if self.box is not None:
            start, count = self.offset[images], self.offset[images + 1] - self.offset[images]
            return self.box[ranges(start, count)].astype(np.float64)
        if self.grid_shape is None:
            raise ValueError("these regions have no boxes")
        affine = None if self.grid_affine is None else np.asarray(self.grid_affine, np.float64)[images]
        return cell_boxes(np.asarray(self.grid_shape, np.int64)[images], affine, size)

    def real(self, images: NDArray[np.intp], size: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        """Find the regions of some images, one image after the other, that are more than padding: b[sum R].

        Args:
            images: i[k], rows of images.
            size: i8[k, 2], their widths and heights; without them the cells of a grid all count.
        """
        if self.box is None and (self.grid_shape is None or size is None):
            return np.ones(int((self.offset[images + 1] - self.offset[images]).sum()), np.bool_)
        box = self.boxes(images, np.zeros((len(images), 2), np.int64) if size is None else size)
        return np.asarray((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1]))
