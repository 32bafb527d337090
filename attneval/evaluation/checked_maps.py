"""Maps of an export, read and checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attneval.arrays.halves import as_singles
from attneval.errors import ExportError
from attneval.export.checks import check_maps
from attneval.export.problems import FileProblems

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport, MapBlock


def read_maps(export: AttentionExport, rows: NDArray[np.int64], direction: str) -> MapBlock:
    """The maps of some captions, checked.

    Args:
        export: The export.
        rows: i8[c], the captions.
        direction: `t2i` or `i2t`.

    Raises:
        ExportError: They break the format, or the export has none in this direction.
    """
    maps, header = export.maps, export.header
    name = direction
    if direction not in maps:
        # Scores of pairs have no direction, and weights over tokens are region-to-word weights.
        undirected = header.kind != "attention" and header.normalised_over == "none"
        if header.normalised_over != "tokens" and not undirected:
            raise ExportError(
                f"{export.path} has no region-to-word maps",
                hint="direction i2t needs attention_i2t (attn_i2t), or weights normalised over tokens",
            )
        name = "t2i"
    block = maps[name].take(rows)
    # Converted once, for the checks and for all that is read of it.
    block = replace(block, flat=as_singles(block.flat))
    report = FileProblems(export.path)
    check_maps(report, export, name, rows, block)
    report.stop_if_broken()
    return block
