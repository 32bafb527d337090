"""The meaning of `overlap=auto` for an export, decided once, before any image is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.geometry.tiles import are_tiles

if TYPE_CHECKING:
    from attneval.config.protocol import Protocol
    from attneval.export.read.content import AttentionExport

AUTO = "auto"
CELLS, BOXES = "cells", "boxes"
"""Kinds of regions."""


def settle_overlap(protocol: Protocol, export: AttentionExport | None) -> Protocol:
    """Put the overlap that an export's regions call for in place of `auto`.

    Cells of a grid, and boxes that are tiles, are small beside the things they lie on: what counts is how much of the
    cell lies inside (`iof`). Other boxes are meant to be of the thing (`iou`).

    Args:
        protocol: The protocol.
        export: The export; None where there are only similarities.
    """
    if protocol.overlap != AUTO:
        return protocol
    return replace(protocol, overlap="iof" if export is not None and has_cells(export) else "iou")


def region_kind(export: AttentionExport, asked: Protocol, settled: Protocol) -> str:
    """Name the kind of an export's regions: `CELLS` or `BOXES`.

    Args:
        export: The export.
        asked: The protocol as it was asked for.
        settled: The same with `auto` settled, which has looked at the regions already.
    """
    cells = settled.overlap == "iof" if asked.overlap == AUTO else export.regions.known and has_cells(export)
    return CELLS if cells else BOXES


def has_cells(export: AttentionExport) -> bool:
    """Tell whether an export's regions are cells of grids, or boxes that are tiles in every image."""
    regions = export.regions
    if regions.grid_shape is not None:
        return True
    if regions.box is None or export.caption_region is not None:
        return False
    return are_tiles(np.asarray(regions.box, np.float64), regions.offset)
