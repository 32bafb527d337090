"""Everything that keeps an export from being scored against annotations, as one list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.config.protocol import Protocol
from attneval.errors import AlignmentError, ExportError, NothingToScoreError
from attneval.evaluation.add_up import add_up
from attneval.evaluation.assemble import shortfalls_of
from attneval.evaluation.block_scorer import block_scorer
from attneval.evaluation.manifest import Manifest
from attneval.evaluation.plan_blocks import plan_blocks
from attneval.evaluation.select_images import select_images
from attneval.evaluation.settle_overlap import settle_overlap
from attneval.evaluation.stated import as_stated

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.evaluation.select_images import Selection
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import Source
    from attneval.groundtruth.annotation_files import GivenFiles


def fit_problems(
    attn: str | Path,
    gt: GivenFiles,
    *,
    boxes: str | Path | None = None,
    split: str | Path | None = None,
    gt_format: str = "auto",
) -> list[str]:
    """List what keeps an export from being scored against annotations.

    Args:
        attn: The export.
        gt: The annotations.
        boxes: Region boxes for an export without any.
        split: A text file of image ids.
        gt_format: A format's name to force the annotations' format.

    Raises:
        AttnevalError: The export or the annotations cannot be read at all.
    """
    protocol = Protocol(missing="skip")
    manifest = Manifest.from_arguments(attn, gt, boxes=boxes, split=split, gt_format=gt_format)
    ids = manifest.split_ids()
    problems: list[str] = []
    try:
        protocol, export = as_stated(protocol, manifest.paths.open_export())
        protocol = settle_overlap(protocol, export)
        source = manifest.paths.open_ground_truth(protocol)
        selection = select_images(export, source, ids, protocol, gt=manifest.paths.gt)
        problems += [shortfall.text for shortfall in selection.shortfalls]
        if export is not None and export.maps:
            problems += _problems_of_maps(manifest, export, source, selection, protocol)
    except (ExportError, AlignmentError, NothingToScoreError) as error:
        problems.append(str(error))
    return problems


def _problems_of_maps(
    manifest: Manifest, export: AttentionExport, source: Source | None, selection: Selection, protocol: Protocol
) -> list[str]:
    scorer = block_scorer(manifest.paths, export, source, protocol)
    blocks = plan_blocks(export, selection)
    sums = add_up(map(scorer, blocks), images=len(selection.rows))
    found = [*dict.fromkeys(sums.mismatches.warnings)]
    found += sums.mismatches.disagreements(export.path, len(export.caption_image))
    return found + [shortfall.text for shortfall in shortfalls_of(export, sums)]
