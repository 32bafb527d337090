"""Lints of an export beside annotations, which know the sizes of images where the export does not say them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.export.lints import cheap_lints
from attneval.results.notes import LINT, Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.evaluation.add_up import RunSums
    from attneval.export.read.content import AttentionExport


def lint_notes(export: AttentionExport, sums: RunSums) -> list[Note]:
    """Note what looks wrong in an export, as far as that is told in little time.

    Args:
        export: The export.
        sums: The sums of its blocks.
    """
    return [Note(str(lint), LINT) for lint in cheap_lints(export, annotated_sizes(export, sums))]


def annotated_sizes(export: AttentionExport, sums: RunSums) -> NDArray[np.int64]:
    """Gather the sizes i8[I, 2] of images that annotations say and the export does not; zeros for the others.

    Args:
        export: The export.
        sums: The sums of its blocks.
    """
    return np.array([sums.sizes.get(name, (0, 0)) for name in export.image_id], np.int64).reshape(-1, 2)
