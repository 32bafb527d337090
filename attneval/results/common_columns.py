"""Columns that the parts of a whole have in common, and the images that each part adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.metrics.declaration import ATTENTION, FAITHFULNESS
from attneval.metrics.faithfulness import ORDERED, count_column
from attneval.metrics.floors import FLOORS, floor_bounds
from attneval.metrics.populations import COUNTED, ITEMS
from attneval.metrics.registry import beside_bounds
from attneval.metrics.registry import columns as registered
from attneval.metrics.totals import GroupTotals
from attneval.statistics.image_sums import shared_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.metrics.totals import Totals
    from attneval.results.scores import Scores
    from attneval.statistics.image_sums import ImageSums


def common_columns(parts: Sequence[ImageSums]) -> list[str]:
    """List the columns of attention that all parts have and metrics declare, in the order of the first."""
    known = {*registered(*ATTENTION), *beside_bounds(), *COUNTED, *floor_bounds()}
    return [name for name in shared_names(sums.columns for sums in parts) if name in known] if parts else []


def common_faithfulness(parts: Sequence[Scores]) -> list[str]:
    """List the columns of faithfulness that all parts have which might, not having retrieval alone."""
    able = [part.sums.columns for part in parts if part.has_attention or part.has_faithfulness]
    return [name for name in registered(FAITHFULNESS) if able and all(name in columns for columns in able)]


def rows_perturbed(sums: ImageSums) -> NDArray[np.int64]:
    """Find the images with a caption that has a gap: i8[k], their rows; others add nothing."""
    counts = [sums.columns[name] for name in map(count_column, ORDERED) if name in sums.columns]
    return np.flatnonzero(np.logical_or.reduce([count > 0 for count in counts]))


def with_columns(totals: Totals, names: Sequence[str]) -> Totals:
    """Leave out of totals the columns of floors and groups that not all parts have.

    Args:
        totals: Exact totals, as `summarise` takes them.
        names: The columns that all parts have.
    """
    by: Any = totals.get("by", {})
    kept: Any = dict(totals)
    kept |= {base: _chosen(totals[base], names) for base in FLOORS if base in totals}
    if by:
        kept["by"] = {kind: GroupTotals.of(groups).with_columns(names) for kind, groups in by.items()}
    return dict(kept)


def _chosen(table: Any, names: Sequence[str]) -> Any:
    return {name: value for name, value in table.items() if name in names}


def rows_scored(sums: ImageSums, images: int) -> NDArray[np.int64]:
    """Find the images whose attention was scored, of which there are so many: i8[k], their rows.

    Where these are not all, the others have retrieval alone and zeros for attention. So has an image without items,
    which adds nothing wherever it is.
    """
    return np.arange(images) if images == len(sums.image_id) else np.flatnonzero(sums.columns[ITEMS])
