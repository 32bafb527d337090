"""The items of a direction: what attends, and which keys are relevant to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.geometry.inside import shares_inside
from attneval.geometry.overlap import relevant_regions
from attneval.matching.items import region_items, word_items

if TYPE_CHECKING:
    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.geometry.mask_overlap import MaskOverlap
    from attneval.matching.items import Items
    from attneval.matching.phrases import ScoredPhrases


def direction_items(direction: str, captions: CaptionBlock, phrases: ScoredPhrases, protocol: Protocol) -> Items:
    """Make the items of a block in one direction.

    Args:
        direction: `t2i`: words or phrases, whose keys are regions; `i2t`: regions, whose keys are tokens.
        captions: The captions.
        phrases: The annotated words.
        protocol: What is relevant, and what one item is.
    """
    shapes = _Masks(captions, protocol) if protocol.geometry == "mask" else _Boxes(captions, protocol)
    relevant = shapes.relevant(protocol.overlap, protocol.iou)
    if direction == "i2t":
        keys = captions.keys
        return region_items(
            captions.truth,
            captions.alignment,
            phrases,
            covering=relevant,
            key_count=np.append(np.diff(keys.offset), 0)[captions.alignment.row],
            key_of_token=keys.number,
        )
    pointing = shapes.relevant("center", 1.0) if protocol.pointing == "center" else relevant
    return word_items(
        captions.truth,
        captions.alignment,
        phrases,
        sets={"relevant": relevant, "pointing": pointing, "area": shapes.inside()},
        region_count=captions.regions.count,
        protocol=protocol,
    )


class _Boxes:
    """The boxes of a block's entities, held against the regions of their images."""

    def __init__(self, captions: CaptionBlock, protocol: Protocol) -> None:
        self._boxes, truth, regions = protocol.boxes, captions.truth, captions.regions
        image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset))
        self._columns = truth.box, truth.box_offset, regions.box, regions.offset, image

    def relevant(self, overlap: str, threshold: float) -> IndexSets:
        """The regions whose overlap with each entity reaches a threshold."""
        return relevant_regions(*self._columns, overlap=overlap, boxes=self._boxes, threshold=threshold)

    def inside(self) -> IndexSets:
        """The regions that share an area with each entity, with the share of it."""
        return shares_inside(*self._columns)


class _Masks:
    """The masks of a block's entities, held against the regions of their images."""

    def __init__(self, captions: CaptionBlock, protocol: Protocol) -> None:
        self._truth, self._regions, self._boxes = captions.truth, captions.regions, protocol.boxes
        self._known: dict[str, MaskOverlap] = {}

    def _overlap(self, overlap: str) -> MaskOverlap:
        # What few need is imported for them alone.
        from attneval.geometry.mask_overlap import overlap_with_masks

        if overlap not in self._known:
            truth = self._truth
            self._known[overlap] = overlap_with_masks(
                truth.mask,
                truth.mask_at,
                truth.mask_offset,
                image=np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset)),
                image_size=truth.image_size,
                region=self._regions.box,
                region_offset=self._regions.offset,
                overlap=overlap,
                boxes=self._boxes,
            )
        return self._known[overlap]

    def relevant(self, overlap: str, threshold: float) -> IndexSets:
        """The regions whose overlap with each entity reaches a threshold."""
        return self._overlap(overlap).reaching(threshold)

    def inside(self) -> IndexSets:
        """The regions that share an area with each entity, with the share of it."""
        measured = next(iter(self._known), "iof")
        return self._overlap(measured).inside()
