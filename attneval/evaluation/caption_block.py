"""A block of images with its captions: both sides read, checked and aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.evaluation.read_annotations import as_scored
from attneval.evaluation.read_regions import read_regions
from attneval.evaluation.read_tokens import read_tokens
from attneval.matching.alignment import align
from attneval.matching.key_groups import KeyGroups
from attneval.matching.token_keys import TokenKeys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.plan_blocks import Block
    from attneval.evaluation.read_regions import BlockRegions
    from attneval.export.read.content import AttentionExport, TokenBlock
    from attneval.groundtruth import GroundTruth
    from attneval.groundtruth.columns import Reader
    from attneval.matching.alignment import Alignment


@record
class CaptionBlock:
    """Exported captions of a block of images, aligned with the annotations.

    Attributes:
        export: The export.
        truth: The annotations, as the protocol has them.
        as_read: The annotations, as they were read.
        images: i8[I], the images' rows in the export.
        rows: i8[c], the captions' rows in the export.
        image: i8[c], the row of each caption's image in the block.
        tokens: Their tokens.
        keys: The tokens that are keys in direction i2t.
        alignment: Which tokens belong to which words.
        groups: The groups of regions that captions attend to.
        regions: The regions of each group.
        defined: b[A, T], which rows of the maps in direction t2i are defined, by channel and token; None for all.
        row_mass: f8[A, T], what these rows had on the regions before they were normalised over them; None if the export
            does not say.
    """

    export: AttentionExport
    truth: GroundTruth
    as_read: GroundTruth
    images: NDArray[np.int64]
    rows: NDArray[np.int64]
    image: NDArray[np.int64]
    tokens: TokenBlock
    keys: TokenKeys
    alignment: Alignment
    groups: KeyGroups
    regions: BlockRegions
    defined: NDArray[np.bool_] | None = None
    row_mass: NDArray[np.float64] | None = None


def read_captions(block: Block, export: AttentionExport, annotations: Reader, protocol: Protocol) -> CaptionBlock:
    """Read what a block needs beside its weights, and align tokens with annotated words.

    Args:
        block: The images and their captions.
        export: The export.
        annotations: Where their annotations are read from.
        protocol: What shapes of theirs count.

    Raises:
        ExportError: Boxes or spans break the format.
        GroundTruthError: Annotations cannot be read.
    """
    as_read = annotations.read([export.image_id[row] for row in block.images.tolist()])
    truth = as_scored(as_read, protocol, None if export.image_size is None else export.image_size[block.images])
    tokens = read_tokens(export, block.captions)
    image = np.searchsorted(block.images, export.caption_image[block.captions])
    alignment = align(truth, tokens, image, export.caption_index[block.captions])
    groups, window, mass = KeyGroups.from_images(truth), None, _row_mass(export, block.captions, tokens)
    if export.caption_region is not None:
        groups, window = KeyGroups.from_captions(truth, alignment, image), export.window(block.captions)
    return CaptionBlock(
        export,
        truth,
        as_read,
        block.images,
        block.captions,
        image,
        tokens,
        TokenKeys.from_tokens(tokens),
        alignment,
        groups,
        read_regions(export, block.images, truth, groups, window),
        None if mass is None else mass > 0,
        mass,
    )


def _row_mass(export: AttentionExport, rows: NDArray[np.int64], tokens: TokenBlock) -> NDArray[np.float64] | None:
    """f8[A, T], the mass of each row on the regions, by channel and token; None if the export does not say."""
    mass = export.row_mass(rows)
    if mass is None:
        return None
    channels, count = len(export.channel), np.diff(tokens.offset)
    by_channel = np.zeros((channels, int(count.sum())))
    # Rows stand caption by caption, channel by channel, token by token.
    caption = np.repeat(np.arange(len(rows)), count)
    token = np.arange(len(caption)) - tokens.offset[caption]
    for channel in range(channels):
        by_channel[channel] = mass[channels * tokens.offset[caption] + channel * count[caption] + token]
    return by_channel
