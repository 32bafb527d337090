"""Items as pictures: weights, annotated shapes and regions, through the very geometry that is scored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.errors import AlignmentError, NothingToScoreError, first_of
from attneval.evaluation.caption_block import read_captions
from attneval.evaluation.checked_maps import read_maps
from attneval.evaluation.direction_items import direction_items, direction_sets
from attneval.evaluation.examine_items import examine_items
from attneval.evaluation.item_hits import item_chunks
from attneval.evaluation.plan_blocks import plan_blocks
from attneval.evaluation.select_images import Selection
from attneval.evaluation.settle_overlap import settle_overlap
from attneval.evaluation.weight_reader import MEAN, WeightReader
from attneval.export.image_ids import did_you_mean
from attneval.geometry.strips import run_lengths
from attneval.matching.phrases import ScoredPhrases
from attneval.metrics.hits import Hits
from attneval.metrics.populations import counted
from attneval.metrics.rankings import Rows, normalised
from attneval.results.join_items import join_items
from attneval.results.notes import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.plan_blocks import Block
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import GroundTruth, Source
    from attneval.results.items import ItemTable


MASK_CELLS = 160
"""Cells of a mask's picture along the longer side, at most."""


@record
class Pictures:
    """The items of I images with all that is needed to draw them.

    Attributes:
        table: m items; the columns below are in its order.
        image_size: i8[I, 2], width and height in pixels, by row of the table's images.
        grid: i8[I, 2], rows and columns of a grid; (0, 0) where regions are boxes or cells of padding were left out.
        phrase: i8[m, 2], half-open code points from the first to the last character of the item's phrase.
        weight: By item f8[n], the normalised weights of its image's regions; empty where the model gave none.
        shapes: By item f8[b, 4], the annotated boxes of its phrase: x1, y1, x2, y2 in pixels.
        mask: By item b[h, w], what the masks of its phrase cover, in cells of a coarse picture; None where boxes are
            what is scored, or there are no masks.
        ap: f8[m], average precision; NaN where no region is relevant or the model gave no weights.
        pointing: f8[m], whether the largest weight is right, as an expected value under ties; NaN as in `ap`.
    """

    table: ItemTable
    image_size: NDArray[np.int64]
    grid: NDArray[np.int64]
    phrase: NDArray[np.int64]
    weight: list[NDArray[np.float64]]
    shapes: list[NDArray[np.float64]]
    mask: list[NDArray[np.bool_] | None]
    ap: NDArray[np.float64]
    pointing: NDArray[np.float64]


def read_pictures(
    export: AttentionExport, source: Source, protocol: Protocol, image_id: Sequence[str] | None = None
) -> Pictures:
    """Read the items of some images with their maps.

    Args:
        export: The export; of several channels the mean is taken, as for the headline.
        source: The annotations.
        protocol: What the items are, and how their weights are pooled and normalised.
        image_id: The images; all by default.

    Returns:
        The pictures of the images' items in direction t2i, in the order of the export.

    Raises:
        AttnevalError: An image is not there or not annotated, or the export breaks the format.
    """
    if "t2i" not in protocol.directions:
        raise NothingToScoreError("only words have pictures", hint="take a result of direction t2i")
    if not export.maps:
        raise NothingToScoreError(f"{export.path} has no attention maps")
    protocol = settle_overlap(protocol, export)
    protocol = replace(protocol, missing="skip" if protocol.missing == "error" else protocol.missing)
    wanted = list(export.image_id if image_id is None else image_id)
    rows = {name: row for row, name in enumerate(export.image_id)}
    lacking = [name for name in wanted if name not in rows]
    if lacking:
        meant = did_you_mean(lacking, export.image_id)
        raise AlignmentError(f"{len(lacking)} images are not in {export.path} (first: {first_of(lacking)}){meant}")
    unknown = source.missing(wanted)
    if unknown:
        meant = did_you_mean(unknown, source.image_ids())
        raise AlignmentError(f"{len(unknown)} images are not annotated (first: {first_of(unknown)}){meant}")
    chosen = np.array(sorted(rows[name] for name in wanted), np.int64)
    parts = [_pictures(export, source, protocol, block) for block in plan_blocks(export, Selection(chosen))]
    if not sum(len(part.table) for part in parts):
        raise NothingToScoreError(f"no annotated phrase with a box has attention in {export.path}", hint=UNMATCHED)
    return _joined(parts)


def _pictures(export: AttentionExport, source: Source, protocol: Protocol, block: Block) -> Pictures:
    captions = read_captions(block, export, source, protocol)
    truth = captions.truth
    phrases = ScoredPhrases.from_annotations(truth, captions.alignment, protocol.min_area)
    items = direction_items("t2i", captions, phrases, direction_sets("t2i", captions, protocol), protocol)
    weights = WeightReader(captions, items, read_maps(export, block.captions, "t2i"), "t2i", protocol)
    table = examine_items(captions, phrases, items, weights, protocol)
    kept = np.flatnonzero(counted(items.given, protocol, items.undefined))
    weight = {row: np.zeros(0) for row in kept.tolist()}
    ap, pointing = np.full(len(items.target), np.nan), np.full(len(items.target), np.nan)
    for chunk in item_chunks(items, items.ranked):
        rows = Rows.rank(normalised(weights.read(chunk, MEAN), protocol.normalize), protocol.rule)
        weight |= dict(zip(chunk.tolist(), rows.weight, strict=True))
        place = np.arange(len(chunk))
        hits = Hits(rows, place, items.sets["relevant"], items.target[chunk])
        reached = hits.relevant > 0
        ap[chunk[reached]] = (hits.precision_at_hits() / np.maximum(hits.relevant, 1))[reached]
        peak = Hits(rows, place, items.sets["pointing"], items.target[chunk], items.pixels)
        pointing[chunk[reached]] = peak.top()[reached]
    phrase = items.phrase[kept]
    spans = np.stack(
        (truth.span[truth.span_offset[phrase], 0], truth.span[truth.span_offset[phrase + 1] - 1, 1]), axis=1
    )
    entities = captions.groups.entity[items.target[kept]].tolist()
    # Only what is scored is drawn: boxes, unless masks take their place.
    masks = mask_pictures(truth, entities) if getattr(protocol, "geometry", "box") == "mask" else {}
    return Pictures(
        table=table,
        image_size=truth.image_size,
        grid=_grids(export, block.images, captions.regions.count),
        phrase=spans,
        weight=[weight[row] for row in kept.tolist()],
        shapes=[truth.box[truth.box_offset[entity] : truth.box_offset[entity + 1]] for entity in entities],
        mask=[masks.get(entity) for entity in entities],
        ap=ap[kept],
        pointing=pointing[kept],
    )


def mask_pictures(truth: GroundTruth, entities: Sequence[int]) -> dict[int, NDArray[np.bool_]]:
    """Coarse pictures b[h, w] of what the masks of some entities cover, by entity; nothing for those without masks."""
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.entity_offset))
    covered: dict[int, NDArray[np.bool_]] = {}
    for entity in sorted(set(entities)):
        first, last = truth.mask_offset[entity : entity + 2].tolist()
        if first == last:
            continue
        width, height = truth.image_size[image[entity]].tolist()
        step = max(-(-max(width, height) // MASK_CELLS), 1)
        rows, columns = (np.minimum(np.arange(0, side, step) + step // 2, side - 1) for side in (height, width))
        pixels = np.zeros((height, width), np.bool_)
        for mask in range(first, last):
            counts = truth.mask[truth.mask_at[mask] : truth.mask_at[mask + 1]]
            runs, _ = run_lengths(counts, np.array([0, len(counts)]))
            pixels |= np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
        covered[entity] = pixels[np.ix_(rows, columns)]
    return covered


def _grids(export: AttentionExport, images: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows and columns of whole grids."""
    if export.regions.grid_shape is None:
        return np.zeros((len(images), 2), np.int64)
    shape = np.asarray(export.regions.grid_shape, np.int64)[images]
    return np.where((shape.prod(axis=1) == count)[:, None], shape, 0)


def _joined(parts: list[Pictures]) -> Pictures:
    if len(parts) == 1:
        return parts[0]
    return Pictures(
        join_items([part.table for part in parts]),
        np.concatenate([part.image_size for part in parts]),
        np.concatenate([part.grid for part in parts]),
        np.concatenate([part.phrase for part in parts]),
        [row for part in parts for row in part.weight],
        [row for part in parts for row in part.shapes],
        [row for part in parts for row in part.mask],
        np.concatenate([part.ap for part in parts]),
        np.concatenate([part.pointing for part in parts]),
    )
