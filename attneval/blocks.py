"""Blocks of images, from files to sums, in one process or several.

Blocks are independent of one another and an image is never split, so they can be worked on in any order, in several
processes, and give the same to the last bit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attneval.align import ABSENT, Alignment, Words
from attneval.block import MEAN, Block
from attneval.cache import Cached
from attneval.errors import AttnevalError
from attneval.export.boxfile import with_boxes
from attneval.export.reader import BLOCK_BYTES, open_export
from attneval.export.shards import join_shards
from attneval.groundtruth import open_ground_truth
from attneval.items import Mentions, word_items
from attneval.metrics.overlap import Sets
from attneval.problems import Problems
from attneval.scoring import Scored, score_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.content import AttentionExport
    from attneval.groundtruth import GroundTruth, Source
    from attneval.itemfile import ItemTable
    from attneval.protocol import Protocol

    Piece = tuple[NDArray[np.int64], NDArray[np.int64]]
    """Rows of images of an export, and of their captions."""

IMAGES_AT_ONCE = 1024
"""Images of a block, at most."""
BLOCKS_PER_JOB = 4
"""Blocks that each process gets, so that none waits long for the last one."""
BLOCKS_AHEAD = 2
"""Blocks for each process that are worked on, or done and not yet added up, at any time."""


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
    """

    exports: tuple[Path, ...]
    boxes: Path | None
    gt: Path
    gt_format: str
    protocol: Protocol
    keep_items: bool = False

    def open_export(self) -> AttentionExport:
        """Open the export, or its shards as one."""
        return open_exports(self.exports, self.boxes)

    def open_source(self, image_ids: list[str] | None = None) -> Source:
        """Open the annotations, through their index if the images that are going to be read are given."""
        source = open_ground_truth(self.gt, self.gt_format, self.protocol.edges)
        return source if image_ids is None else Cached(source, image_ids)


def open_exports(paths: tuple[Path, ...], boxes: Path | None) -> AttentionExport:
    """Open an export, or its shards as one, with region boxes from another file if there is one."""
    export = join_shards([open_export(path) for path in paths])
    return export if boxes is None else with_boxes(export, boxes)


@dataclass(frozen=True, eq=False)
class BlockScores:
    """What is left of a block.

    Attributes:
        truth: Its annotations.
        scored: Their sums, by channel and direction.
        counts: How many images, captions, phrases, ... there were.
        problems: What could not be aligned.
        items: Its items one by one, if asked for.
    """

    truth: GroundTruth
    scored: dict[tuple[int, str], Scored]
    counts: dict[str, int]
    problems: Problems
    items: ItemTable | None = None


def split_blocks(export: AttentionExport, images: NDArray[np.int64], jobs: int = 1) -> list[Piece]:
    """Split images into blocks of bounded work, each with its captions.

    Args:
        export: The export.
        images: i8[k], rows of images, ascending.
        jobs: How many processes are going to share the blocks.
    """
    order = np.argsort(export.caption_image, kind="stable")
    bound = np.searchsorted(export.caption_image[order], np.arange(len(export.image_id) + 1))
    weights = np.zeros(len(export.caption_image), np.int64)
    for maps in export.maps.values():
        weights += maps.size * maps.itemsize
    sums = np.concatenate(([0], np.cumsum(weights[order])))
    size = sums[bound[images + 1]] - sums[bound[images]]
    at_once = IMAGES_AT_ONCE if jobs == 1 else min(IMAGES_AT_ONCE, -(-len(images) // (jobs * BLOCKS_PER_JOB)))
    block = np.maximum(np.cumsum(size) // BLOCK_BYTES, np.arange(len(images)) // max(at_once, 1))
    pieces = np.split(images, np.flatnonzero(np.diff(block)) + 1) if len(images) else []
    return [(piece, np.concatenate([order[bound[i] : bound[i + 1]] for i in piece.tolist()])) for piece in pieces]


def score_blocks(
    inputs: Inputs, export: AttentionExport, source: Source, pieces: Iterable[Piece], jobs: int = 1
) -> Iterator[BlockScores]:
    """Score blocks in order.

    Args:
        inputs: The files; other processes open them again.
        export: The export, opened.
        source: The annotations, opened.
        pieces: The blocks.
        jobs: How many processes to use.

    Raises:
        AttnevalError: Something in a block cannot be read or breaks the format.
    """
    if jobs == 1:
        for piece in pieces:
            yield score_block(export, source, inputs, piece)
        return
    from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor

    index = source.image_ids_of_index if isinstance(source, Cached) else None
    with ProcessPoolExecutor(jobs, initializer=_open, initargs=(inputs, index)) as pool:
        ahead: deque[Future[BlockScores]] = deque()
        try:
            for piece in pieces:
                ahead.append(pool.submit(_score, piece))
                if len(ahead) == BLOCKS_AHEAD * jobs:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BrokenProcessPool as error:
            raise AttnevalError(
                f"one of {jobs} processes was killed, as happens when memory runs out", hint="use fewer --jobs"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_opened: list[tuple[AttentionExport, Source, Inputs]] = []
"""In a process of its own: what it works with."""


def _open(inputs: Inputs, image_ids: list[str] | None) -> None:
    _opened.append((inputs.open_export(), inputs.open_source(image_ids), inputs))


def _score(piece: Piece) -> BlockScores:
    export, source, inputs = _opened[0]
    return score_block(export, source, inputs, piece)


def score_block(export: AttentionExport, source: Source, inputs: Inputs, piece: Piece) -> BlockScores:
    """Score some images.

    Raises:
        ExportError: Weights, boxes or spans of the block break the format.
        GroundTruthError: Annotations cannot be read.
    """
    images, rows = piece
    protocol = inputs.protocol
    truth = source.read([export.image_id[i] for i in images.tolist()])
    block = Block(export, truth, protocol, images, rows)
    channels = [MEAN, *range(len(export.channel))] if len(export.channel) > 1 else [MEAN]
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
            from attneval.diagnosis import examine

            table = examine(
                truth,
                block.alignment,
                block.mentions,
                items,
                partial(block.weights, items, maps, direction, MEAN),
                protocol=protocol,
                regions=(block.region_offset, block.box),
            )
    return BlockScores(truth, scored, block.counts(), block.problems(), table)


def score_absent(source: Source, protocol: Protocol, image_id: list[str], *, keep_items: bool = False) -> BlockScores:
    """Score annotated images that an export lacks: every item of theirs is there and scores 0.

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
    scored = {}
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
        scored[MEAN, direction] = score_items(items, _no_weights, protocol, images=len(image_id), types=truth.types)
        if keep_items and direction == "t2i":
            from attneval.diagnosis import examine

            regions = np.zeros(len(image_id) + 1, np.int64), np.zeros((0, 4))
            table = examine(truth, alignment, mentions, items, _no_weights, protocol=protocol, regions=regions)
    counts = {"images": len(image_id), "captions": 0, "phrases": len(mentions.phrase), "words": len(mentions.word)}
    return BlockScores(truth, scored, counts, Problems(), table)


def _no_weights(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.zeros((len(rows), 0))
