"""Whether the sums of a file are complete and possible: all that is computed from results is computed from them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.config.protocol import DIRECTIONS
from attneval.metrics.registry import columns
from attneval.metrics.retrieval import COLUMNS
from attneval.metrics.sweep import CURVES, grid
from attneval.metrics.totals import UNIT
from attneval.results.summary import ATTENTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from attneval.config.protocol import Protocol
    from attneval.metrics.totals import Table
    from attneval.results.scores import Scores
    from attneval.statistics.image_sums import ImageSums

TOLERANCE = 1e-9
"""How far numbers may be from what they follow from: so much of them, or just so much if they are small."""
_BASELINES = ("uniform", "center", "shuffled")
_POPULATIONS = ("items", "scored")
_SUMS = (*_POPULATIONS, "reached", "shuffled_f1", "shuffled_n")
"""The columns of attention that no metric declares; baselines have the populations only."""


def check_scores(scores: Scores, protocol: Protocol, *, where: str = "") -> None:
    """Refuse sums that are not complete or not possible.

    Args:
        scores: As a file has them.
        protocol: What they were computed under.
        where: What leads to them in the file.

    Raises:
        ValueError: The sums cannot be what was added up once.
    """
    table, totals, image_id = scores.sums.columns, scores.totals, scores.sums.image_id
    for last, name in itertools.pairwise(image_id):
        if name <= last:
            raise ValueError(f"{where}per_image image_id has {name} after {last}: ids are in order, each of them once")
    attention = (*columns(*ATTENTION), *_SUMS)
    retrieval = tuple(f"{direction}_{name}" for direction in DIRECTIONS for name in COLUMNS)
    needed = (attention if totals or "items" in table else ()) + (retrieval if "i2t_n" in table else ())
    _check_names(f"{where}per_image", table, needed, also=(*attention, *retrieval))
    if "items" in table:
        _check_totals(f"{where}totals", totals, protocol)
    if "i2t_n" in table:
        _check_ranks(f"{where}per_image", scores.sums)
    _check_limits(f"{where}per_image", table, image_id)


def check_counts(counts: Mapping[str, Any], scores: Scores) -> None:
    """Refuse counts that are no counts or not those of the scores.

    Raises:
        ValueError: They cannot have been counted.
    """
    table, summed = scores.sums.columns, {}
    if "items" in table:
        items, reached = (round(float(table[name].sum())) for name in ("items", "reached"))
        summed = {"items": items, "unreachable": items - reached}
    for name, count in counts.items():
        if type(count) is not int or count < 0:
            raise ValueError(f"counts {name} is {count!r}")
        if summed.get(name, count) != count:
            raise ValueError(f"counts {name} is {count}, but its sums give {summed[name]}")


def _check_names(where: str, table: Any, expected: Iterable[str], also: Iterable[str] = ()) -> None:
    """A table has all that is expected, and nothing else but what it may have as well."""
    found = table if isinstance(table, dict) else {}
    lacking = [name for name in expected if name not in found]
    if lacking:
        raise ValueError(f"{where} has no {', '.join(lacking)}")
    strange = sorted(found.keys() - {*expected, *also})
    if strange:
        raise ValueError(f"{where} has {', '.join(strange)}, which is not known")


def _check_totals(where: str, totals: Any, protocol: Protocol) -> None:
    """Totals are nested as `attneval.evaluation.sum_items.Scored` has them, and made of whole numbers."""
    _check_names(where, totals, ("sweep", "uniform", "shuffled", "by"), also=_BASELINES)
    _check_names(f"{where} sweep", totals["sweep"], CURVES)
    points = len(grid(protocol.rule))
    for name, curve in totals["sweep"].items():
        if not isinstance(curve, list) or len(curve) != points:
            raise ValueError(f"{where} sweep {name} is no list of {points} numbers")
    _whole(f"{where} sweep", totals["sweep"])
    _check_names(f"{where} by", totals["by"], ("type", "area", "length"))
    metrics = columns(*ATTENTION)
    for base in totals.keys() & {*_BASELINES}:
        _check_names(f"{where} {base}", totals[base], (*metrics, *_POPULATIONS))
        _check_limits(f"{where} {base}", _whole(f"{where} {base}", totals[base]))
    for kind, groups in totals["by"].items():
        for group, table in groups.items():
            place = f"{where} by {kind} {group}"
            _check_names(place, table, (*metrics, *_SUMS))
            _check_limits(place, _whole(place, table))


def _check_ranks(where: str, sums: ImageSums) -> None:
    """The ranks of queries add up to what their images have."""
    _check_names(f"{where} ranks", sums.ranks, DIRECTIONS)
    for direction, table in sums.ranks.items():
        size = np.bincount(table.fold)
        weight = len(table.fold) / (np.count_nonzero(size) * size[table.fold])
        for name, values in {"n": weight, "rank": weight * table.rank}.items():
            found = sums.columns[f"{direction}_{name}"]
            expected = np.bincount(table.image, values, len(sums.image_id))
            off = np.abs(found - expected) > TOLERANCE * np.maximum(expected, 1)
            if off.any():
                row = int(off.argmax())
                of = f"{direction}_{name} of image {sums.image_id[row]}"
                raise ValueError(f"{where} {of} is {found[row]:g}, but its ranks give {expected[row]:g}")


def _whole(where: str, table: Mapping[str, Any]) -> Table:
    """The numbers that whole multiples of 1 / UNIT stand for."""
    for name, value in table.items():
        for number in value if isinstance(value, list) else [value]:
            if type(number) is not int or number < 0:
                raise ValueError(f"{where} {name} has {number!r} for a whole number")
    return {name: np.array(value) / UNIT for name, value in table.items()}


def _limits() -> Iterator[tuple[str, str]]:
    """Columns, each with one that it cannot exceed."""
    yield from ((name, column.over) for name, column in columns(*ATTENTION).items() if not column.counts_keys)
    yield from (("tp", "attended"), ("tp", "relevant"), ("entropy", "entropy_n"))
    yield from (("scored", "items"), ("reached", "items"), ("shuffled_n", "scored"), ("shuffled_f1", "shuffled_n"))
    for direction in DIRECTIONS:
        yield from ((f"{direction}_{name}", f"{direction}_n") for name in COLUMNS if name.startswith("r@"))
        yield f"{direction}_n", f"{direction}_rank"


def _check_limits(where: str, table: Table, image_id: Sequence[str] = ()) -> None:
    """Sums are between 0 and what those allow that count what they are sums of."""
    pairs = [(low, high) for low, high in _limits() if low in table and high in table]
    for low, high in [*(("0", name) for name in table), *pairs]:
        least, most = np.atleast_1d(table.get(low, 0.0)), np.atleast_1d(table[high])
        beyond = least > most + TOLERANCE * np.maximum(most, 1)
        if beyond.any():
            row = int(beyond.argmax())
            of = f" of image {image_id[row]}" if image_id else ""
            if low == "0":
                raise ValueError(f"{where} {high}{of} is {most[row]:g}, less than 0")
            raise ValueError(f"{where} {low}{of} is {least[row]:g}, more than the {most[row]:g} of {high}")
