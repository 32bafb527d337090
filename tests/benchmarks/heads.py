"""Many channels: all heads of a model over a grid, against the least that any reader of the maps must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval import Options, Protocol, score

from .made import write_entities, write_export
from .timing import at_most, compared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .timing import Row

GRID = (24, 24)
STEP = 256
"""Rows of a pass that fit the cache."""


def channels(folder: Path, entities: Path | None, runs: int, *, heads: int = 1024, images: int = 40) -> Iterator[Row]:
    """Score every head, in one process, against one pass that reads the float16 maps and sums their rows.

    One pass takes about a nanosecond a weight, so that the bound stands for 200 million weights a second.
    """
    truth, maps = folder / "heads" / "entities", folder / "heads" / "maps.npz"
    ids = write_entities(truth, images, entities)
    write_export(maps, truth, ids, grid=GRID, channels=heads, sentences=1, dtype="float16")

    def ours() -> object:
        return score(maps, truth, protocol=Protocol(missing="skip"), options=Options(resamples=0))

    with np.load(maps) as members:
        rows = members["attention"].reshape(-1, GRID[0] * GRID[1])

    def one_pass() -> object:
        return [rows[first : first + STEP].astype(np.float64).sum(axis=1) for first in range(0, len(rows), STEP)]

    work = f"{heads:,} heads x {GRID[0] * GRID[1]} cells, {rows.size / 1e6:,.0f} million weights"
    yield compared(work, ours, "one pass over the maps", one_pass, at_most(5), runs)
