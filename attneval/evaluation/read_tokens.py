"""The tokens of a block of captions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.export.checks import check_spans
from attneval.export.problems import FileProblems

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport, TokenBlock


def read_tokens(export: AttentionExport, captions: NDArray[np.int64]) -> TokenBlock:
    """Read and check the tokens of some captions.

    Args:
        export: The export.
        captions: i8[c], rows of captions in the export.

    Raises:
        ExportError: Spans break the format.
    """
    tokens = export.tokens(captions)
    report = FileProblems(export.path)
    check_spans(report, export, captions, tokens)
    report.stop_if_broken()
    return tokens
