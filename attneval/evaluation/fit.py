"""The recipe of a validation against annotations: everything that keeps an export from being scored, or looks wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.config.protocol import Protocol
from attneval.errors import AlignmentError, ExportError, NothingToScoreError, ProtocolError
from attneval.evaluation.add_up import add_up
from attneval.evaluation.assemble import shortfalls_of
from attneval.evaluation.block_scorer import block_scorer
from attneval.evaluation.lint_export import annotated_sizes
from attneval.evaluation.manifest import Manifest
from attneval.evaluation.plan_blocks import plan_blocks
from attneval.evaluation.select_images import absent_images, absent_of_split, select_images
from attneval.evaluation.settle_overlap import settle_overlap
from attneval.evaluation.stated import as_stated
from attneval.evaluation.turned_grids import turned
from attneval.evaluation.weight_reader import MEAN
from attneval.export.lints import LEAST_ITEMS, lint, lint_orientation, lint_specificity
from attneval.geometry.grids import orientations
from attneval.metrics.floors import SHUFFLED_ATTENTION, floor_column, paired_column
from attneval.metrics.populations import SHUFFLED, item_counts
from attneval.metrics.set_scores import F1
from attneval.results.notes import low_coverage, unreached

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.evaluation.add_up import RunSums
    from attneval.evaluation.select_images import Selection
    from attneval.export.lint import Lint
    from attneval.export.read.content import AttentionExport
    from attneval.groundtruth import Source
    from attneval.groundtruth.annotation_files import GivenFiles
    from attneval.metrics.totals import Table

FORGIVING = Protocol(missing="skip", undefined="skip")
"""The protocol under which exports are looked at: it gets over what is missing, so that all of it can be listed."""
SIGNED = "softmax"
"""How the rows of signed maps are read where the export does not say."""


@dataclass(frozen=True)
class Fit:
    """The comparison of an export with annotations.

    Attributes:
        problems: What keeps it from being scored.
        warnings: What looks wrong.
        counts: How much of it is scored, as a result counts it; empty where nothing is.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def look_at_fit(
    attn: str | Path,
    gt: GivenFiles | None,
    *,
    boxes: str | Path | None = None,
    split: str | Path | None = None,
    gt_format: str = "auto",
    maps: bool = True,
) -> Fit:
    """List what keeps an export from being scored against annotations, and what looks wrong in it.

    Args:
        attn: The export.
        gt: The annotations; without them only boxes and the split are held against the export.
        boxes: Region boxes for an export without any.
        split: A text file of image ids.
        gt_format: A format's name to force the annotations' format.
        maps: Whether to look at more than the ids, which maps that break the format cannot be asked for.

    Raises:
        AttnevalError: The export or the annotations cannot be read at all.
    """
    manifest = Manifest.from_arguments(attn, gt, boxes=boxes, split=split, gt_format=gt_format)
    ids, fit = manifest.split_ids(), Fit()
    try:
        protocol, export = as_stated(FORGIVING, manifest.paths.open_export())
        if export is None:
            return fit
        fit.warnings.extend(export.warnings)
        protocol = settle_overlap(protocol, export)
        source = manifest.paths.open_ground_truth(protocol)
        if source is None and (absent := absent_images(export, ids)):
            fit.problems.append(str(absent_of_split(export, ids or [], absent)))
        selection = select_images(export, source, ids, protocol, gt=manifest.paths.gt)
        fit.problems.extend(map(str, selection.shortfalls))
        sums = None
        if export.maps and source is not None and maps:
            examined = _Examined(manifest, export, source, selection, protocol)
            sums = examined.sums()
            fit.counts.update(sums.counts)
            if (MEAN, "t2i") in sums.channels:
                fit.counts.update(item_counts(sums.channels[MEAN, "t2i"].columns))
            fit.problems.extend(_problems_of_maps(export, sums))
            fit.warnings.extend(examined.warnings(sums))
        if maps:
            fit.warnings.extend(map(str, lint(export, None if sums is None else annotated_sizes(export, sums))))
    except (ExportError, AlignmentError, NothingToScoreError, ProtocolError) as error:
        fit.problems.append(str(error))
    return fit


def _problems_of_maps(export: AttentionExport, sums: RunSums) -> list[str]:
    problems = [*dict.fromkeys(sums.mismatches.warnings)]
    problems += sums.mismatches.disagreements(export.path, len(export.caption_image))
    return [*problems, *map(str, shortfalls_of(export, sums))]


class _Examined:
    """An export's maps beside annotations.

    Args:
        manifest: The files.
        export: The export.
        source: The annotations.
        selection: The images that count.
        protocol: How they are scored.
    """

    def __init__(
        self, manifest: Manifest, export: AttentionExport, source: Source, selection: Selection, protocol: Protocol
    ) -> None:
        self._manifest, self._export, self._source = manifest, export, source
        self._selection, self._protocol = selection, protocol
        self._signed: list[str] = []

    def sums(self) -> RunSums:
        """Score the maps, signed ones as if the protocol said how they are read."""
        try:
            return self._scored(self._export)
        except ProtocolError:
            if self._export.header.kind == "attention" or self._protocol.normalize == SIGNED:
                raise
        self._protocol = replace(self._protocol, normalize=SIGNED)
        sums = self._scored(self._export)
        way_out = f"scoring them needs --normalize softmax or --normalize minmax; here they were read with {SIGNED}"
        self._signed = [f"maps are signed ({self._export.header.kind}), and {way_out}"]
        return sums

    def warnings(self, sums: RunSums) -> list[str]:
        """Say what looks wrong in the maps beside annotations."""
        headline = sums.channels.get((MEAN, "t2i"))
        if headline is None:
            return self._signed
        columns = headline.columns
        counts = item_counts(columns)
        notes = [*unreached(counts, self._protocol), *low_coverage(counts, self._protocol)]
        lints = self._lint_orientation(columns) or _lint_specificity(columns)
        return [*self._signed, *map(str, notes), *map(str, lints)]

    def _scored(self, export: AttentionExport) -> RunSums:
        scorer = block_scorer(self._manifest.paths, export, self._source, self._protocol)
        blocks = plan_blocks(export, self._selection)
        return add_up(map(scorer, blocks), images=len(self._selection.rows))

    def _lint_orientation(self, columns: Table) -> list[Lint]:
        items = int(columns[SHUFFLED].sum())
        if self._export.regions.grid_shape is None or items < LEAST_ITEMS:
            return []
        others = {
            turn: _specific(self._scored(turned(self._export, turn)).channels[MEAN, "t2i"].columns)
            for turn in orientations(1, 1)
        }
        return lint_orientation(_specific(columns), others, items=items)


def _specific(columns: Table) -> NDArray[np.float64]:
    """f8[I], the sum over each image's items of F1 less F1 against the image's other entities."""
    return columns[paired_column(F1)] - columns[floor_column(SHUFFLED_ATTENTION, F1)]


def _lint_specificity(columns: Table) -> list[Lint]:
    items = columns[SHUFFLED]
    count = max(float(items.sum()), 1.0)
    f1, shuffled = (
        float(columns[name].sum()) / count for name in (paired_column(F1), floor_column(SHUFFLED_ATTENTION, F1))
    )
    return lint_specificity(f1, shuffled, items=int(items.sum()), images=int(np.count_nonzero(items)))
