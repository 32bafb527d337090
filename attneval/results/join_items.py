"""Tables of items of different images, made one."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.bits import MOST_NAMES, bits_type, moved_bits
from attneval.arrays.ragged import offsets_of
from attneval.arrays.strings import Strings
from attneval.errors import ResultError
from attneval.results.items import JOINT, TEXTS, ItemTable

if TYPE_CHECKING:
    from collections.abc import Sequence


def join_items(tables: Sequence[ItemTable]) -> ItemTable:
    """Join tables of different images, one after the other.

    Raises:
        ResultError: They have more types of phrases than can be told apart.
    """
    captions = offsets_of([len(table.caption_image) for table in tables])
    images = offsets_of([len(table.image_id) for table in tables])
    boxes = offsets_of([len(table.region_box) for table in tables])
    groups = offsets_of([len(table.region_offset) - 1 for table in tables])
    grouped = any(table.caption_group is not None for table in tables)
    names: list[str] = []
    for table in tables:
        names += [name for name in table.types if name not in names]
    if len(names) > MOST_NAMES:
        raise ResultError(f"the items have {len(names)} phrase types, and at most {MOST_NAMES} can be told apart")
    values: dict[str, Any] = {}
    for field in fields(ItemTable):
        parts = [getattr(table, field.name) for table in tables]
        if field.name == "types":
            values["types"] = Strings.from_texts(names)
        elif field.name == "caption_group":
            shifted = [table.group_of_caption + shift for table, shift in zip(tables, groups, strict=False)]
            values["caption_group"] = np.concatenate(shifted).astype(np.int32) if grouped else None
        elif field.name in TEXTS:
            values[field.name] = Strings.from_texts([text for part in parts for text in part])
        elif field.name in JOINT:
            values[field.name] = None if any(part is None for part in parts) else np.concatenate(parts)
        elif field.name == "region_offset":
            shifted = [part[:-1] + shift for part, shift in zip(parts, boxes[:-1], strict=True)]
            values["region_offset"] = np.concatenate([*shifted, boxes[-1:]])
        else:
            shifts = {"item_caption": captions, "caption_image": images}.get(field.name)
            if shifts is not None:
                parts = [(part + shift).astype(part.dtype) for part, shift in zip(parts, shifts, strict=False)]
            elif field.name == "item_types":
                wide = [part.astype(np.int64) for part in parts]
                moved = [moved_bits(part, list(t.types), names) for part, t in zip(wide, tables, strict=True)]
                parts = [part.astype(bits_type(len(names))) for part in moved]
            values[field.name] = np.concatenate(parts)
    return ItemTable(**values)
