"""The regions of a block of images that count as keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.arrays.records import record
from attneval.errors import ExportError
from attneval.export.checks import check_boxes
from attneval.export.lint_weights import grid_hint
from attneval.export.problems import FileProblems
from attneval.geometry.boxes import areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import GroundTruth
    from attneval.matching.key_groups import KeyGroups

CENTER_ROUNDING = 1e-6
"""Regions whose distance from the centre differs by less than this share of the image's diagonal are equally near."""


@record
class BlockRegions:
    """The regions of G groups that have an area; the others are padding.

    Attributes:
        stored: i8[G], how many regions each group has in the export, padding included.
        offset: i8[G+1], first region of each group.
        box: f8[R, 4], x1, y1, x2, y2 in pixels.
        column: i8[R], the place of each region among those of its group in the export.
    """

    stored: NDArray[np.int64]
    offset: NDArray[np.int64]
    box: NDArray[np.float64]
    column: NDArray[np.int64]

    @property
    def count(self) -> NDArray[np.int64]:
        """i8[G], how many regions each group has."""
        return np.diff(self.offset)

    @property
    def padded(self) -> bool:
        """Say if any region of the export is padding."""
        return len(self.box) < int(self.stored.sum())

    @classmethod
    def none(cls, images: int) -> BlockRegions:
        """No regions, of so many images."""
        nothing = np.zeros(0, np.int64)
        return cls(np.zeros(images, np.int64), np.zeros(images + 1, np.int64), np.zeros((0, 4)), nothing)


def read_regions(
    export: AttentionExport,
    images: NDArray[np.int64],
    truth: GroundTruth,
    groups: KeyGroups,
    window: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> BlockRegions:
    """Read and check the regions of some images.

    Args:
        export: The export.
        images: i8[I], rows of images in the export.
        truth: Their annotations, which know the images' sizes.
        groups: The groups that their regions are read for.
        window: i8[k] and i8[k], the first region and the number of regions of each exported caption, for groups of
            captions; None for groups that are images.

    Raises:
        ExportError: There are no boxes, they break the format, or image sizes are not the annotated ones.
    """
    report, size = FileProblems(export.path), truth.image_size
    _check_sizes(report, export, images, truth)
    regions = export.regions
    if not regions.known:
        count = distinct_values(np.diff(regions.offset))
        way_out = "pass them with --boxes (bottom-up TSV, .npz or .npy), or export region_box or a grid"
        hint = grid_hint(int(count[0])) if len(count) == 1 else ""
        raise ExportError(f"{export.path} has no region boxes", hint=hint or way_out)
    stored = regions.offset[images + 1] - regions.offset[images]
    box, offset = regions.boxes(images, size), offsets_of(stored)
    check_boxes(report, export.image_names(images), offset, box, size, member=regions.member)
    report.stop_if_broken()
    if window is not None:
        first, count = (np.concatenate((part, np.zeros(len(images), np.int64))) for part in window)
        box = box[ranges(offset[groups.image] + first, count)]
        stored, offset = count, offsets_of(count)
    real = np.flatnonzero(areas(box) > 0)
    kept = np.searchsorted(real, offset)
    return BlockRegions(stored, kept, box[real], real - np.repeat(offset[:-1], np.diff(kept)))


def _check_sizes(report: FileProblems, export: AttentionExport, images: NDArray[np.int64], truth: GroundTruth) -> None:
    if export.image_size is None:
        return
    size, exported = truth.image_size, export.image_size[images]

    def name(row: int) -> str:
        return f"{truth.image_id[row]} {exported[row].tolist()}, annotated {size[row].tolist()}"

    report.rows("image_size", np.any(exported != size, axis=1), "is not the annotated width and height", name)
    report.stop_if_broken()


def sizes_of_images(truth: GroundTruth) -> dict[str, tuple[int, int]]:
    """Give the width and height of each image by its id."""
    return {name: (w, h) for name, (w, h) in zip(truth.image_id, truth.image_size.tolist(), strict=True)}


def center_regions(regions: BlockRegions, image_size: NDArray[np.int64]) -> IndexSets:
    """For each group, the regions whose centre is nearest the image's.

    Args:
        regions: The regions of G groups.
        image_size: i8[G, 2], width and height of each group's image.
    """
    image = np.repeat(np.arange(len(regions.count)), regions.count)
    size = image_size[image]
    off = (regions.box[:, :2] + regions.box[:, 2:] - size) / 2
    distance = np.hypot(off[:, 0], off[:, 1]) / np.hypot(size[:, 0], size[:, 1])
    nearest = np.full(len(regions.count), np.inf)
    np.minimum.at(nearest, image, distance)
    chosen = np.flatnonzero(distance <= nearest[image] + CENTER_ROUNDING)
    return IndexSets(np.searchsorted(chosen, regions.offset), chosen - regions.offset[image[chosen]])
