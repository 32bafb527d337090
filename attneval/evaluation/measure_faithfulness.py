"""Faithfulness: what became of a model's own scores as regions were removed, summed by image."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.evaluation.select_images import choose_images
from attneval.export.problems import FileProblems
from attneval.export.read.perturbations import check_curves
from attneval.metrics.faithfulness import faithfulness_columns
from attneval.results.notes import Note

if TYPE_CHECKING:
    from attneval.export.read.content import AttentionExport
    from attneval.metrics.totals import Table


@record
class PerturbedImages:
    """The sums of images that a model scored with some of their regions removed.

    Attributes:
        image_id: The images; none where nothing is known of it.
        columns: f8[I] by name.
        captions: How many captions they have.
        partial: Whether images were left out only to be done sooner.
        notes: What a reader has to know.
    """

    image_id: list[str] = field(default_factory=list)
    columns: Table = field(default_factory=dict)
    captions: int = 0
    partial: bool = False
    notes: tuple[Note, ...] = ()


def measure_faithfulness(
    export: AttentionExport | None, *, split: list[str] | None, limit: int | None = None, wanted: bool = True
) -> PerturbedImages:
    """Measure faithfulness over all captions that an export has the curves of, whether they are annotated or not.

    Args:
        export: The export.
        split: The images that count; None for all.
        limit: Only the first so many images; None for all.
        wanted: Whether to measure it at all: some images of a whole are looked at for other ends.

    Raises:
        ExportError: A score is not finite.
    """
    if export is None or not export.curves or not wanted:
        return PerturbedImages()
    if export.averaged is not None:
        text = "faithfulness was not scored: regions were removed in the order of the mean of all channels"
        return PerturbedImages(notes=(Note(text),))
    rows, partial = choose_images(export.image_id, split, limit)
    captions = np.flatnonzero(np.isin(export.caption_image, rows))
    # Captions of an image are added up in one order, whatever the file's, so that sums are the same to the last bit.
    captions = captions[np.argsort(export.caption_index[captions], kind="stable")]
    curves = {name: np.asarray(scores[captions], np.float64) for name, scores in export.curves.items()}
    report = FileProblems(export.path)
    check_curves(report, curves, lambda row: export.caption_name(int(captions[row])))
    report.stop_if_broken()
    columns = faithfulness_columns(curves, np.searchsorted(rows, export.caption_image[captions]), len(rows))
    names = [export.image_id[row] for row in rows.tolist()]
    return PerturbedImages(names, columns, len(captions), partial)
