"""Several results side by side, from a comparison as JSON values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attneval.metrics.registry import find_metric
from attneval.report.html.model import pointer
from attneval.report.html.number import Number, Strong

if TYPE_CHECKING:
    from attneval.report.html.number import Sentence

WAYS = {"i2t": "image\u2192text", "t2i": "text\u2192image"}
LARGEST = 3


@dataclass(frozen=True)
class SystemCell:
    """A system's value of a metric, with the letters of the systems it is significantly better than."""

    value: Number
    marks: str
    best: bool


@dataclass(frozen=True)
class Change:
    """The difference of a system to the first one in one metric.

    Attributes:
        metric: How it is called.
        value: The difference.
        low: The lower end of its interval.
        high: The upper end.
        p: Two-sided.
        p_holm: After adjustment, None where the metric is not in the family.
        counts: Images won, tied and lost.
        state: `above`, `at` or `below`: significantly better, neither, significantly worse; `none` outside the family.
    """

    metric: str
    value: Number
    low: Number | None
    high: Number | None
    p: Number
    p_holm: Number | None
    counts: tuple[Number, Number, Number] | None
    state: str


@dataclass(frozen=True)
class Systems:
    """Several results side by side.

    Attributes:
        names: With their letters, the first result first.
        columns: The metrics.
        rows: One per system, one cell per metric.
        sentences: One per candidate.
        changes: By candidate, one per metric that both have.
        limit: The end of the common axis of changes.
        alpha: The level of significance.
        notes: What a reader has to know.
    """

    names: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[SystemCell, ...], ...]
    sentences: tuple[Sentence, ...]
    changes: tuple[tuple[Change, ...], ...]
    limit: float
    alpha: float
    notes: tuple[str, ...]


def systems(comparison: dict[str, Any]) -> Systems:
    """Lay out a comparison.

    Args:
        comparison: What `attneval compare -f json` writes.
    """
    names = [str(name) for name in comparison["systems"]]
    letters = {name: _letter(place) for place, name in enumerate(names)}
    metrics: dict[str, Any] = comparison["metrics"]
    rows = tuple(tuple(_cell(metric, line, name, letters) for metric, line in metrics.items()) for name in names)
    changes = []
    for name in names[1:]:
        drawn = (_change(metric, line, name, float(comparison["alpha"])) for metric, line in metrics.items())
        changes.append(tuple(change for change in drawn if change is not None))
    ends = [
        abs(n.value or 0.0) for listed in changes for c in listed for n in (c.value, c.low, c.high) if n is not None
    ]
    return Systems(
        names=tuple((letters[name], name) for name in names),
        columns=tuple(short_title(metric) for metric in metrics),
        rows=rows,
        sentences=tuple(
            _sentence(letters[name], name, listed) for name, listed in zip(names[1:], changes, strict=True)
        ),
        changes=tuple(changes),
        limit=max(-(-max(ends, default=0.1) // 0.1) * 0.1, 0.1),
        alpha=float(comparison["alpha"]),
        notes=tuple(map(str, comparison["notes"])),
    )


def short_title(metric: str) -> str:
    """A metric's title for the head of a column."""
    known = find_metric(metric)
    if known is None:
        return metric
    return f"{WAYS[known.direction]} {known.label}" if known.direction else known.in_papers


def _is_rank(metric: str) -> bool:
    known = find_metric(metric)
    return known is not None and known.unit == "rank"


def _letter(place: int) -> str:
    return ("" if place < 26 else _letter(place // 26 - 1)) + chr(ord("a") + place % 26)


def _cell(metric: str, line: dict[str, Any], name: str, letters: dict[str, str]) -> SystemCell:
    value = line["value"][name]
    style = "rank" if _is_rank(metric) else "share"
    better = [letters[other] for other in line["better_than"].get(name, ())]
    marks = ("," if any(len(mark) > 1 for mark in letters.values()) else "").join(better)
    number = Number(value, "compare:" + pointer("metrics", metric, "value", name), style=style)
    return SystemCell(number, marks, value is not None and name in line["best"])


def _change(metric: str, line: dict[str, Any], name: str, alpha: float) -> Change | None:
    difference = line["difference"].get(name)
    if difference is None or _is_rank(metric):
        return None
    place = "compare:" + pointer("metrics", metric, "difference", name)

    def number(value: float | None, *keys: str | int, style: str = "signed") -> Number | None:
        return None if value is None else Number(value, place + pointer(*keys), style=style)

    low, high = difference["ci"] or (None, None)
    holm = difference.get("p_holm")
    # A metric outside the family has no adjusted p-value, and no letters.
    significant = holm is not None and holm < alpha
    better = (difference["delta"] > 0) == bool(line["higher_is_better"])
    counts = [difference.get(key) for key in ("wins", "ties", "losses")]
    numbers = [number(count, key, style="count") for key, count in zip(("wins", "ties", "losses"), counts, strict=True)]
    return Change(
        metric=short_title(metric),
        value=number(difference["delta"], "delta") or Number(None),
        low=number(low, "ci", 0),
        high=number(high, "ci", 1),
        p=number(difference["p"], "p", style="p") or Number(None),
        p_holm=number(holm, "p_holm", style="p"),
        counts=None if None in numbers else (numbers[0], numbers[1], numbers[2]),  # type: ignore[arg-type]  # none is None
        state="none" if holm is None else ("above" if better else "below") if significant else "at",
    )


def _sentence(letter: str, name: str, changes: tuple[Change, ...]) -> Sentence:
    parts: list[str | Number | Strong] = [Strong(f"{letter} {name}")]
    sides = {state: [c for c in changes if c.state == state] for state in ("above", "below")}
    if not any(sides.values()):
        return (*parts, " is told apart from the first system by none of ", _count(len(changes)), " metrics.")
    parts.append(" is significantly ")
    for word, state in (("better", "above"), ("worse", "below")):
        chosen = sorted(sides[state], key=lambda c: -abs(c.value.value or 0.0))
        if not chosen:
            continue
        if state == "below" and sides["above"]:
            parts.append(" and ")
        parts += [f"{word} on ", _count(len(chosen))]
        for place, change in enumerate(chosen[:LARGEST]):
            parts += [" (" if place == 0 else ", ", f"{change.metric} ", change.value]
        parts.append(", \u2026)" if len(chosen) > LARGEST else ")")
    return (*parts, " of ", _count(len(changes)), " metrics.")


def _count(value: int) -> Number:
    return Number(value, "page:count", style="count")
