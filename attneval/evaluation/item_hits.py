"""Items in chunks, and their rows held against sets of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.metrics.fast_hits import PAYS, TableHits, rows_of_sets
from attneval.metrics.hits import Hits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from attneval.matching.items import Items
    from attneval.metrics.declaration import Column
    from attneval.metrics.rankings import Rows
    from attneval.metrics.totals import Table


CHUNK = 2**16
"""Weights that are ranked together, so that they stay in the cache."""


def sums_by_image(items: Items, values: NDArray[np.float64], images: int) -> NDArray[np.float64]:
    """Sum numbers f8[m] of items over the items of each image: f8[I]."""
    return np.asarray(np.bincount(items.image, values, images), np.float64)


def counted_columns(specs: dict[str, Column], values: Table, over: Table) -> Table:
    """Count the entries f8[m] of columns as often as their populations do, and add the populations f8[m]."""
    return {name: values[name] * over[spec.over] for name, spec in specs.items()} | over


def hits_of(items: Items, rows: Rows, row: NDArray[np.int64], of: NDArray[np.int64]) -> dict[str, Hits]:
    """Hold pairs against each kind of sets; kinds that are the same sets share the work.

    Args:
        items: The items.
        rows: Ranked rows.
        row: i8[p], the row of each pair.
        of: i8[p], the set of each pair.
    """
    made: dict[int, Hits] = {}
    least, together = PAYS * np.count_nonzero(np.bincount(of)), None
    for sets in items.sets.values():
        hits = Hits(rows, row, sets, of, items.pixels, items.maps)
        if 0 < least <= hits.relevant.sum():
            together = rows_of_sets(row, of) if together is None else together
            hits = TableHits(rows, row, sets, of, items.pixels, items.maps, together) if together else hits
        made.setdefault(id(sets), hits)
    return {kind: made[id(sets)] for kind, sets in items.sets.items()}


def evaluated(specs: dict[str, Column], hits: dict[str, Hits]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Compute columns f8[p] of pairs, one after the other, each against the kind of sets that it asks for."""
    return ((name, spec.values(hits[spec.against])) for name, spec in specs.items())


def item_chunks(items: Items, usable: NDArray[np.bool_], *, whole: bool = False) -> Iterator[NDArray[np.int64]]:
    """Split items into groups with equally many keys, small enough for the cache, never within an image.

    An image's sums must not depend on which other images are scored with it, to the last bit.

    Args:
        items: m items.
        usable: b[m], the items to split.
        whole: Whether all items with equally many keys stay together.
    """
    for n in distinct_values(items.key_count[usable]).tolist():
        rows = np.flatnonzero(usable & (items.key_count == n))
        if whole:
            yield rows
            continue
        first = np.searchsorted(items.image[rows], items.image[rows])
        number = first * n // CHUNK
        yield from np.split(rows, np.flatnonzero(np.diff(number)) + 1)


def zero_columns(specs: dict[str, Column], count: int) -> Table:
    """Make columns f8[count] of zeros."""
    return {name: np.zeros(count) for name in specs}
