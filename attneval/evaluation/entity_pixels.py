"""The pixels of annotated boxes, for maps that are enlarged from grids to images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import ProtocolError
from attneval.geometry.top_pixels import GridOnImage, PixelSets

if TYPE_CHECKING:
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock


def entity_pixels(captions: CaptionBlock, protocol: Protocol) -> PixelSets:
    """Find the pixels of each entity's boxes.

    Raises:
        ProtocolError: Keys are not the cells of grids, or shapes are masks.
    """
    export, truth = captions.export, captions.truth
    if export.regions.grid_shape is None or export.caption_region is not None:
        kind = "windows of regions" if export.caption_region is not None else "region boxes"
        raise ProtocolError(
            f"{export.path} has {kind}, and pointing=upsampled enlarges the maps of grids",
            hint="pass --pointing region or --pointing center, or export grid_shape",
        )
    if protocol.geometry == "mask":
        raise ProtocolError(
            "pointing=upsampled looks for the top pixel in boxes, and geometry=mask has none",
            hint="pass --pointing region or --pointing center, or --geometry box",
        )
    return PixelSets.from_boxes(
        _grids(captions),
        captions.groups.group_of_instance,
        truth.box,
        truth.box_offset,
        boxes=protocol.boxes,
        extent=protocol.extent,
        border=protocol.border,
    )


def _grids(captions: CaptionBlock) -> GridOnImage:
    """The grids of a block's images, without rows and columns of padding."""
    regions, stored, size = captions.regions, captions.export.regions, captions.truth.image_size
    shape = np.asarray(stored.grid_shape, np.int64)[captions.images]
    if stored.grid_affine is None:
        affine = np.concatenate((size / shape[:, ::-1], np.zeros_like(size, np.float64)), axis=1)
    else:
        affine = np.asarray(stored.grid_affine, np.float64)[captions.images]
    # Cells outside the image are padding, whole rows and columns of them.
    image = np.repeat(np.arange(len(shape)), regions.count)
    cell = np.stack(np.divmod(regions.column, shape[image, 1]), axis=1)
    first, last = shape.copy(), np.full_like(shape, -1)
    np.minimum.at(first, image, cell)
    np.maximum.at(last, image, cell)
    shift = affine[:, 2:] + np.minimum(first, last + 1)[:, ::-1] * affine[:, :2]
    return GridOnImage(np.maximum(last - first + 1, 0), np.concatenate((affine[:, :2], shift), axis=1), size)
