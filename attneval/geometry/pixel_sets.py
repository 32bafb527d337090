"""The pixels of entities, and how many of the largest pixels of enlarged maps are theirs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.geometry.boxes import disjoint, enclosing
from attneval.geometry.fast_top_pixels import top_boxes
from attneval.geometry.pixel_boxes import PixelBoxes
from attneval.geometry.top_pixels import tied_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.geometry.strips import Strips
    from attneval.geometry.top_pixels import GridOnImage


@record
class PixelSets:
    """The pixels of E entities.

    Attributes:
        grids: The grids of G groups of keys.
        group: i8[E], the group that each entity is held against.
        box: i8[B, 4], pixels from x1 and y1 to before x2 and y2, no pixel twice for one entity.
        offset: i8[E+1], first box of each entity; entities without a mask have none.
    """

    grids: GridOnImage
    group: NDArray[np.int64]
    box: NDArray[np.int64]
    offset: NDArray[np.int64]

    @classmethod
    def from_boxes(
        cls,
        grids: GridOnImage,
        group: NDArray[np.int64],
        box: NDArray[np.float64],
        offset: NDArray[np.int64],
        *,
        boxes: str = "any",
        extent: str = "edge",
        border: str = "inside",
    ) -> PixelSets:
        """Find the pixels whose middles lie in the boxes of each entity.

        Args:
            grids: The grids.
            group: i8[E], each entity's group.
            box: f8[B, 4], pixels, x1, y1, x2, y2 with continuous edges.
            offset: i8[E+1], first box of each entity.
            boxes: `merged` for their enclosing box.
            extent: `pixel`: edges are numbers of pixels, counted from 0, those of both ends included.
            border: `outside`: a middle on an edge is not inside.
        """
        if boxes == "merged":
            box, offset = enclosing(box, offset), np.arange(len(offset))
        if extent == "pixel":
            box = box + np.array([0, 0, 1, 1])
        low, high = box[:, :2] - 0.5, box[:, 2:] - 0.5
        if border == "outside":
            pixels = np.concatenate((np.floor(low) + 1, np.ceil(high)), axis=1)
        else:
            pixels = np.concatenate((np.ceil(low), np.floor(high) + 1), axis=1)
        apart, offset = disjoint(pixels, offset)
        return cls(grids, group, apart.astype(np.int64), offset)

    @classmethod
    def from_strips(
        cls, grids: GridOnImage, group: NDArray[np.int64], strips: Strips, *, boxes: str = "any"
    ) -> PixelSets:
        """Find the pixels of the masks of each entity.

        Args:
            grids: The grids.
            group: i8[E], each entity's group.
            strips: The masks of each entity, cut into strips.
            boxes: `merged` for the box that encloses them.
        """
        box = np.stack((strips.column, strips.top, strips.column + 1, strips.bottom), axis=1)
        offset = strips.offset
        if boxes == "merged":
            having = np.diff(offset) > 0
            around = enclosing(box.astype(np.float64), np.append(offset[:-1][having], offset[-1]))
            box, offset = around.astype(np.int64), offsets_of(having)
        return cls(grids, group, box, offset)

    def top_shares(
        self, weight: NDArray[np.float64], row: NDArray[np.int64], entity: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Compute the share of a map's largest pixels that are an entity's, which is 0 or 1 unless several are largest.

        Args:
            weight: f8[m, n], maps as rows of keys.
            row: i8[p], the map of each pair.
            entity: i8[p], the entity of each pair, of a group with n keys.

        Returns:
            f8[p].
        """
        # Pairs of one map mostly stand together.
        group = self.group[entity]
        new = (np.diff(row, prepend=-1) != 0) | (np.diff(group, prepend=-1) != 0)
        top, known = top_boxes(weight, row[new], self.grids.of(group[new]))
        map_of_pair = np.cumsum(new) - 1
        share, few = np.zeros(len(row)), known[map_of_pair]
        chosen = np.flatnonzero(few)
        share[chosen] = top.shares(map_of_pair[chosen], PixelBoxes(self.box, self.offset), entity[chosen])
        other = np.flatnonzero(~few)
        other = other[np.argsort(group[other], kind="stable")]
        for pairs in np.split(other, np.flatnonzero(np.diff(group[other])) + 1) if len(other) else ():
            share[pairs] = self._of_group(int(group[pairs[0]]), weight, row[pairs], entity[pairs])
        return share

    def _of_group(
        self, group: int, weight: NDArray[np.float64], row: NDArray[np.int64], entity: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        rows, columns = self.grids.axes(group)
        # The maps of an image stand together, and so do its entities.
        first_map, first = row.min(), entity.min()
        maps, offset = weight[first_map : row.max() + 1], self.offset[first : entity.max() + 2]
        tied = tied_parts(maps.reshape(-1, *self.grids.shape[group].tolist()), rows, columns)
        tied = tied.reshape(len(maps), -1).astype(np.float64)
        x1, y1, x2, y2 = self.box[offset[0] : offset[-1]].T
        down, across = (part.astype(np.float64) for part in (rows.inside(y1, y2), columns.inside(x1, x2)))
        # A product for each entity, since masks have hundreds of boxes.
        bound = (offset - offset[0]).tolist()
        inside = [down[a:b].T @ across[a:b] for a, b in itertools.pairwise(bound)]
        hit = tied @ np.reshape(inside, (len(inside), -1)).T
        largest = tied @ np.multiply.outer(rows.size, columns.size).ravel().astype(np.float64)
        return np.asarray(hit[row - first_map, entity - first] / largest[row - first_map], np.float64)
