"""The items of a direction: what attends, and which keys are relevant to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
    relevant = _relevant(captions, overlap=protocol.overlap, boxes=protocol.boxes, threshold=protocol.iou)
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
        pointing = _relevant(captions, overlap="center", boxes=protocol.boxes, threshold=1.0)
    return word_items(
        captions.truth,
        captions.alignment,
        phrases,
        sets={"relevant": relevant, "pointing": pointing},
        region_count=captions.regions.count,
        protocol=protocol,
    )


def _relevant(captions: CaptionBlock, *, overlap: str, boxes: str, threshold: float) -> IndexSets:
    truth, regions = captions.truth, captions.regions
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset))
    return relevant_regions(
        truth.box,
        truth.box_offset,
        regions.box,
        regions.offset,
        image,
        overlap=overlap,
        boxes=boxes,
        threshold=threshold,
    )
