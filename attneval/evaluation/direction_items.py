"""The items of a direction: what attends, and which keys are relevant to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.errors import ProtocolError, first_of
from attneval.evaluation.weight_reader import MEAN
from attneval.geometry.inside import shares_inside
from attneval.geometry.overlap import relevant_regions
from attneval.matching.items import region_items, word_items
from attneval.matching.mismatches import name_of_caption

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

    Raises:
        ProtocolError: The direction has no meaning for these regions.
    """
    relevant = _relevant(captions, protocol, overlap=protocol.overlap, threshold=protocol.iou)
    if direction == "i2t":
        if captions.export.caption_region is not None:
            raise ProtocolError(
                f"{captions.export.path} has regions of its own for each caption, of which words are no keys",
                hint="score direction t2i",
            )
        return {"relevant": relevant}
    pointing = relevant
    if protocol.pointing == "center":
        pointing = _relevant(captions, protocol, overlap="center", threshold=1.0)
    return {"relevant": relevant, "pointing": pointing, "area": _inside(captions, protocol)}


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
        ProtocolError: Rows are undefined, and the protocol refuses them.
    """
    if direction == "i2t":
        keys = captions.keys
        return region_items(
            captions.truth,
            captions.alignment,
            phrases,
            covering=sets["relevant"],
            key_count=np.append(np.diff(keys.offset), 0)[captions.alignment.row],
            key_of_token=keys.number,
        )
    defined = None
    if captions.defined is not None:
        defined = np.asarray(captions.defined.any(axis=0) if channel == MEAN else captions.defined[channel])
    items = word_items(
        captions.truth,
        captions.alignment,
        phrases,
        sets=sets,
        groups=captions.groups,
        key_count=captions.regions.count,
        protocol=protocol,
        defined=defined,
    )
    if protocol.undefined == "error" and items.undefined.any():
        rows = np.flatnonzero(items.undefined)
        names = dict.fromkeys(name_of_caption(captions.truth, int(items.caption[row])) for row in rows.tolist())
        raise ProtocolError(
            f"{captions.export.path}: {len(rows)} items have no mass on the regions (captions {first_of(list(names))})",
            hint="pass --undefined skip to leave them out, or --undefined zero to score them 0",
        )
    return items


@dataclass(frozen=True, eq=False)
class _Shapes:
    """The shapes of each instance of an entity."""

    group: NDArray[np.int64]  # i8[n], the group of regions that it is held against
    size: NDArray[np.int64]  # i8[G, 2], the size of each group's image
    box: NDArray[np.float64]
    box_offset: NDArray[np.int64]
    mask: NDArray[np.uint8]
    mask_at: NDArray[np.int64]
    mask_offset: NDArray[np.int64]

    @classmethod
    def from_captions(cls, captions: CaptionBlock) -> _Shapes:
        truth, groups = captions.truth, captions.groups
        size, group = truth.image_size[groups.image], groups.group_of_instance
        if captions.export.caption_region is None:
            return cls(group, size, truth.box, truth.box_offset, truth.mask, truth.mask_at, truth.mask_offset)
        box, box_offset = _taken(truth.box_offset, groups.entity)
        if not truth.has_masks:
            return cls(group, size, truth.box[box], box_offset, truth.mask, truth.mask_at, truth.mask_offset)
        mask, mask_offset = _taken(truth.mask_offset, groups.entity)
        data, at = _taken(truth.mask_at, mask)
        return cls(group, size, truth.box[box], box_offset, truth.mask[data], at, mask_offset)


def _taken(offset: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The entries of some rows of a ragged column, and where each row's start among them."""
    count = offset[rows + 1] - offset[rows]
    return ranges(offset[rows], count), offsets_of(count)


def _inside(captions: CaptionBlock, protocol: Protocol) -> IndexSets:
    shapes = _Shapes.from_captions(captions)
    if protocol.geometry == "mask":
        from attneval.geometry.mask_overlap import shares_of_masks

        return shares_of_masks(
            shapes.mask,
            shapes.mask_at,
            shapes.mask_offset,
            image=shapes.group,
            image_size=shapes.size,
            region=captions.regions.box,
            region_offset=captions.regions.offset,
        )
    return shares_inside(shapes.box, shapes.box_offset, captions.regions.box, captions.regions.offset, shapes.group)


def _relevant(captions: CaptionBlock, protocol: Protocol, *, overlap: str, threshold: float) -> IndexSets:
    shapes = _Shapes.from_captions(captions)
    if protocol.geometry == "mask":
        # What few need is imported for them alone.
        from attneval.geometry.mask_overlap import regions_on_masks

        return regions_on_masks(
            shapes.mask,
            shapes.mask_at,
            shapes.mask_offset,
            image=shapes.group,
            image_size=shapes.size,
            region=captions.regions.box,
            region_offset=captions.regions.offset,
            overlap=overlap,
            boxes=protocol.boxes,
            threshold=threshold,
        )
    return relevant_regions(
        shapes.box,
        shapes.box_offset,
        captions.regions.box,
        captions.regions.offset,
        shapes.group,
        overlap=overlap,
        boxes=protocol.boxes,
        threshold=threshold,
        extent=protocol.extent,
        border=protocol.border,
    )
