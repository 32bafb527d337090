"""The items of a block of images: what is scored, where its weights are, and against which sets of keys.

In direction t2i an item is an annotated word or phrase, and its keys are the regions of the image. In direction i2t
an item is a region that covers a phrase, and its keys are the tokens of the caption.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.geometry.pixel_sets import PixelSets
    from attneval.matching.phrase_classes import Classes
    from attneval.metrics.enlarged_maps import EnlargedMaps


@record
class Items:
    """m items of a block of images.

    Attributes:
        image: i8[m], row of the item's image, ascending.
        group: i8[m], the group of keys that the item attends to, see `attneval.matching.key_groups`.
        caption: i8[m], row of its caption.
        phrase: i8[m], row of its phrase in the ground truth; -1 in direction i2t.
        word: i8[m], row of its word; -1 where the item is a phrase or a region.
        key_count: i8[m], how many keys it has.
        entry_offset: i8[m+1], first entry of each item in `entry` and `share`; none if the model did not give it.
        entry: i8[k], what is pooled into the item's row: tokens in direction t2i, the region in direction i2t.
        share: i8[k], how often each entry counts in the sum that is pooled.
        divisor: i8[m], what that sum is divided by.
        sets: IndexSets of keys by what they stand for: `relevant`; `pointing`, where the protocol tells them apart;
            `area`, every region that shares an area with the shapes, with the share of it that lies inside.
        target: i8[m], the set of each item.
        other_offset: i8[m+1], first entry of each item in `other`.
        other: i8[o], for each item the sets of the other entities it could be about.
        types: i8[m], the types of its phrase as bits.
        area: i8[m], index into `attneval.config.breakdowns.AREAS`, or -1.
        undefined: b[m], the items whose rows all are undefined, so that there is nothing to score.
        length: i8[m], index into `attneval.config.breakdowns.LENGTHS`, or -1.
        classes: Further classes of items, by the name of the breakdown; none in direction i2t.
        pixels: The pixels of each set, where the pointing game is played on enlarged maps.
        maps: What enlarges maps and knows the shapes of each set, where the protocol asks for it.
    """

    image: NDArray[np.int64]
    group: NDArray[np.int64]
    caption: NDArray[np.int64]
    phrase: NDArray[np.int64]
    word: NDArray[np.int64]
    key_count: NDArray[np.int64]
    entry_offset: NDArray[np.int64]
    entry: NDArray[np.int64]
    share: NDArray[np.int64]
    divisor: NDArray[np.int64]
    sets: dict[str, IndexSets]
    target: NDArray[np.int64]
    other_offset: NDArray[np.int64]
    other: NDArray[np.int64]
    types: NDArray[np.int64]
    area: NDArray[np.int64]
    length: NDArray[np.int64]
    undefined: NDArray[np.bool_]
    pixels: PixelSets | None = None
    maps: EnlargedMaps | None = None
    classes: dict[str, Classes] = field(default_factory=dict)

    @property
    def at_hand(self) -> frozenset[str]:
        """The things that columns may need and these items have, see `attneval.metrics.declaration.Column.needs`."""
        return frozenset() if self.maps is None else self.maps.at_hand

    @property
    def given(self) -> NDArray[np.bool_]:
        """b[m], the items for which the model gave weights."""
        return np.diff(self.entry_offset) > 0

    @property
    def ranked(self) -> NDArray[np.bool_]:
        """b[m], the items that were given weights of at least one key, so that there is something to rank."""
        return self.given & (self.key_count > 0)
