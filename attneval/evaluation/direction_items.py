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
    relevant = _relevant(captions, protocol, overlap=protocol.overlap, threshold=protocol.iou)
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
    pointing = relevant
    if protocol.pointing == "center":
        pointing = _relevant(captions, protocol, overlap="center", threshold=1.0)
    return word_items(
        captions.truth,
        captions.alignment,
        phrases,
        sets={"relevant": relevant, "pointing": pointing, "area": _inside(captions, protocol)},
        region_count=captions.regions.count,
        protocol=protocol,
    )


def _inside(captions: CaptionBlock, protocol: Protocol) -> IndexSets:
    truth, regions = captions.truth, captions.regions
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset))
    if protocol.geometry == "mask":
        from attneval.geometry.mask_overlap import shares_of_masks

        return shares_of_masks(
            truth.mask,
            truth.mask_at,
            truth.mask_offset,
            image=image,
            image_size=truth.image_size,
            region=regions.box,
            region_offset=regions.offset,
        )
    return shares_inside(truth.box, truth.box_offset, regions.box, regions.offset, image)


def _relevant(captions: CaptionBlock, protocol: Protocol, *, overlap: str, threshold: float) -> IndexSets:
    truth, regions = captions.truth, captions.regions
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset))
    if protocol.geometry == "mask":
        # What few need is imported for them alone.
        from attneval.geometry.mask_overlap import regions_on_masks

        return regions_on_masks(
            truth.mask,
            truth.mask_at,
            truth.mask_offset,
            image=image,
            image_size=truth.image_size,
            region=regions.box,
            region_offset=regions.offset,
            overlap=overlap,
            boxes=protocol.boxes,
            threshold=threshold,
        )
    return relevant_regions(
        truth.box,
        truth.box_offset,
        regions.box,
        regions.offset,
        image,
        overlap=overlap,
        boxes=protocol.boxes,
        threshold=threshold,
    )
