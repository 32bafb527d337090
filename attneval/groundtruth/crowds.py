"""Shapes around groups of things, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges

if TYPE_CHECKING:
    from attneval.groundtruth.columns import GroundTruth


def without_crowds(truth: GroundTruth, crowd: str) -> GroundTruth:
    """Apply a rule for shapes around groups of things.

    Args:
        truth: Annotations.
        crowd: `include`: they count as any shape; `drop`: they go, and phrases with no other shape have none;
            `ignore`: phrases of an entity that has one have none.
    """
    if crowd == "include" or not (truth.box_crowd.any() or truth.mask_crowd.any()):
        return truth
    entities = len(truth.box_offset) - 1
    box_owner = np.repeat(np.arange(entities), np.diff(truth.box_offset))
    mask_owner = np.repeat(np.arange(entities), np.diff(truth.mask_offset))
    drop_box, drop_mask = truth.box_crowd, truth.mask_crowd
    if crowd == "ignore":
        touched = np.zeros(entities, np.bool_)
        touched[box_owner[drop_box]] = touched[mask_owner[drop_mask]] = True
        drop_box, drop_mask = touched[box_owner], touched[mask_owner]
    boxes, masks = np.flatnonzero(~drop_box), np.flatnonzero(~drop_mask)
    box_count = np.bincount(box_owner[boxes], minlength=entities)
    mask_count = np.bincount(mask_owner[masks], minlength=entities)
    kept = box_count > 0
    row = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)
    mask_bytes = np.diff(truth.mask_at)[masks]
    return replace(
        truth,
        phrase_entity=row[truth.phrase_entity],
        entity_offset=offsets_of(kept)[truth.entity_offset],
        box_offset=offsets_of(box_count[kept]),
        box=truth.box[boxes],
        box_crowd=truth.box_crowd[boxes],
        mask_offset=offsets_of(mask_count[kept]),
        mask=truth.mask[ranges(truth.mask_at[masks], mask_bytes)],
        mask_at=offsets_of(mask_bytes),
        mask_area=truth.mask_area[masks],
        mask_crowd=truth.mask_crowd[masks],
    )
