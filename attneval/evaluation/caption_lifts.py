"""The lifts of captions: how much better than even attention the items of each attend, for the joint view."""

from __future__ import annotations

import math
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.ragged import offsets_of
from attneval.arrays.records import record
from attneval.matching.alignment import ABSENT
from attneval.metrics.registry import RANKED_BY, metric_named
from attneval.metrics.values import columns_used

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.matching.items import Items
    from attneval.metrics.totals import Table


@record
class CaptionLifts:
    """The mean lifts of C annotated captions of some images, image by image.

    Attributes:
        image: i8[C], the row of the caption's image.
        export_row: i8[C], the caption's row in the export, `ABSENT` if it is not there.
        lift: f8[C], the mean over its scored items; NaN without any.
    """

    image: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    export_row: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    lift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def from_items(
        cls, items: Items, per_item: Table, caption_offset: NDArray[np.int64], export_row: NDArray[np.int64]
    ) -> CaptionLifts:
        """Average the lifts of a block's items by caption.

        Args:
            items: The items.
            per_item: f8[m] by column, what is summed of each.
            caption_offset: i8[I+1], the first annotated caption of each image.
            export_row: i8[C], the row in the export of each annotated caption.
        """
        metric, captions = metric_named(RANKED_BY), len(export_row)
        needed = columns_used(metric, per_item) or set()
        sums = {name: np.bincount(items.caption, per_item[name], captions).astype(np.float64) for name in needed}
        image = np.repeat(np.arange(len(caption_offset) - 1), np.diff(caption_offset))
        return cls(image, export_row, np.asarray(metric.value(sums), np.float64))

    def to_dict(self, place: NDArray[np.int64]) -> dict[str, list[Any]]:
        """Give them as JSON values, where image i is called `place[i]`: i8[I]; null without any item."""
        return {
            "image": place[self.image].tolist(),
            "export_row": self.export_row.tolist(),
            "lift": [None if math.isnan(lift) else lift for lift in self.lift.tolist()],
        }

    @classmethod
    def from_dict(cls, values: dict[str, list[Any]]) -> CaptionLifts:
        """Read them from JSON values."""
        image, row = (np.array(values.get(name, ()), np.int64) for name in ("image", "export_row"))
        return cls(image, row, np.array([math.nan if lift is None else lift for lift in values.get("lift", ())]))

    @classmethod
    def joined(cls, parts: Sequence[CaptionLifts], images: Sequence[int]) -> CaptionLifts:
        """Those of several blocks, each of so many images, one after the other."""
        if not parts:
            return cls()
        first = offsets_of(images)[:-1].tolist()
        return cls(
            np.concatenate([part.image + shift for part, shift in zip(parts, first, strict=True)]),
            np.concatenate([part.export_row for part in parts]),
            np.concatenate([part.lift for part in parts]),
        )


def rows_in_export(position: NDArray[np.int64], captions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find annotated captions in the export.

    Args:
        position: i8[C], the position of each among a block's exported captions, or `ABSENT`.
        captions: i8[k], the rows of these in the export.

    Returns:
        i8[C], rows in the export, or `ABSENT`.
    """
    row = np.full(len(position), ABSENT, np.int64)
    row[position != ABSENT] = captions[position[position != ABSENT]]
    return row
