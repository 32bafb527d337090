"""Annotated images that an export lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.evaluation.caption_lifts import CaptionLifts
from attneval.evaluation.constant_attention import constant_attention
from attneval.evaluation.entity_pixels import maps_of_absent
from attneval.evaluation.read_annotations import as_scored
from attneval.evaluation.read_regions import BlockRegions
from attneval.evaluation.score_block import BlockSums
from attneval.evaluation.sum_items import sum_items
from attneval.evaluation.weight_reader import NoWeights, channels_to_score
from attneval.matching.alignment import ABSENT, Alignment
from attneval.matching.key_groups import KeyGroups
from attneval.matching.mismatches import Mismatches
from attneval.matching.phrases import ScoredPhrases
from attneval.matching.word_items import word_items
from attneval.matching.word_parts import cut_words
from attneval.matching.words import Words
from attneval.metrics.heat_maps import FUNCTION, FUNCTION_N

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.config.protocol import Protocol
    from attneval.evaluation.sum_items import Statistics
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth.columns import Reader
    from attneval.metrics.totals import Table


def score_absent(
    image_id: Sequence[str],
    export: AttentionExport,
    annotations: Reader,
    protocol: Protocol,
    *,
    keep_items: bool = False,
    channel_metrics: Sequence[str] = (),
) -> BlockSums:
    """Score annotated images that an export lacks: every item of theirs is there and scores 0, in all channels.

    Which items regions could have reached is unknown, so all of them count.
    """
    protocol = replace(protocol, missing="zero", unreachable="zero")
    truth = as_scored(annotations.read(image_id), protocol, None)
    words = Words.from_texts(truth.text)
    nothing = np.zeros(0, np.int64)
    row = np.full(len(truth.text), ABSENT, np.int64)
    parts = cut_words(truth, words)
    words = words.with_parts(parts.span)
    alignment = Alignment(words, row, np.zeros(len(words.span) + 1, np.int64), nothing, [], [], parts)
    phrases = ScoredPhrases.from_annotations(truth, alignment, protocol.min_area)
    sets = IndexSets(np.zeros(len(truth.box_offset), np.int64), nothing, np.zeros(0))
    statistics: dict[tuple[int, str], Statistics] = {}
    by_channel: dict[str, Table] = {}
    table, lifts = None, CaptionLifts()
    for direction in protocol.directions:
        items = word_items(
            truth,
            alignment,
            # In direction i2t the items are regions, of which an absent image has none.
            phrases if direction == "t2i" else phrases.none(),
            sets={"relevant": sets, "pointing": sets, "area": sets},
            groups=KeyGroups.from_images(truth),
            key_count=np.zeros(len(image_id), np.int64),
            protocol=protocol,
            maps=maps_of_absent(truth, protocol) if protocol.enlarge != "none" and direction == "t2i" else None,
        )
        # Of no regions none is nearest the centre, and the floor of the centre is 0.
        center = IndexSets(np.zeros(len(image_id) + 1, np.int64), nothing) if direction == "t2i" else None
        zeros = sum_items(
            items,
            NoWeights(),
            protocol,
            images=len(image_id),
            types=truth.types,
            constant=constant_attention(items, protocol, center),
            keep_columns=direction == protocol.directions[0],
        )
        if protocol.function_words != "none" and direction == "t2i":
            zeros.per_image.update({name: np.zeros(len(image_id)) for name in (FUNCTION, FUNCTION_N)})
        statistics |= {(channel, direction): zeros for channel in channels_to_score(export)}
        if direction == protocol.directions[0]:
            lifts = CaptionLifts.from_items(items, zeros.per_item, truth.caption_offset, row)
            # Numbers of items need not travel between processes.
            statistics |= {(channel, direction): replace(zeros, per_item={}) for channel in channels_to_score(export)}
        if channel_metrics:
            from attneval.evaluation.sum_channels import sum_absent

            by_channel[direction] = sum_absent(channel_metrics, zeros.per_image, channels=len(export.channel))
        if keep_items and direction == "t2i":
            from attneval.evaluation.examine_items import tabulate_items

            regions = BlockRegions.none(len(image_id))
            table = tabulate_items(truth, alignment, phrases, items, NoWeights(), protocol=protocol, regions=regions)
    counts = {"images": len(image_id), "captions": 0, "phrases": len(phrases.phrase), "words": len(phrases.word)}
    nobody = Mismatches()
    return BlockSums(
        truth.image_id, truth.digests, statistics, counts, nobody, table, by_channel=by_channel, lifts=lifts
    )
