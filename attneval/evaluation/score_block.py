"""Blocks of images, from files to sums, in one process or several.

Blocks are independent of one another and an image is never split, so they can be worked on in any order, in several
processes, and give the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import Sets
from attneval.evaluation.block import MEAN, Block
from attneval.evaluation.engines.processes import can_fork, processors, share_out
from attneval.evaluation.sum_items import Scored, score_items
from attneval.export.read.reader import BLOCK_BYTES, open_export
from attneval.groundtruth import open_ground_truth
from attneval.groundtruth.index import Cached, Index
from attneval.matching.alignment import ABSENT, Alignment, Words
from attneval.matching.items import word_items
from attneval.matching.mismatches import Problems
from attneval.matching.phrases import Mentions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import GroundTruth, Source
    from attneval.results.items import ItemTable

    Piece = tuple[NDArray[np.int64], NDArray[np.int64]]
    """Rows of images of an export, and of their captions."""
    Read = Callable[[Sequence[str]], GroundTruth]
    """From image ids to their annotations."""

IMAGES_AT_ONCE = 1024
"""Images of a block, at most."""
SHARED_BYTES = 2**21
"""Maps from which a second process saves more time than it takes to start: some 200 images with 36 regions."""


@dataclass(frozen=True)
class Inputs:
    """What is scored against what, as files: enough to open it all again in another process.

    Attributes:
        exports: The export, or its shards.
        boxes: A file of region boxes, if there is one.
        gt: The annotations.
        gt_format: Their format, or `auto`.
        protocol: How they are read and judged.
        keep_items: Whether to look at the items of direction t2i one by one.
        keep_truth: Whether the annotations are wanted back, for an index.
    """

    exports: tuple[Path, ...]
    boxes: Path | None
    gt: Path
    gt_format: str
    protocol: Protocol
    keep_items: bool = False
    keep_truth: bool = False

    def open_export(self) -> AttentionExport:
        """Open the export, or its shards as one."""
        return open_exports(self.exports, self.boxes)

    def open_source(self) -> Source:
        """Open the annotations."""
        return open_ground_truth(self.gt, self.gt_format, self.protocol.edges)


def open_exports(paths: tuple[Path, ...], boxes: Path | None) -> AttentionExport:
    """Open an export, or its shards as one, with region boxes from another file if there is one."""
    export = open_export(paths[0])
    # What few need is imported for them alone; start-up is a good part of the time of a small scoring.
    if len(paths) > 1:
        from attneval.export.read.shards import join_shards

        export = join_shards([export, *map(open_export, paths[1:])])
    if boxes is not None:
        from attneval.export.read.boxfile import with_boxes

        export = with_boxes(export, boxes)
    return export


@dataclass(frozen=True, eq=False)
class BlockScores:
    """What is left of a block.

    Attributes:
        image_id: Its images.
        digests: Of their annotation files.
        scored: Their sums, by channel and direction.
        counts: How many images, captions, phrases, ... there were.
        problems: What could not be aligned.
        items: Its items one by one, if asked for.
        truth: Its annotations, if an index of them is being made.
    """

    image_id: list[str]
    digests: dict[str, bytes]
    scored: dict[tuple[int, str], Scored]
    counts: dict[str, int]
    problems: Problems
    items: ItemTable | None = None
    truth: GroundTruth | None = None


def split_blocks(
    export: AttentionExport, images: NDArray[np.int64], jobs: int | None = None
) -> tuple[list[Piece], int]:
    """Split images into blocks, each with its captions, which some processes can share and work on in bounded memory.

    Args:
        export: The export.
        images: i8[k], rows of images, ascending.
        jobs: How many processes are going to share the blocks; None for two where that pays.

    Returns:
        The blocks, and how many processes to use.
    """
    order = np.argsort(export.caption_image, kind="stable")
    bound = np.searchsorted(export.caption_image[order], np.arange(len(export.image_id) + 1))
    weights = np.zeros(len(export.caption_image), np.int64)
    for maps in export.maps.values():
        weights += maps.size * maps.itemsize
    sums = np.concatenate(([0], np.cumsum(weights[order])))
    size = sums[bound[images + 1]] - sums[bound[images]]
    if jobs is None:
        jobs = 2 if size.sum() >= SHARED_BYTES and can_fork() and processors() > 1 else 1
    blocks = max(-(-len(images) // (jobs * IMAGES_AT_ONCE)), 1) * jobs  # as many for each process
    by_number = np.arange(len(images)) * blocks // max(len(images), 1)
    block = np.maximum(np.cumsum(size) * jobs // BLOCK_BYTES, by_number)
    pieces = np.split(images, np.flatnonzero(np.diff(block)) + 1) if len(images) else []
    captions = (np.concatenate([order[bound[i] : bound[i + 1]] for i in piece.tolist()]) for piece in pieces)
    return list(zip(pieces, captions, strict=True)), jobs


def score_blocks(
    inputs: Inputs, export: AttentionExport, source: Source, pieces: Sequence[Piece], jobs: int = 1
) -> Iterator[BlockScores]:
    """Score blocks; the results come in order.

    Args:
        inputs: The files; other processes open them again.
        export: The export, opened.
        source: The annotations, opened.
        pieces: The blocks.
        jobs: How many processes to use.

    Raises:
        AttnevalError: Something in a block cannot be read or breaks the format.
    """
    index = None
    if isinstance(source, Cached):
        index, inputs = source.index, replace(inputs, keep_truth=source.collecting)
    return share_out(pieces, partial(score_block, export, source.read, inputs), partial(_open, inputs, index), jobs)


def _open(inputs: Inputs, index: Path | None) -> Callable[[Piece], BlockScores]:
    """Open everything again, in another process."""
    found = None if index is None else Index.load(index)
    read = inputs.open_source().read if found is None else found.read
    return partial(score_block, inputs.open_export(), read, inputs)


def score_block(export: AttentionExport, read: Read, inputs: Inputs, piece: Piece) -> BlockScores:
    """Score some images.

    Args:
        export: The export.
        read: What reads annotations.
        inputs: How they are judged.
        piece: The images.

    Raises:
        ExportError: Weights, boxes or spans of the block break the format.
        GroundTruthError: Annotations cannot be read.
    """
    images, rows = piece
    protocol = inputs.protocol
    truth = read([export.image_id[i] for i in images.tolist()])
    block = Block(export, truth, protocol, images, rows)
    channels = _channels(export)
    scored = {}
    table = None
    for direction in protocol.directions:
        items, maps = block.items(direction), block.maps(direction)
        for channel in channels:
            scored[channel, direction] = score_items(
                items,
                partial(block.weights, items, maps, direction, channel),
                protocol,
                images=len(images),
                types=truth.types,
                center=block.center() if direction == "t2i" else None,
            )
        if inputs.keep_items and direction == "t2i":
            from attneval.evaluation.examine_items import examine

            table = examine(
                truth,
                block.alignment,
                block.mentions,
                items,
                partial(block.weights, items, maps, direction, MEAN),
                protocol=protocol,
                regions=(block.region_offset, block.box),
            )
    return BlockScores(
        truth.image_id,
        truth.digests,
        scored,
        block.counts(),
        block.problems(),
        table,
        truth if inputs.keep_truth else None,
    )


def _channels(export: AttentionExport) -> list[int]:
    """What is scored of an export: the mean of its channels and, if there are several, each of them."""
    return [MEAN, *range(len(export.channel))] if len(export.channel) > 1 else [MEAN]


def score_absent(
    export: AttentionExport, source: Source, protocol: Protocol, image_id: list[str], *, keep_items: bool = False
) -> BlockScores:
    """Score annotated images that an export lacks: every item of theirs is there and scores 0, in all channels.

    Which items regions could have reached is unknown, so all of them count.
    """
    protocol = replace(protocol, missing="zero", unreachable="zero")
    truth = source.read(image_id)
    words = Words.of(truth.text)
    nothing = np.zeros(0, np.int64)
    row = np.full(len(truth.text), ABSENT, np.int64)
    alignment = Alignment(words, row, np.zeros(len(words.span) + 1, np.int64), nothing, [], [])
    mentions = Mentions.of(truth, alignment, protocol.min_area)
    sets = Sets(np.zeros(len(truth.box_offset), np.int64), nothing)
    count = np.zeros(len(image_id), np.int64)
    scored: dict[tuple[int, str], Scored] = {}
    table = None
    for direction in protocol.directions:
        # In direction i2t the items are regions, of which an absent image has none.
        chosen = mentions if direction == "t2i" else mentions.none()
        items = word_items(
            truth,
            alignment,
            chosen,
            sets={"relevant": sets, "pointing": sets},
            region_count=count,
            protocol=protocol,
        )
        nothing_attended = score_items(items, _no_weights, protocol, images=len(image_id), types=truth.types)
        scored |= {(channel, direction): nothing_attended for channel in _channels(export)}
        if keep_items and direction == "t2i":
            from attneval.evaluation.examine_items import examine

            regions = np.zeros(len(image_id) + 1, np.int64), np.zeros((0, 4))
            table = examine(truth, alignment, mentions, items, _no_weights, protocol=protocol, regions=regions)
    counts = {"images": len(image_id), "captions": 0, "phrases": len(mentions.phrase), "words": len(mentions.word)}
    return BlockScores(truth.image_id, truth.digests, scored, counts, Problems(), table)


def _no_weights(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.zeros((len(rows), 0))
