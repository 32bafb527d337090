"""A file's values held against its sums: what a result says twice has to be the same twice.

Everything that is shown or decided by follows from sums: values, intervals, floors, breakdowns and curves are computed
again, and a file that says something else is refused. What this attneval cannot compute from the sums, since another
one wrote them, is left out. Of single channels the intervals, by which nothing is decided, are taken as they are: with
many channels resampling takes longer than all other reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attneval.errors import first_of
from attneval.metrics.floors import UNIFORM
from attneval.metrics.registry import find_metric
from attneval.metrics.sweep import CURVES
from attneval.results.notes import LEFT_OUT_OF_FILE, Note
from attneval.results.summary import summarise
from attneval.results.validation import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from attneval.config.protocol import Protocol
    from attneval.results.scores import Curve, FloorGap, Measured, Scores

    Tables = dict[str, Measured]


def held_against_sums(
    scores: Scores, protocol: Protocol, *, resamples: int, seed: int, intervals: bool = True, where: str = ""
) -> tuple[Scores, list[str]]:
    """Compute everything again from the sums of a file, and refuse what it has otherwise.

    Args:
        scores: The scores, as a file has them; their sums are complete and possible.
        protocol: What they were computed under.
        resamples: How many bootstrap resamples the file's intervals took.
        seed: Of the resamples.
        intervals: False to leave intervals as they are.
        where: What leads to them in the file.

    Returns:
        The scores without what cannot be computed from the sums, and the places of that.

    Raises:
        ValueError: A value, an interval, a count or a curve is not what the sums give.
    """
    again = summarise(scores.sums, scores.totals, protocol, resamples=resamples, seed=seed, with_intervals=intervals)
    held = _Held(where, intervals)
    _same_curve(f"{where}curve", scores.curve, again.curve)
    for kind, groups in scores.by_images.items():
        for name, count in groups.items():
            expected = again.by_images.get(kind, {}).get(name)
            if count != expected:
                raise ValueError(f"{where}by_images {kind} {name} is {count}, but the sums give {expected}")
    kept = replace(
        scores,
        metrics=held.table("metrics", scores.metrics, again.metrics),
        baselines=held.tables("baselines", scores.baselines, again.baselines),
        by={kind: held.tables(f"by {kind}", groups, again.by.get(kind, {})) for kind, groups in scores.by.items()},
        by_baselines={
            kind: {
                name: held.tables(f"by_baselines {kind} {name}", floors, again.by_baselines.get(kind, {}).get(name, {}))
                for name, floors in groups.items()
            }
            for kind, groups in scores.by_baselines.items()
        },
    )
    return kept, held.left_out


def notes_on_left_out(places: Iterable[str], protocol: Protocol) -> list[Note]:
    """Note what of a file was left out, since it does not follow from the file's sums.

    Args:
        places: The places, see `held_against_sums`.
        protocol: The file's protocol: under the first definitions even attention attended to nothing.
    """
    floors = f"baselines {UNIFORM} "
    uniform = [place.removeprefix(floors) for place in places if place.startswith(floors)]
    others = [place for place in places if not place.startswith(floors)]
    notes = []
    if uniform and protocol.definitions == 1:
        notes.append(
            f"the floors of even attention are left out for {', '.join(uniform)}: "
            "under signature version 1 it attended to nothing"
        )
        uniform = []
    others += [f"{floors}{name}" for name in uniform]
    if others:
        notes.append(f"left out, since this attneval cannot compute it from the sums: {first_of(others)}")
    return [Note(text, LEFT_OUT_OF_FILE) for text in notes]


@dataclass
class _Held:
    """Tables held against others, and what they could not be held against."""

    where: str
    intervals: bool
    left_out: list[str] = field(default_factory=list)

    def tables(self, place: str, tables: Mapping[str, Tables], again: Mapping[str, Tables]) -> dict[str, Tables]:
        """Tables by name, without those of which nothing is left."""
        kept = {name: self.table(f"{place} {name}", table, again.get(name, {})) for name, table in tables.items()}
        return {name: table for name, table in kept.items() if table or not tables[name]}

    def table(self, place: str, table: Tables, again: Tables) -> Tables:
        """The metrics of a table, without those that this attneval knows and cannot compute."""
        kept = {}
        for name, measured in table.items():
            if name in again:
                same_measured(f"{self.where}{place} {name}", measured, again[name], intervals=self.intervals)
            elif find_metric(name) is not None:
                self.left_out.append(f"{self.where}{place} {name}")
                continue
            kept[name] = measured
        return kept


def same_measured(place: str, measured: Measured, again: Measured, *, intervals: bool = True) -> None:
    """Refuse a value, a count or an interval that is not what the sums give; an interval may be missing.

    Args:
        place: Where it stands in the file.
        measured: What the file has.
        again: What the sums give.
        intervals: False to leave intervals as they are.

    Raises:
        ValueError: They differ.
    """
    _same_numbers(f"{place} value", (measured.value,), (again.value,))
    if measured.n != again.n:
        raise ValueError(f"{place} n is {measured.n}, but the sums give {again.n}")
    if intervals:
        _same_interval(f"{place} ci", measured.ci, again.ci)
    if measured.above_floor is not None:
        _same_gap(f"{place} above_floor", measured.above_floor, again.above_floor, intervals=intervals)


def _same_gap(place: str, gap: FloorGap, again: FloorGap | None, *, intervals: bool) -> None:
    if again is None or gap.floor != again.floor:
        raise ValueError(f"{place} is to {gap.floor}, but the sums give {'none' if again is None else again.floor}")
    _same_numbers(f"{place} difference", (gap.difference,), (again.difference,))
    if intervals:
        _same_interval(f"{place} ci", gap.ci, again.ci)


def _same_interval(place: str, ci: tuple[float, float] | None, again: tuple[float, float] | None) -> None:
    if ci is not None:
        _same_numbers(place, ci, (None, None) if again is None else again)


def _same_curve(place: str, curve: Curve | None, again: Curve | None) -> None:
    if curve is None or again is None:
        if curve is not again:
            raise ValueError(f"{place} is {'missing' if curve is None else 'there'}, which its sums are not")
        return
    if curve.rule != again.rule:
        raise ValueError(f"{place} rule is {curve.rule}, but the protocol gives {again.rule}")
    for name in ("parameter", *CURVES):
        values, expected = getattr(curve, name), getattr(again, name)
        if len(values) != len(expected):
            raise ValueError(f"{place} {name} has {len(values)} numbers, expected {len(expected)}")
        _same_numbers(f"{place} {name}", values, expected)


def _same_numbers(place: str, values: Sequence[float | None], again: Sequence[float | None]) -> None:
    for value, expected in zip(values, again, strict=True):
        if value is None or expected is None:
            equal = value is expected
        else:
            equal = abs(value - expected) <= TOLERANCE * max(1.0, abs(expected))
        if not equal:
            raise ValueError(f"{place} is {value}, but the sums give {expected}")
