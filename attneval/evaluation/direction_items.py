"""The items of a direction: what attends, and which keys are relevant to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import ProtocolError, first_of
from attneval.evaluation.entity_shapes import entity_shapes
from attneval.evaluation.weight_reader import MEAN
from attneval.matching.mismatches import name_of_caption
from attneval.matching.region_items import region_items
from attneval.matching.word_items import word_items

if TYPE_CHECKING:
    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.matching.items import Items
    from attneval.matching.phrases import ScoredPhrases


def direction_sets(direction: str, captions: CaptionBlock, protocol: Protocol) -> dict[str, IndexSets]:
    """Find the regions that matter to each instance of an entity, by what they stand for.

    Args:
        direction: See `direction_items`.
        captions: The captions.
        protocol: What is relevant.
    """
    shapes = entity_shapes(captions, protocol)
    relevant = shapes.relevant(protocol.overlap, protocol.iou)
    if direction == "i2t":
        return {"relevant": relevant}
    pointing = shapes.relevant("center", 1.0) if protocol.pointing == "center" else relevant
    return {"relevant": relevant, "pointing": pointing, "area": shapes.inside()}


def direction_items(
    direction: str,
    captions: CaptionBlock,
    phrases: ScoredPhrases,
    sets: dict[str, IndexSets],
    protocol: Protocol,
    *,
    channel: int = MEAN,
) -> Items:
    """Make the items of a block in one direction.

    Args:
        direction: `t2i`: words or phrases, whose keys are regions; `i2t`: regions, whose keys are tokens.
        captions: The captions.
        phrases: The annotated words.
        sets: See `direction_sets`.
        protocol: What one item is.
        channel: The channel whose undefined rows are left out, or `MEAN`.

    Raises:
        ProtocolError: Rows are undefined, and the protocol refuses them; or it enlarges maps, and there are no grids.
    """
    if direction == "i2t":
        keys = captions.keys
        return region_items(
            captions.truth,
            captions.alignment,
            phrases,
            covering=sets["relevant"],
            groups=captions.groups,
            key_count=np.append(np.diff(keys.offset), 0)[captions.alignment.row],
            key_of_token=keys.number,
        )
    defined = None
    if captions.defined is not None:
        chosen = captions.export.headline_channels if channel == MEAN else [channel]
        defined = np.asarray(captions.defined[chosen].any(axis=0))
    pixels = maps = None
    if protocol.pointing == "upsampled":
        # What few need is imported for them alone.
        from attneval.evaluation.entity_pixels import entity_pixels

        pixels = entity_pixels(captions, protocol, "pointing=upsampled")
    if protocol.enlarge != "none":
        from attneval.evaluation.entity_pixels import enlarged_maps

        maps = enlarged_maps(captions, protocol)
    items = word_items(
        captions.truth,
        captions.alignment,
        phrases,
        sets=sets,
        groups=captions.groups,
        key_count=captions.regions.count,
        protocol=protocol,
        defined=defined,
        pixels=pixels,
        maps=maps,
    )
    if protocol.undefined == "error" and items.undefined.any():
        rows = np.flatnonzero(items.undefined)
        names = dict.fromkeys(name_of_caption(captions.truth, int(items.caption[row])) for row in rows.tolist())
        raise ProtocolError(
            f"{captions.export.path}: {len(rows)} items have no mass on the regions (captions {first_of(list(names))})",
            hint="pass --undefined skip to leave them out, or --undefined zero to score them 0",
        )
    return items
