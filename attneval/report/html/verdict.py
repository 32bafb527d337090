"""The answer to the page's first question: what lies above what needs no model, and what qualifies that."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from attneval.metrics.declaration import AMOUNT, ORDER, PEAK, SET, SPREAD, USE, WORD
from attneval.metrics.registry import ceiling, in_table
from attneval.report.html.number import Number, Strong

if TYPE_CHECKING:
    from attneval.report.html.model import Source
    from attneval.report.html.number import Sentence
    from attneval.report.html.sections import Breakdown
    from attneval.report.html.view import CurveView, Measure

NOTES = 6
WAY_APART, BEST_APART = 0.15, 0.03
DIFFUSE, PEAKED = 0.75, 0.25
ASKED = {
    SET: "Set: are the attended {keys} the relevant ones?",
    ORDER: "Order: do relevant {keys} rank first? No threshold.",
    PEAK: "Peak: is the largest weight right? R@k: one of the k largest; over all items.",
    AMOUNT: "Amount: how much weight lies on relevant {keys}?",
    WORD: "Word: how much of F1 is lost when maps are held against other things in the image?",
    USE: "Use: does the model\u2019s own score follow the attended regions when they are removed, or kept alone?",
}
"""The questions in the order of the page; how far attention is spread is no score, and stands in the notes."""
FLOOR_WORDS = {
    "everything": "attending to everything",
    "even weights": "even weights",
    "centre": "looking at the centre",
    "shuffled": "the same maps on other things",
    "other things": "what it scores on other things",
    "even attention": "even attention",
    "a random order": "regions in a random order",
}


@dataclass(frozen=True)
class MeasureGroup:
    """Metrics that answer one question."""

    question: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Verdict:
    """The answer to the page's first question.

    Attributes:
        sentence: In words.
        notes: What qualifies it, the most important first.
        groups: The metrics by question.
        other: All metrics, for the folded table.
        paired: Whether any difference has a paired interval.
        unpaired: Whether any has not.
    """

    sentence: Sentence
    notes: tuple[Sentence, ...]
    groups: tuple[MeasureGroup, ...]
    other: tuple[Measure, ...]
    paired: bool
    unpaired: bool


def verdict(source: Source, curve: CurveView | None, breakdowns: tuple[Breakdown, ...]) -> Verdict | None:
    """Say which metrics lie above every floor, and why one should hesitate."""
    f1, *halves = source.headline
    if source.number("metrics", f1, "value") is None:
        return None
    keys = "regions" if source.protocol.directions[0] == "t2i" else "words"
    groups = []
    for question, words in ASKED.items():
        names = source.headline if question == SET else [metric.name for metric in in_table(question)]
        measures = [source.measure(name, half=name in halves) for name in names]
        shown = tuple(measure for measure in measures if measure is not None)
        if shown:
            groups.append(MeasureGroup(words.format(keys=keys), shown))
    compared = [m for group in groups for m in group.measures if m.state != "none"]
    every = tuple(m for name in source.metric_names() if (m := source.measure(name)) is not None)
    return Verdict(
        sentence=_sentence(compared, f1),
        notes=tuple(_notes(source, compared, curve, breakdowns)),
        groups=tuple(groups),
        other=every,
        paired=any(m.lift and m.lift.paired for m in compared),
        unpaired=any(m.lift and not m.lift.paired for m in compared),
    )


def _sentence(compared: list[Measure], f1: str) -> Sentence:
    if not compared:
        return ("This result has no floors with intervals to hold its numbers against.",)
    above = [m for m in compared if m.state == "above"]
    first = "Yes. " if len(above) == len(compared) else "Partly. " if above else "No. "
    count = Number(len(above), "page:above", style="count"), Number(len(compared), "page:compared", style="count")
    parts: list[str | Number | Strong] = [first, count[0], " of ", count[1], " metrics lie above every floor. "]
    rest = [m for m in compared if m.state != "above"]
    headline = next((m for m in rest if m.name == f1), None)
    if headline is not None and headline.lift is not None and headline.best_floor is not None:
        rest.remove(headline)
        lift, floor = headline.lift, headline.best_floor
        side = "above" if (lift.value.value or 0.0) >= 0 else "below"
        parts += [Strong("F1 is not one of them." if above else "Nor does F1."), " At ", headline.value, " % it is "]
        parts += [_size(lift.value), f" points {side} {FLOOR_WORDS.get(floor.title, floor.title)}"]
        if lift.low is not None and lift.high is not None:
            parts += [", with an interval from ", lift.low, " to ", lift.high]
        parts.append(". ")
    key = lambda m: (m.state, m.best_floor.title if m.best_floor else "")  # noqa: E731 - sorted and grouped by it
    for (state, title), members in groupby(sorted(rest, key=key), key):
        names = [m.title for m in members]
        names = [names[0], *(n if n[:2].isupper() or "@" in n else n[0].lower() + n[1:] for n in names[1:])]
        listed = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
        verb = "is" if len(names) == 1 else "are"
        rank = "worse" if state == "below" else "no better"
        parts.append(f"{listed} {verb} {rank} than {FLOOR_WORDS.get(title, title)}. ")
    return tuple(parts)


def _first(question: str) -> str:
    """The metric that answers a question first."""
    return in_table(question)[0].name


def _size(number: Number) -> Number:
    """A difference without its sign."""
    return Number(abs(number.value or 0.0), number.source, number.minus, style="size")


def _notes(
    source: Source, compared: list[Measure], curve: CurveView | None, breakdowns: tuple[Breakdown, ...]
) -> list[Sentence]:
    always = list(_always(source))
    possible = [
        _order_against_set(source, {m.name: m for m in compared}, curve),
        _both_sides(breakdowns),
        _unspecific(source),
        _focus(source),
        _unreachable(source),
    ]
    qualifying = [note for note in possible if note is not None]
    return [*qualifying[: max(NOTES - len(always), 0)], *always]


def _order_against_set(source: Source, compared: dict[str, Measure], curve: CurveView | None) -> Sentence | None:
    f1, ap = compared.get(source.headline[0]), compared.get(_first(ORDER))
    parts: list[str | Number | Strong] = []
    if f1 and ap and f1.way and ap.way and abs((ap.way.value or 0.0) - (f1.way.value or 0.0)) >= WAY_APART:
        better = (ap.way.value or 0.0) > (f1.way.value or 0.0)
        parts += ["The order is better than the set. " if better else "The set is better than the order. "]
        parts += ["AP closes ", ap.way, " % of the way from its best floor to the ceiling, F1 ", f1.way, " %"]
        parts += [": the threshold loses what the ranking holds. " if better else ". "]
    value = source.number("metrics", _first(SET), "value")
    if curve and value and (curve.best.f1.value or 0.0) - (value.value or 0.0) >= BEST_APART:
        parts += [f"At {curve.rule.parameter} = ", curve.best.parameter, " F1 would be ", curve.best.f1]
        parts += [" %, tuned on these data."]
    return tuple(parts) or None


def _both_sides(breakdowns: tuple[Breakdown, ...]) -> Sentence | None:
    for breakdown in breakdowns:
        sure = [(row, m) for row in breakdown.rows if not row.few for m in row.measures if m.name == _first(SET)]
        below = [(row, m) for row, m in sure if m.state == "below" and m.lift]
        above = [(row, m) for row, m in sure if m.state == "above" and m.lift]
        if below and above:
            worst = min(below, key=lambda pair: pair[1].lift.value.value or 0.0)  # type: ignore[union-attr]
            best = max(above, key=lambda pair: pair[1].lift.value.value or 0.0)  # type: ignore[union-attr]
            return (
                f"{breakdown.title} decides. On {worst[0].name} F1 is ",
                worst[1].lift.value,  # type: ignore[union-attr]
                f" points against attending to everything, on {best[0].name} ",
                best[1].lift.value,  # type: ignore[union-attr]
                ".",
            )
    return None


def _unspecific(source: Source) -> Sentence | None:
    f1, specificity = (source.number("metrics", _first(question), "value") for question in (SET, WORD))
    if f1 is None or specificity is None:
        return None
    shared = Number((f1.value or 0.0) - (specificity.value or 0.0), f1.source, minus=specificity.source)
    words = " points of F1 would also be scored on other things in the image: specificity is "
    return (shared, " of the ", f1, words, specificity, ".")


def _focus(source: Source) -> Sentence | None:
    entropy = source.number("metrics", _first(SPREAD), "value")
    if entropy is None or PEAKED <= (entropy.value or 0.0) <= DIFFUSE:
        return None
    word = "diffuse" if (entropy.value or 0.0) > DIFFUSE else "peaked"
    return (f"The maps are {word}: entropy is ", entropy, " % of that of even weights.")


def _unreachable(source: Source) -> Sentence | None:
    lost = source.number("counts", "unreachable", style="count")
    items = source.number("counts", "items", style="count")
    coverage = source.number("metrics", ceiling().name, "value")
    if not lost or not lost.value or not items or coverage is None:
        return None
    what = "are left out" if source.protocol.unreachable == "skip" else "score 0"
    return (
        lost,
        " of ",
        items,
        f" items have nothing relevant and {what}; coverage, the ceiling of R@k, is ",
        coverage,
        " %.",
    )


def _always(source: Source) -> list[Sentence]:
    """What is never dropped."""
    notes: list[Sentence] = []
    images = len(source.at("per_image", "image_id") or ())
    if images < 30:
        count = Number(images, "page:images", style="count")
        notes.append((count, f" image{'s are' if images != 1 else ' is'} few; intervals may be too narrow."))
    if source.at("partial"):
        notes.append((Strong("PARTIAL"), ": only some images were scored."))
    if not source.everything_known:
        lacking = "What attending to everything scores is not in this result, so that F1 is not held against its "
        notes.append((lacking + "highest floor; score the export again with this version.",))
    notes += [(str(note),) for note in source.at("notes") or ()]
    notes.append(("One run: intervals are over images and say nothing about training seeds.",))
    return notes
