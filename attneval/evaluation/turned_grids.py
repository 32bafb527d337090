"""Grids whose cells are read in another order, to see whether they fit annotations better so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_rows, offsets_of
from attneval.arrays.records import record
from attneval.export.read.regions import Regions
from attneval.geometry.grids import orientations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport


@record
class TurnedRegions(Regions):
    """The cells of grids whose weights are stored in another order than row by row.

    Attributes:
        turn: The name of the order, see `orientations`.
    """

    turn: str = ""

    def boxes(self, images: NDArray[np.intp], size: NDArray[np.int64]) -> NDArray[np.float64]:
        """The boxes f8[sum R, 4] of some images' cells, in the order in which their weights stand; see `Regions`."""
        box = super().boxes(images, size)
        if self.grid_shape is None:
            raise ValueError("these regions are no cells of grids")
        shape = np.asarray(self.grid_shape, np.int64)[images]
        start = offsets_of(shape.prod(axis=1))[:-1]
        turned = np.empty_like(box)
        for rows, columns in distinct_rows(shape).tolist():
            first = start[(shape == (rows, columns)).all(axis=1)][:, None]
            turned[first + orientations(rows, columns)[self.turn]] = box[first + np.arange(rows * columns)]
        return turned


def turned(export: AttentionExport, turn: str) -> AttentionExport:
    """The export as it would be if its cells were stored in another order.

    Args:
        export: An export with grids.
        turn: The name of the order, see `orientations`.
    """
    regions = export.regions
    given = (regions.offset, regions.box, regions.grid_shape, regions.grid_affine, regions.member)
    return replace(export, regions=TurnedRegions(*given, turn=turn))
