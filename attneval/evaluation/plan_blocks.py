"""Blocks of images that are scored together, small enough for bounded memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.export.read.reader import BLOCK_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.evaluation.select_images import Selection
    from attneval.export.read.content import AttentionExport

IMAGES_AT_ONCE = 1024
"""Images of a block, at most."""
FIRST_SHARE, FIRST_BESIDE_RANKING = 0.95, 0.65
"""The size of the first block of this process, in those of others: beside it, it imports, and ranks the queries."""
UNEVEN = 1.25
"""How many times as many bytes as the others a block may have before it is split."""


@record
class Block:
    """Images that are scored together.

    Attributes:
        images: i8[k], their rows in the export, ascending.
        captions: i8[c], the rows of their captions in the export.
        absent: Ids of annotated images that the export lacks, of which this block consists instead.
    """

    images: NDArray[np.int64]
    captions: NDArray[np.int64]
    absent: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images) + len(self.absent)

    def __str__(self) -> str:
        """Say which images these are."""
        if self.absent:
            return f"{len(self)} images that the export lacks"
        return f"images {self.images[0]} to {self.images[-1]} of the export"


def plan_blocks(export: AttentionExport | None, selection: Selection, jobs: int = 1) -> list[Block]:
    """Split images into blocks, each with its captions, which some processes can share.

    Blocks are independent of one another and an image is never split, so they can be worked on in any order, in
    several processes, and give the same to the last bit.

    Args:
        export: The export.
        selection: The images.
        jobs: How many processes are going to share the blocks.
    """
    nothing = np.zeros(0, np.int64)
    absent = [Block(nothing, nothing, selection.absent)] if selection.absent else []
    images = selection.rows
    if export is None or not len(images):
        return absent
    order = np.argsort(export.caption_image, kind="stable")
    bound = np.searchsorted(export.caption_image[order], np.arange(len(export.image_id) + 1))
    sums = np.concatenate(([0], np.cumsum(_bytes_of_maps(export)[order])))
    size = sums[bound[images + 1]] - sums[bound[images]]
    beside = FIRST_SHARE if export.similarity is None else FIRST_BESIDE_RANKING
    first, limit = beside if jobs > 1 else 1, BLOCK_BYTES / jobs
    rounds = math.ceil((max(len(images) / IMAGES_AT_ONCE, size.sum() / limit) + 1 - first) / jobs)
    share = np.ones((rounds, jobs))  # a block for each process in every round
    share[0, -1] = first
    number = np.searchsorted(np.cumsum(share)[:-1] / share.sum(), np.arange(len(images)) / len(images), "right")
    pieces = [
        piece
        for block in np.split(np.arange(len(images)), np.flatnonzero(np.diff(number)) + 1)
        for piece in _within(block, size, limit * UNEVEN)
    ]
    captions = (np.concatenate([order[bound[i] : bound[i + 1]] for i in images[piece].tolist()]) for piece in pieces)
    return [*map(Block, (images[piece] for piece in pieces), captions), *absent]


def _within(block: NDArray[np.int64], size: NDArray[np.int64], limit: float) -> list[NDArray[np.int64]]:
    """Split images i8[k] where those together have more bytes than a limit, so that the parts have as many."""
    total = np.cumsum(size[block])
    parts = math.ceil(total[-1] / limit)
    if parts <= 1:
        return [block]
    return np.split(block, np.flatnonzero(np.diff(total * parts // (total[-1] + 1))) + 1)


def bytes_of_images(export: AttentionExport | None, images: NDArray[np.int64]) -> int:
    """Count the bytes of the maps of images i8[k]."""
    return 0 if export is None else int(_bytes_of_maps(export)[np.isin(export.caption_image, images)].sum())


def _bytes_of_maps(export: AttentionExport) -> NDArray[np.int64]:
    """i8[N], the bytes of each caption's maps in all directions."""
    weights = np.zeros(len(export.caption_image), np.int64)
    for maps in export.maps.values():
        weights += maps.size * maps.itemsize
    return weights
