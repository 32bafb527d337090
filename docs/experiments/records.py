"""The records of a grid: a run is a line of `runs.jsonl`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def read(records: Path) -> list[dict[str, Any]]:
    """Read records; none where there is no file.

    They come in the order of the cells of `grid.json` beside them and then of the other grids there, whichever was made
    first.
    """
    if not records.exists():
        return []
    runs = [json.loads(line) for line in records.read_text(encoding="utf-8").splitlines()]
    grids = sorted(records.parent.glob("*.json"), key=lambda path: (path.name != "grid.json", path.name))
    cells = dict.fromkeys(cell for grid in grids for cell in json.loads(grid.read_text(encoding="utf-8"))["cells"])
    places = {cell: place for place, cell in enumerate(cells)}
    return sorted(runs, key=lambda run: places.get(run["constraints"], len(cells)))
