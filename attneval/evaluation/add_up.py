"""The sums of blocks, added up."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.evaluation.caption_lifts import CaptionLifts
from attneval.evaluation.targetless import Targetless
from attneval.matching.mismatches import Mismatches
from attneval.metrics.totals import add_totals
from attneval.results.channel_sums import concatenated
from attneval.statistics.group_sums import GroupedRows, joined_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attneval.evaluation.score_block import BlockSums
    from attneval.groundtruth import GroundTruth
    from attneval.metrics.totals import Table, Totals
    from attneval.results.items import ItemTable
    from attneval.statistics.group_sums import GroupSums


@record
class ChannelSums:
    """The sums of one channel and direction.

    Attributes:
        columns: f8[I] by name, the sums of each image.
        totals: See `attneval.evaluation.sum_items.Statistics`.
        by: By kind and name of a group, the sums of the images that have items of it.
    """

    columns: Table
    totals: Totals
    by: GroupSums


@record
class RunSums:
    """The sums of all blocks of I images.

    Attributes:
        image_id: The images.
        channels: Sums by channel and direction.
        counts: How many images, captions, phrases, ... there were.
        mismatches: What could not be aligned.
        digests: SHA-256 of every annotation file read, by name.
        items: The items one by one, block by block, if they were asked for.
        truth: The annotations, block by block, if an index of them is being made.
        by_channel: f8[A, I], or f8[1, I] where all channels have the same, by direction and column; empty unless asked
            for.
        regions: The fingerprint of each image's regions, by its id; images that the export lacks have none.
        targetless: What expressions without a target have.
        sizes: Widths and heights of images whose size the annotations say and the export does not, by id.
        lifts: The lifts of their annotated captions, image by image.
    """

    image_id: list[str] = field(default_factory=list)
    channels: dict[tuple[int, str], ChannelSums] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    mismatches: Mismatches = field(default_factory=Mismatches)
    digests: dict[str, bytes] = field(default_factory=dict)
    items: list[ItemTable] = field(default_factory=list)
    truth: list[GroundTruth] = field(default_factory=list)
    by_channel: dict[str, Table] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)
    targetless: Targetless = field(default_factory=Targetless)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    lifts: CaptionLifts = field(default_factory=CaptionLifts)


def add_up(blocks: Iterator[BlockSums], *, images: int, progress: Callable[[int, int], None] | None = None) -> RunSums:
    """Add up blocks in their order, which is the order of images in the sums.

    Args:
        blocks: The sums of each block.
        images: How many images there are in all.
        progress: Told how many images are done.

    Raises:
        AttnevalError: A block cannot be scored.
    """
    done: list[BlockSums] = []
    count = 0
    for block in blocks:
        done.append(block)
        count += len(block.image_id)
        if progress is not None:
            progress(count, images)
    counts: dict[str, int] = {}
    for block in done:
        for name, value in block.counts.items():
            counts[name] = counts.get(name, 0) + value
    return RunSums(
        image_id=[name for block in done for name in block.image_id],
        channels={key: _channel(done, key) for key in (list(done[0].statistics) if done else ())},
        counts=counts,
        mismatches=Mismatches.joined(block.mismatches for block in done),
        digests={name: digest for block in done for name, digest in block.digests.items()},
        items=[block.items for block in done if block.items is not None],
        truth=[block.truth for block in done if block.truth is not None],
        by_channel={direction: _beside([b.by_channel[direction] for b in done]) for direction in _directions(done)},
        regions={name: value for block in done for name, value in block.regions.items()},
        targetless=sum((block.targetless for block in done), Targetless()),
        sizes={name: size for block in done for name, size in block.sizes.items()},
        lifts=CaptionLifts.joined([block.lifts for block in done], [len(block.image_id) for block in done]),
    )


def _channel(blocks: list[BlockSums], key: tuple[int, str]) -> ChannelSums:
    """The sums of a channel, taken out of the blocks: of no channel there are two copies beside those of the others."""
    parts = [block.statistics.pop(key) for block in blocks]
    columns = {name: np.concatenate([part.per_image[name] for part in parts]) for name in parts[0].per_image}
    totals: Totals = {}
    for part in parts:
        totals = add_totals(totals, part.totals)
    first = np.cumsum([0, *(len(block.image_id) for block in blocks)])[:-1].tolist()
    by = joined_groups([_shifted(part.by, shift) for part, shift in zip(parts, first, strict=True)])
    return ChannelSums(columns, totals, by)


def _shifted(groups: GroupSums, shift: int) -> GroupSums:
    return {
        kind: GroupedRows(rows.groups, rows.offset, rows.row + shift, rows.columns, rows.numbers)
        for kind, rows in groups.items()
    }


def _directions(blocks: list[BlockSums]) -> list[str]:
    return list(blocks[0].by_channel) if blocks else []


def _beside(parts: list[Table]) -> Table:
    """Columns of every channel, the images of one block after those of the other; what a block lacks is 0 there."""
    images = [len(next(iter(part.values()))[0]) for part in parts]
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: concatenated([part.get(name, np.zeros((1, n))) for part, n in zip(parts, images, strict=True)])
        for name in names
    }
