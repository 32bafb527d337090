"""The recipe of a block: some images, from their columns to sums."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from attneval.arrays.records import record
from attneval.evaluation.caption_block import read_captions
from attneval.evaluation.caption_lifts import CaptionLifts, rows_in_export
from attneval.evaluation.checked_maps import read_maps
from attneval.evaluation.constant_attention import constant_attention
from attneval.evaluation.count_block import count_block
from attneval.evaluation.direction_items import direction_items, direction_sets
from attneval.evaluation.read_regions import center_regions, sizes_of_images
from attneval.evaluation.region_prints import regions_of_images
from attneval.evaluation.sum_items import sum_items
from attneval.evaluation.targetless import Targetless, look_at_targetless
from attneval.evaluation.weight_reader import MEAN, WeightReader, channels_to_score
from attneval.matching.mismatches import Mismatches, find_mismatches
from attneval.matching.phrases import ScoredPhrases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attneval.config.protocol import Protocol
    from attneval.evaluation.plan_blocks import Block
    from attneval.evaluation.sum_items import Statistics
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import GroundTruth
    from attneval.groundtruth.columns import Reader
    from attneval.metrics.totals import Table
    from attneval.results.items import ItemTable


@record
class BlockSums:
    """The sums of a block, and what is said of it.

    Attributes:
        image_id: Its images.
        digests: Of their annotation files.
        statistics: Their sums, by channel and direction.
        counts: How many images, captions, phrases, ... there were.
        mismatches: What could not be aligned.
        items: Its items one by one, if asked for.
        truth: Its annotations, if an index of them is being made.
        regions: The fingerprint of each image's regions, by its id.
        targetless: What its expressions without a target have.
        by_channel: The sums of every channel alone, see `sum_channels`, by direction; empty unless they were asked for.
        sizes: Widths and heights of images whose size the annotations say and the export does not, by id.
        lifts: The lifts of its annotated captions.
    """

    image_id: list[str]
    digests: dict[str, bytes]
    statistics: dict[tuple[int, str], Statistics]
    counts: dict[str, int]
    mismatches: Mismatches
    items: ItemTable | None = None
    truth: GroundTruth | None = None
    regions: dict[str, str] = field(default_factory=dict)
    targetless: Targetless = field(default_factory=Targetless)
    by_channel: dict[str, Table] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    lifts: CaptionLifts = field(default_factory=CaptionLifts)


def score_block(
    block: Block,
    export: AttentionExport,
    annotations: Reader,
    protocol: Protocol,
    *,
    keep_items: bool = False,
    keep_truth: bool = False,
    channel_metrics: Sequence[str] = (),
    keep_columns: bool = False,
) -> BlockSums:
    """Score some images.

    Args:
        block: The images.
        export: The export.
        annotations: Where their annotations are read from.
        protocol: How they are scored.
        keep_items: Whether to look at the items of direction t2i one by one.
        keep_truth: Whether the annotations are wanted back, for an index.
        channel_metrics: The metrics whose sums of every channel alone are wanted.
        keep_columns: Whether the numbers of each item are wanted beside their sums.

    Raises:
        ExportError: Weights, boxes or spans of the block break the format.
        GroundTruthError: Annotations cannot be read.
    """
    captions = read_captions(block, export, annotations, protocol)
    truth = captions.truth
    phrases = ScoredPhrases.from_annotations(truth, captions.alignment, protocol.min_area)
    center = center_regions(captions.regions, truth.image_size[captions.groups.image])
    statistics, by_channel, table = {}, {}, None
    lifts, headline = CaptionLifts(), (MEAN, protocol.directions[0])
    for direction in protocol.directions:
        sets, maps = direction_sets(direction, captions, protocol), read_maps(export, block.captions, direction)
        items = direction_items(direction, captions, phrases, sets, protocol)
        middle = center if direction == "t2i" else None
        constant = constant_attention(items, protocol, middle)
        for channel in channels_to_score(export):
            if captions.defined is not None:
                items = direction_items(direction, captions, phrases, sets, protocol, channel=channel)
                constant = constant_attention(items, protocol, middle)
            weights = WeightReader(captions, items, maps, direction, protocol)
            statistics[channel, direction] = sum_items(
                items,
                weights,
                protocol,
                channel=channel,
                images=len(block.images),
                types=truth.types,
                constant=constant,
                keep_columns=keep_columns or (channel, direction) == headline,
            )
            if protocol.function_words != "none" and direction == "t2i":
                from attneval.evaluation.sum_function_words import sum_function_words

                beside = sum_function_words(captions, items, maps, protocol, channel=channel)
                statistics[channel, direction].per_image.update(beside)
            if (channel, direction) == headline:
                rows = rows_in_export(captions.alignment.row, block.captions)
                made = statistics[headline]
                lifts = CaptionLifts.from_items(items, made.per_item, truth.caption_offset, rows)
                # Numbers of items need not travel between processes.
                statistics[headline] = made if keep_columns else replace(made, per_item={})
        if channel_metrics:
            # What few need is imported for them alone.
            from attneval.evaluation.sum_channels import sum_channels

            by_channel[direction] = sum_channels(
                channel_metrics, captions, phrases, sets, maps, direction=direction, protocol=protocol
            )
        if keep_items and direction == "t2i":
            from attneval.evaluation.examine_items import examine_items

            items = direction_items(direction, captions, phrases, sets, protocol)
            weights = WeightReader(captions, items, maps, direction, protocol)
            table = examine_items(captions, phrases, items, weights, protocol)
    return BlockSums(
        truth.image_id,
        truth.digests,
        statistics,
        count_block(captions, phrases),
        find_mismatches(
            export,
            block.captions,
            tokens=captions.tokens,
            truth=truth,
            alignment=captions.alignment,
            phrases=phrases,
        ),
        table,
        captions.as_read if keep_truth else None,
        regions_of_images(captions),
        look_at_targetless(captions, protocol),
        by_channel,
        {} if export.image_size is not None else sizes_of_images(truth),
        lifts,
    )
