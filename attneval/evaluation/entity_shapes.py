"""The annotated shapes of a block, boxes or masks, held against the regions of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.arrays.ragged import offsets_of, ranges
from attneval.arrays.records import record
from attneval.geometry.inside import shares_inside
from attneval.geometry.overlap import relevant_regions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.geometry.mask_overlap import MaskOverlap


@record
class BoxShapes:
    """The boxes of each instance of an entity.

    Attributes:
        captions: The captions, whose groups and regions they are held against.
        protocol: How several boxes count, and what is measured.
    """

    captions: CaptionBlock
    protocol: Protocol

    def relevant(self, overlap: str, threshold: float) -> IndexSets:
        """The regions whose overlap with each instance reaches a threshold."""
        return relevant_regions(
            *self._columns(),
            overlap=overlap,
            boxes=self.protocol.boxes,
            threshold=threshold,
            extent=self.protocol.extent,
            border=self.protocol.border,
        )

    def inside(self) -> IndexSets:
        """The regions that share an area with each instance, with the share of it."""
        return shares_inside(*self._columns())

    def _columns(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        truth, groups, regions = self.captions.truth, self.captions.groups, self.captions.regions
        box, offset = truth.box, truth.box_offset
        if self.captions.export.caption_region is not None:
            rows, offset = _taken(offset, groups.entity)
            box = box[rows]
        return box, offset, regions.box, regions.offset, groups.group_of_instance


class MaskShapes:
    """The masks of each instance of an entity, measured once for each rule.

    Args:
        captions: The captions, whose groups and regions they are held against.
        protocol: How several masks count.
    """

    def __init__(self, captions: CaptionBlock, protocol: Protocol) -> None:
        self._captions, self._boxes = captions, protocol.boxes
        self._known: dict[str, MaskOverlap] = {}

    def relevant(self, overlap: str, threshold: float) -> IndexSets:
        """The regions whose overlap with each instance reaches a threshold."""
        return self._overlap(overlap).reaching(threshold)

    def inside(self) -> IndexSets:
        """The regions that share an area with each instance, with the share of it."""
        measured = next(iter(self._known), "iof")
        return self._overlap(measured).inside()

    def _overlap(self, overlap: str) -> MaskOverlap:
        # What few need is imported for them alone.
        from attneval.geometry.mask_overlap import overlap_with_masks

        if overlap not in self._known:
            truth, groups, regions = self._captions.truth, self._captions.groups, self._captions.regions
            mask, mask_at, mask_offset = truth.mask, truth.mask_at, truth.mask_offset
            if self._captions.export.caption_region is not None:
                rows, mask_offset = _taken(mask_offset, groups.entity)
                data, mask_at = _taken(mask_at, rows)
                mask = mask[data]
            self._known[overlap] = overlap_with_masks(
                mask,
                mask_at,
                mask_offset,
                image=groups.group_of_instance,
                image_size=truth.image_size[groups.image],
                region=regions.box,
                region_offset=regions.offset,
                overlap=overlap,
                boxes=self._boxes,
            )
        return self._known[overlap]


def entity_shapes(captions: CaptionBlock, protocol: Protocol) -> BoxShapes | MaskShapes:
    """The shapes that a protocol's `geometry` names."""
    return MaskShapes(captions, protocol) if protocol.geometry == "mask" else BoxShapes(captions, protocol)


def _taken(offset: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The entries of some rows of a ragged column, and where each row's start among them."""
    count = offset[rows + 1] - offset[rows]
    return ranges(offset[rows], count), offsets_of(count)
