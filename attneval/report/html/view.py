"""Measures with what they are read against, as plain data: no chart knows how a result is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attneval.config.thresholds import ThresholdRule
    from attneval.report.html.number import Number


@dataclass(frozen=True)
class Floor:
    """The score of attention without knowledge of the phrase.

    Attributes:
        name: `uniform`, `center` or `shuffled`.
        letter: How charts mark it.
        title: How sentences call it.
        value: Its score.
    """

    name: str
    letter: str
    title: str
    value: Number


@dataclass(frozen=True)
class Lift:
    """The difference to the best floor.

    Attributes:
        value: In points.
        low: The lower end of its 95 % interval, None without one.
        high: The upper end.
        paired: Whether the interval is that of the paired difference; otherwise the value's, with the floor held fixed.
    """

    value: Number
    low: Number | None
    high: Number | None
    paired: bool


@dataclass(frozen=True)
class Measure:
    """A metric with everything that it is read against.

    Attributes:
        name: The metric.
        title: How it is called.
        value: The model's value.
        low: The lower end of its 95 % interval, None without one.
        high: The upper end.
        floors: What needs no model.
        ceiling: What perfect attention would score.
        lift: Against the best floor.
        way: The share of the way from the best floor to the ceiling.
        state: `above`, `at` or `below` the best floor; `none` where there is nothing to hold it against.
        half: Whether it is read together with the metric before it.
        best: The highest floor, where the result says which it is.
    """

    name: str
    title: str
    value: Number
    low: Number | None = None
    high: Number | None = None
    floors: tuple[Floor, ...] = ()
    ceiling: Number | None = None
    lift: Lift | None = None
    way: Number | None = None
    state: str = "none"
    half: bool = False
    best: Floor | None = None

    @property
    def best_floor(self) -> Floor | None:
        """The highest floor."""
        return self.best or max(self.floors, key=lambda floor: floor.value.value or 0.0, default=None)


@dataclass(frozen=True)
class CurveView:
    """The sweep of the threshold.

    Attributes:
        rule: The threshold rule.
        parameter: The thresholds, ascending.
        precision: At each of them; so are the others.
        recall: See `precision`.
        f1: See `precision`.
        low: The lower end of F1's interval, empty without one.
        high: The upper end.
        at: The protocol's threshold.
        best: The threshold with the largest F1.
        floor: F1 of attending to everything.
        points: Floors, each with precision, recall and F1.
    """

    rule: ThresholdRule
    parameter: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    at: CurvePoint
    best: CurvePoint
    floor: Number | None
    points: tuple[tuple[str, Number, Number, Number], ...]


@dataclass(frozen=True)
class CurvePoint:
    """One threshold of a sweep: its place in the lists, and its numbers."""

    place: int
    parameter: Number
    precision: Number
    recall: Number
    f1: Number


@dataclass(frozen=True)
class Channel:
    """A layer's or head's measures by metric."""

    key: str
    layer: int | None
    head: int | None
    name: str
    measures: dict[str, Measure]
