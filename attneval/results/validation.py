"""Checks of a file's sums: all that is computed from results is computed from them.

A file is held against what it says it holds, not against what this attneval would have written.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.arrays.records import record
from attneval.config.breakdowns import ALWAYS, BREAKDOWNS
from attneval.metrics.declaration import ATTENTION, FAITHFULNESS, SIMILARITY
from attneval.metrics.floors import FLOORS, floor_bounds
from attneval.metrics.populations import COUNTED, ITEMS, POPULATIONS, REACHED, has_attention
from attneval.metrics.ranks import DIRECTIONS
from attneval.metrics.registry import beside_bounds, columns, find_metric
from attneval.metrics.retrieval import query_column, rank_column
from attneval.metrics.sweep import CURVES, grid
from attneval.metrics.totals import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.metrics.declaration import Metric
    from attneval.metrics.totals import Table
    from attneval.results.scores import Measured, Scores
    from attneval.statistics.image_sums import ImageSums

TOLERANCE = 1e-9
"""How far numbers may be from what they follow from: so much of them, or just so much if they are small."""
_FLOORS = ("uniform", "shuffled")
"""The floors that totals always have."""


@record
class Holdings:
    """The metrics and columns that scores have to have, and may have.

    Attributes:
        metrics: Names of metrics.
        columns: Names of per-image columns.
        others: Names of metrics and columns that may be there as well.
    """

    metrics: tuple[str, ...]
    columns: tuple[str, ...]
    others: tuple[str, ...] = ()

    @classmethod
    def of_file(cls, holds: Any, scores: Scores) -> Holdings:
        """Read what a file says it holds; one from before files said so holds what it contains.

        Args:
            holds: The value of `holds` in the file; None if there is none.
            scores: The file's headline.

        Raises:
            ValueError: It is no lists of names.
        """
        if holds is None:
            return cls(tuple(scores.metrics), tuple(scores.sums.columns))
        names: dict[str, list[str]] = {}
        for key in ("metrics", "columns"):
            listed = holds.get(key) if isinstance(holds, dict) else None
            if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
                raise ValueError(f"holds has no list of {key}")
            names[key] = listed
        return cls(tuple(_without_aliases(names["metrics"])), tuple(names["columns"]))

    @cached_property
    def known(self) -> list[Metric]:
        """The metrics that this attneval knows."""
        return [metric for name in self.metrics if (metric := find_metric(name)) is not None]

    @property
    def of_attention(self) -> Holdings:
        """The part of it that a channel or direction has to have: there is no retrieval in them."""
        chosen = tuple(metric.name for metric in self.known if metric.group in ATTENTION)
        # Directions differ in the floors that there are.
        return Holdings(chosen, (), (*self.metrics, *self.columns, *floor_bounds()))

    def needed(self, scores: Scores) -> dict[str, None]:
        """List the columns that have to be there: those that it names, and those that its metrics declare."""
        needed = dict.fromkeys(self.columns)
        if scores.totals or scores.has_attention:
            declared = (name for metric in self.known if metric.group in ATTENTION for name in metric.columns)
            needed |= dict.fromkeys((*declared, *COUNTED))
        ranked = SIMILARITY if scores.has_retrieval else ()
        others = [metric for metric in self.known if metric.group in {FAITHFULNESS, *ranked}]
        needed |= dict.fromkeys(name for metric in others for name in metric.columns)
        return needed


def _without_aliases(names: list[str]) -> list[str]:
    """Names of metrics without those under which one of them was listed again."""
    by_name = {name: find_metric(name) for name in names}
    return [name for name in names if not ((m := by_name[name]) and m.name != name and m.name in by_name)]


def check_scores(scores: Scores, protocol: Protocol, holdings: Holdings, *, where: str = "") -> None:
    """Refuse sums that are not complete or not possible.

    Args:
        scores: The scores, as a file has them.
        protocol: What they were computed under.
        holdings: What they have to have.
        where: What leads to them in the file.

    Raises:
        ValueError: The sums cannot be what was added up once.
    """
    table, totals, image_id = scores.sums.columns, scores.totals, scores.sums.image_id
    for last, name in itertools.pairwise(image_id):
        if name <= last:
            raise ValueError(f"{where}per_image image_id has {name} after {last}: ids are in order, each of them once")
    _check_names(f"{where}metrics", scores.metrics, holdings.metrics, also=holdings.others)
    for place, measured in _tables(scores):
        _check_names(f"{where}{place}", measured, (), also=(*holdings.metrics, *holdings.others))
    _check_names(f"{where}per_image", table, holdings.needed(scores), also=holdings.others)
    rules = _Rules.of_registry()
    if has_attention(table):
        _check_totals(f"{where}totals", totals, protocol, set(table), rules)
    if scores.sums.ranks or any(rank_column(direction) in table for direction in DIRECTIONS):
        _check_ranks(f"{where}per_image", scores.sums)
    _check_limits(f"{where}per_image", table, rules, image_id)


def _tables(scores: Scores) -> Iterator[tuple[str, Mapping[str, Measured]]]:
    """The tables of metrics beside the headline, each with its place."""
    yield from ((f"baselines {name}", table) for name, table in scores.baselines.items())
    for kind, groups in scores.by.items():
        yield from ((f"by {kind} {group}", table) for group, table in groups.items())


def check_counts(counts: Mapping[str, Any], scores: Scores) -> None:
    """Refuse counts that are no counts or not those of the scores.

    Raises:
        ValueError: They cannot have been counted.
    """
    table, summed = scores.sums.columns, {}
    if has_attention(table):
        items, reached = (round(float(table[name].sum())) for name in (ITEMS, REACHED))
        summed = {"items": items, "unreachable": items - reached}
    for name, count in counts.items():
        if type(count) is not int or count < 0:
            raise ValueError(f"counts {name} is {count!r}")
        if summed.get(name, count) != count:
            raise ValueError(f"counts {name} is {count}, but its sums give {summed[name]}")


def _check_names(where: str, table: Any, expected: Iterable[str], also: Iterable[str] = ()) -> None:
    """A table has all that is expected, and nothing else but what it may have as well."""
    members = table if isinstance(table, dict) else {}
    lacking = [name for name in expected if name not in members]
    if lacking:
        raise ValueError(f"{where} has no {', '.join(lacking)}")
    unexpected = sorted(members.keys() - {*expected, *also})
    if unexpected:
        raise ValueError(f"{where} has {', '.join(unexpected)}, which is not known")


def _check_totals(where: str, totals: Any, protocol: Protocol, summed: set[str], rules: _Rules) -> None:
    """Totals are nested as `summarise` takes them, of the columns that are summed per image, in whole numbers."""
    _check_names(where, totals, ("sweep", *_FLOORS, "by"), also=FLOORS)
    _check_names(f"{where} sweep", totals["sweep"], CURVES)
    points = len(grid(protocol.rule))
    for name, curve in totals["sweep"].items():
        if not isinstance(curve, list) or len(curve) != points:
            raise ValueError(f"{where} sweep {name} is no list of {points} numbers")
    _whole(f"{where} sweep", totals["sweep"], rules)
    _check_names(f"{where} by", totals["by"], ALWAYS, also=BREAKDOWNS)
    declared = [name for name in columns(*ATTENTION) if name in summed]
    floors = {base: (totals[base], POPULATIONS) for base in FLOORS if base in totals}
    groups = {
        f"by {kind} {group}": (table, COUNTED)
        for kind, groups in totals["by"].items()
        for group, table in groups.items()
    }
    for name, (table, populations) in {**floors, **groups}.items():
        place = f"{where} {name}"
        _check_names(place, table, (*declared, *populations), also=summed)
        _check_limits(place, _whole(place, table, rules), rules)


def _check_ranks(where: str, sums: ImageSums) -> None:
    """The ranks of queries add up to what their images have."""
    _check_names(f"{where} ranks", sums.ranks, DIRECTIONS)
    for direction, table in sums.ranks.items():
        size = np.bincount(table.fold)
        weight = len(table.fold) / (np.count_nonzero(size) * size[table.fold])
        for name, values in {query_column(direction): weight, rank_column(direction): weight * table.rank}.items():
            in_file = sums.columns[name]
            expected = np.bincount(table.image, values, len(sums.image_id))
            off = np.abs(in_file - expected) > TOLERANCE * np.maximum(expected, 1)
            if off.any():
                row = int(off.argmax())
                image = sums.image_id[row]
                raise ValueError(
                    f"{where} {name} of image {image} is {in_file[row]:g}, but its ranks give {expected[row]:g}"
                )


@record
class _Rules:
    """What sums have to keep to, as the metrics of now declare it.

    Attributes:
        unsigned: The columns that may not be negative; nothing is known of others.
        limits: Columns, each with one that it cannot exceed.
    """

    unsigned: set[str]
    limits: list[tuple[str, str]]

    @classmethod
    def of_registry(cls) -> _Rules:
        specs, others = columns(), {**COUNTED, **floor_bounds(), **beside_bounds()}
        signed = {name for name, column in specs.items() if column.signed}
        bounds = [*((name, column.bounds) for name, column in specs.items()), *others.items()]
        limits = [(name, most) for name, names in bounds for most in names]
        return cls({*specs, *others, *CURVES} - signed, limits)


def _whole(where: str, table: Mapping[str, Any], rules: _Rules) -> Table:
    """The numbers that whole multiples of 1 / UNIT stand for."""
    for name, value in table.items():
        for number in value if isinstance(value, list) else [value]:
            if type(number) is not int or (number < 0 and name in rules.unsigned):
                raise ValueError(f"{where} {name} has {number!r} for a whole number")
    return {name: np.array(value) / UNIT for name, value in table.items()}


def _check_limits(where: str, table: Table, rules: _Rules, image_id: Sequence[str] = ()) -> None:
    """Sums are not negative, and no more than what those allow that count what they are sums of."""
    zero = np.zeros(1)
    for name, values in table.items():
        if name in rules.unsigned:
            _refuse_beyond(where, (None, zero), (name, values), image_id)
    for low, high in rules.limits:
        if low in table and high in table:
            _refuse_beyond(where, (low, table[low]), (high, table[high]), image_id)


def _refuse_beyond(
    where: str,
    low: tuple[str | None, NDArray[np.float64]],
    high: tuple[str, NDArray[np.float64]],
    image_id: Sequence[str],
) -> None:
    """Refuse sums of which some are more than those that they cannot exceed."""
    least, most = np.atleast_1d(low[1]), np.atleast_1d(high[1])
    beyond = least > most + TOLERANCE * np.maximum(most, 1)
    if not beyond.any():
        return
    row = int(beyond.argmax())
    image = f" of image {image_id[row]}" if image_id else ""
    if low[0] is None:
        raise ValueError(f"{where} {high[0]}{image} is {most[row]:g}, less than 0")
    raise ValueError(f"{where} {low[0]}{image} is {least[row]:g}, more than the {most[row]:g} of {high[0]}")
