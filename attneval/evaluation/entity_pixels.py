"""The pixels of annotated shapes, for maps that are enlarged from grids to images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.config.map_boxes import DETECTIONS
from attneval.errors import ProtocolError
from attneval.geometry.pixel_sets import PixelSets
from attneval.geometry.top_pixels import GridOnImage
from attneval.metrics.enlarged_maps import EnlargedMaps
from attneval.metrics.map_boxes import Boxes

if TYPE_CHECKING:
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.groundtruth import GroundTruth


WAYS_OUT = {
    "pointing=upsampled": "pass --pointing region or --pointing center, or export grid_shape",
    "enlarge": "pass --enlarge none, or export grid_shape",
}
"""What enlarges maps, and what to do where there are no grids."""


def entity_pixels(captions: CaptionBlock, protocol: Protocol, asked: str) -> PixelSets:
    """Find the pixels of each entity's shapes.

    Args:
        captions: The captions.
        protocol: What shapes count, and how several do.
        asked: What needs them, of `WAYS_OUT`.

    Raises:
        ProtocolError: Keys are not the cells of grids.
    """
    export = captions.export
    if export.regions.grid_shape is None or export.caption_region is not None:
        kind = "windows of regions" if export.caption_region is not None else "region boxes"
        raise ProtocolError(
            f"{export.path} has {kind}, and {asked} enlarges the maps of grids",
            hint=WAYS_OUT[asked],
        )
    return _pixels_of_shapes(captions.truth, _grids(captions), protocol)


def enlarged_maps(captions: CaptionBlock, protocol: Protocol) -> EnlargedMaps:
    """Make the enlarged maps of a block's images.

    Raises:
        ProtocolError: Keys are not the cells of grids, or there are no detections to choose from.
    """
    export, truth = captions.export, captions.truth
    shapes = entity_pixels(captions, protocol, "enlarge")
    detected = Boxes()
    if protocol.map_box is not None and protocol.map_box.rule == DETECTIONS:
        if export.detections is None:
            raise ProtocolError(
                f"box_from {protocol.box_from} chooses among detected boxes, and there are none",
                hint="pass their file with --detections (score, compare, heads), or --box-from component:0.5",
            )
        first, count = export.detections.offset[captions.images], np.diff(export.detections.offset)[captions.images]
        detected = Boxes(export.detections.box[ranges(first, count)], offsets_of(count))
    return EnlargedMaps(shapes, protocol, Boxes(truth.box, truth.box_offset), detected)


def maps_of_absent(truth: GroundTruth, protocol: Protocol) -> EnlargedMaps:
    """Make the same of images that the export lacks, which have shapes and no maps.

    Args:
        truth: Their annotations.
        protocol: What shapes count.
    """
    size = truth.image_size
    grids = GridOnImage(np.ones_like(size), np.ones((len(size), 4)), size)
    shapes = _pixels_of_shapes(truth, grids, protocol)
    return EnlargedMaps(shapes, protocol, Boxes(truth.box, truth.box_offset))


def _pixels_of_shapes(truth: GroundTruth, grids: GridOnImage, protocol: Protocol) -> PixelSets:
    """The pixels of the shapes of each entity, held against its image."""
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset))
    if protocol.geometry == "mask":
        # What few need is imported for them alone.
        from attneval.geometry.mask_overlap import strips_of_entities

        strips = strips_of_entities(
            truth.mask, truth.mask_at, truth.mask_offset, image=image, image_size=truth.image_size
        )
        return PixelSets.from_strips(grids, image, strips, boxes=protocol.boxes)
    return PixelSets.from_boxes(
        grids,
        image,
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
