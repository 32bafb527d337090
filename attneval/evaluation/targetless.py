"""Expressions that are about nothing in their image: no items, but their maps can be looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.records import record
from attneval.evaluation.checked_maps import read_maps
from attneval.evaluation.item_hits import item_chunks
from attneval.evaluation.weight_reader import MEAN, WeightReader
from attneval.groundtruth.columns import NO_TARGET
from attneval.matching.key_groups import KeyGroups
from attneval.matching.phrases import ScoredPhrases
from attneval.matching.word_items import word_items
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.totals import exact_total

if TYPE_CHECKING:
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock


@record
class Targetless:
    """Sums over the words or phrases, as the protocol has them, of expressions without a target.

    Attributes:
        expressions: How many expressions there are.
        rows: How many rows of weights they have.
        entropy: The exact sum of the rows' entropies, each in nats over log n; see `attneval.metrics.totals`.
        largest: The exact sum of the rows' largest weights.
    """

    expressions: int = 0
    rows: int = 0
    entropy: int = 0
    largest: int = 0

    def __add__(self, other: Targetless) -> Targetless:
        return Targetless(
            self.expressions + other.expressions,
            self.rows + other.rows,
            self.entropy + other.entropy,
            self.largest + other.largest,
        )


def look_at_targetless(captions: CaptionBlock, protocol: Protocol) -> Targetless:
    """Measure the maps of a block's expressions without a target, in direction t2i, over the mean of channels.

    Args:
        captions: The captions.
        protocol: What a row is, and how it is pooled and normalised.
    """
    truth = captions.truth
    without = (truth.phrase_flags & NO_TARGET) > 0
    if not without.any() or not captions.export.maps:
        return Targetless()
    # The whole image stands for the target, so that these phrases have words and rows as others do.
    images = len(truth.image_id)
    image_of_caption = np.repeat(np.arange(images), np.diff(truth.caption_offset))
    image = np.repeat(image_of_caption, np.diff(truth.phrase_offset))
    nothing = np.zeros(0, np.int64)
    stand_in = replace(
        truth,
        phrase_entity=np.where(without, image, -1),
        entity_offset=np.arange(images + 1),
        box_offset=np.arange(images + 1),
        box=np.concatenate((np.zeros((images, 2)), truth.image_size), axis=1),
        box_crowd=np.zeros(images, np.bool_),
        mask_offset=np.zeros(images + 1, np.int64),
        mask=np.zeros(0, np.uint8),
        mask_at=np.zeros(1, np.int64),
        mask_area=nothing,
        mask_crowd=np.zeros(0, np.bool_),
    )
    groups = KeyGroups.from_images(stand_in)
    if captions.export.caption_region is not None:
        groups = KeyGroups.from_captions(stand_in, captions.alignment, captions.image)
    shown = replace(captions, truth=stand_in, groups=groups)
    phrases = ScoredPhrases.from_annotations(stand_in, shown.alignment, 0.0)
    empty = IndexSets(np.zeros(len(groups.entity) + 1, np.int64), nothing, np.zeros(0))
    items = word_items(
        stand_in,
        shown.alignment,
        phrases,
        sets={"relevant": empty, "pointing": empty, "area": empty},
        groups=groups,
        key_count=shown.regions.count,
        protocol=protocol,
        defined=None if shown.defined is None else np.asarray(shown.defined.any(axis=0)),
    )
    weights = WeightReader(shown, items, read_maps(shown.export, shown.rows, "t2i"), "t2i", protocol)
    total = Targetless(expressions=int(without.sum()))
    for chunk in item_chunks(items, items.ranked):
        rows = Rows.rank(normalised(weights.read(chunk, MEAN), protocol.normalize), protocol.rule)
        entropy = rows.entropy[np.isfinite(rows.entropy)]
        largest = rows.weight[np.isfinite(rows.entropy)].max(axis=1, initial=0.0)
        total += Targetless(0, len(entropy), exact_total(entropy), exact_total(largest))
    return total
