"""Results as the page reads them: the one place that knows the names in a result file.

A page shows what is in the result and leaves out what is not. Differences between two stored numbers are the only
arithmetic, and say which numbers they are of.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from attneval.config.protocol import Protocol
from attneval.config.thresholds import RULES
from attneval.metrics.floors import UNIFORM
from attneval.metrics.registry import find_metric, headline_of, metrics
from attneval.report.curve import drawn_metrics
from attneval.report.html.names import LETTERS, floor_title, is_of_sets, metric_title
from attneval.report.html.number import Number
from attneval.report.html.view import Channel, CurvePoint, CurveView, Floor, Lift, Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attneval.results.result import Result

_CHANNEL = re.compile(r"(?:L(\d+))?(?:H(\d+))?/(\w+)")


def pointer(*keys: str | int) -> str:
    """The JSON pointer (RFC 6901) of a place."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


class Source:
    """A result as JSON values, and its numbers with their places.

    Args:
        result: The result.
    """

    def __init__(self, result: Result) -> None:
        self.data: dict[str, Any] = result.to_dict()
        self.protocol: Protocol = result.protocol
        self.name = str(self.data["name"])
        self._lifts = [(metric.lift_of, metric.name) for metric in metrics() if metric.lift_of]
        # In early results nothing was attended where weights are even, so that not even recall was reached.
        self.everything_known = any(self.at("baselines", "uniform", name, "value") for name in self.swept)

    def at(self, *keys: str | int) -> Any:
        """Get what stands at a place; None if there is nothing."""
        value: Any = self.data
        for key in keys:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
                value = value[key]
            else:
                return None
        return value

    def number(self, *keys: str | int, style: str = "share") -> Number | None:
        """The number at a place; None if there is none."""
        value = self.at(*keys)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return Number(value, pointer(*keys), style=style)

    @property
    def headline(self) -> list[str]:
        """F1, precision and recall under the protocol's average."""
        return [metric.name for metric in headline_of(self.protocol.average)]

    @property
    def swept(self) -> list[str]:
        """Precision, recall and F1, which have curves over the threshold."""
        return [metric.name for metric in drawn_metrics()]

    def metric_names(self, *at: str) -> list[str]:
        """The metrics of the headline or of a channel."""
        return list(self.at(*at, "metrics") or {})

    def measure(
        self, name: str, *at: str, floors: tuple[str, ...] = tuple(LETTERS), half: bool = False
    ) -> Measure | None:
        """A metric of the headline, or of a channel, with what it is read against; None if it is not there."""
        place = (*at, "metrics", name)
        style = _style(name)
        value = self.number(*place, "value", style=style)
        if value is None:
            return None
        low, high = (self.number(*place, "ci", end, style=style) for end in (0, 1))
        known = tuple(self._floors(name, at, floors))
        best = max(known, key=lambda floor: floor.value.value or 0.0, default=None)
        named = self.at(*place, "above_floor", "floor")
        best = next((floor for floor in known if floor.name == named), best)
        ceiling = self.number(*at, "baselines", "oracle", name, "value")
        lift = self._lift(name, at, best, value, (low, high)) if _higher_is_better(name) else None
        has_state = not half and lift is not None and style == "share"
        if is_of_sets(name) and not self.everything_known:
            # The floor that is mostly the highest is missing.
            has_state = False
        return Measure(
            name=name,
            title=metric_title(name),
            value=value,
            low=low,
            high=high,
            floors=known,
            ceiling=ceiling,
            lift=lift,
            way=_way(value, best, ceiling) if has_state else None,
            state=state_of(lift) if has_state else "none",
            half=half,
            best=best,
        )

    def _floors(self, name: str, at: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[Floor]:
        metric = find_metric(name)
        if metric is not None and metric.difference_to:
            yield Floor("zero", "", metric.difference_to, Number(0.0, "zero:"))
            return
        for base in wanted:
            if base == "uniform" and is_of_sets(name) and not self.everything_known:
                continue
            value = self.number(*at, "baselines", base, name, "value")
            if value is not None:
                yield Floor(base, LETTERS.get(base, "?"), floor_title(base, name), value)

    def _lift(
        self,
        name: str,
        at: tuple[str, ...],
        best: Floor | None,
        value: Number,
        interval: tuple[Number | None, Number | None],
    ) -> Lift | None:
        if best is None:
            return None
        stored = self._paired((*at, "metrics", name, "above_floor"), "difference")
        if stored is not None and self.at(*at, "metrics", name, "above_floor", "floor") == best.name:
            return stored
        for place in self._lift_places(name, (*at, "metrics"), best.name):
            stored = self._paired(place, "value")
            if stored is not None:
                return stored
        low, high = (None if end is None else taken_off(end, best.value) for end in interval)
        return Lift(
            taken_off(value, best.value),
            low,
            high,
            # Nothing varies with the images in a floor of zero.
            paired=best.name == "zero",
        )

    def _lift_places(self, name: str, at: tuple[str, ...], base: str) -> list[tuple[str, ...]]:
        """Where a paired difference to a floor may be stored beside it, as a metric of its own."""
        return [(*at, lift) for of, lift in self._lifts if of == name and base == UNIFORM]

    def _paired(self, place: tuple[str, ...], name: str) -> Lift | None:
        """A stored difference that has an interval."""
        value, low, high = (self.number(*place, *key, style="signed") for key in ((name,), ("ci", 0), ("ci", 1)))
        return None if value is None or low is None else Lift(value, low, high, paired=True)

    def curve(self) -> CurveView | None:
        """The sweep of the threshold."""
        stored = self.at("curve")
        parameter, low, high, precision, recall, f1 = (
            tuple((stored or {}).get(key) or ()) for key in ("parameter", "lo", "hi", *self.swept)
        )
        if not f1:
            return None
        threshold = self.protocol.rule.value
        at = min(range(len(parameter)), key=lambda k: abs(parameter[k] - threshold))
        main = self.swept[-1]
        everything = self.number("baselines", "uniform", main, "value") if self.everything_known else None
        floors = []
        for base in LETTERS:
            three = [self.number("baselines", base, name, "value") for name in self.swept]
            if None not in three and (base != "uniform" or self.everything_known):
                floors.append((floor_title(base, main), *three))
        return CurveView(
            rule=RULES[stored["rule"]],
            parameter=parameter,
            precision=precision,
            recall=recall,
            f1=f1,
            low=low,
            high=high,
            at=self._curve_point(at),
            best=self._curve_point(f1.index(max(f1))),
            floor=everything,
            points=tuple(floors),  # type: ignore[arg-type]  # none of the three is None
        )

    def _curve_point(self, place: int) -> CurvePoint:
        parameter = self.number("curve", "parameter", place, style="plain")
        shares = (self.number("curve", name, place) for name in self.swept)
        return CurvePoint(place, *(number or Number(None) for number in (parameter, *shares)))

    def group_measure(self, kind: str, group: str, name: str) -> Measure | None:
        """A metric of a group of items; its floor is the group's, where the result tells it."""
        place = ("by", kind, group, name)
        value = self.number(*place, "value")
        if value is None:
            return None
        low, high = (self.number(*place, "ci", end) for end in (0, 1))
        metric = find_metric(name)
        base = metric.group_floor if metric is not None else "uniform"
        floor = self.number("by_baselines", kind, group, base, name, "value")
        if floor is None:
            return Measure(name, metric_title(name), value, low, high)
        best = Floor(base, LETTERS[base], floor_title(base, name), floor)
        places = self._lift_places(name, ("by", kind, group), base)
        lift = next(filter(None, (self._paired(place, "value") for place in places)), None)
        ends = [None if end is None else taken_off(end, floor) for end in (low, high)]
        lift = lift or Lift(taken_off(value, floor), ends[0], ends[1], paired=False)
        return Measure(name, metric_title(name), value, low, high, (best,), lift=lift, state=state_of(lift), best=best)

    def channels(self, names: list[str]) -> list[Channel]:
        """The channels of the headline's direction with some metrics; the mean of all is none of them."""
        direction = self.protocol.directions[0]
        channels = []
        for key in self.at("channels") or {}:
            matched = _CHANNEL.fullmatch(key)
            if key == f"all/{direction}" or not key.endswith(f"/{direction}"):
                continue
            layer, head = matched.group(1, 2) if matched else (None, None)
            measures = {
                name: measure
                for name in names
                if (measure := self.measure(name, "channels", key, floors=("uniform", "center"))) is not None
            }
            label = key.removesuffix(f"/{direction}")
            channels.append(
                Channel(
                    key, None if layer is None else int(layer), None if head is None else int(head), label, measures
                )
            )
        return channels

    def protocol_fields(self) -> list[tuple[str, str, bool]]:
        """Each field of the protocol with its value, and whether that is not the default."""
        default = Protocol()
        return [
            # What `auto` has settled on is no change.
            (spec.name, str(value), getattr(default, spec.name) not in {value, "auto"})
            for spec in fields(self.protocol)
            if (value := getattr(self.protocol, spec.name)) is not None
        ]


def taken_off(value: Number, floor: Number) -> Number:
    """A value minus a floor, in points."""
    difference = (value.value or 0.0) - (floor.value or 0.0)
    return Number(difference, value.source, minus=floor.source, style="signed")


def state_of(lift: Lift | None) -> str:
    """`above`, `at` or `below`: on which side of no difference the interval lies; `none` without an interval."""
    if lift is None or lift.low is None or lift.high is None:
        return "none"
    if (lift.low.value or 0.0) > 0:
        return "above"
    return "below" if (lift.high.value or 0.0) < 0 else "at"


def _way(value: Number, floor: Floor | None, ceiling: Number | None) -> Number | None:
    if floor is None or ceiling is None or floor.name == "zero":
        return None
    low, high, reached = floor.value.value or 0.0, ceiling.value or 0.0, value.value or 0.0
    if high <= low:
        return None
    return Number((reached - low) / (high - low), value.source, floor.value.source, ceiling.source, style="way")


def _higher_is_better(name: str) -> bool:
    metric = find_metric(name)
    return metric is None or metric.higher_is_better


def _style(name: str) -> str:
    metric = find_metric(name)
    unit = "share" if metric is None else metric.unit
    return {"rank": "rank", "nats": "plain"}.get(unit, "share")
