"""What the page shows, as plain data: no section of it knows how a result is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attneval.report.html.number import Number, Sentence


@dataclass(frozen=True)
class Floor:
    """What attention without knowledge of the phrase scores.

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
        state: `above`, `at` or `below` the best floor; `none` where it is not judged.
        half: Whether it is read together with the metric before it.
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

    @property
    def best_floor(self) -> Floor | None:
        """The highest floor."""
        return max(self.floors, key=lambda floor: floor.value.value or 0.0, default=None)


@dataclass(frozen=True)
class MeasureGroup:
    """Metrics that answer one question."""

    question: str
    measures: tuple[Measure, ...]


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

    rule: str
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
class GroupRow:
    """A group of items in a breakdown, and its metrics.

    Attributes:
        name: The group.
        items: How many items it has.
        few: Whether too few images stand behind it to judge it.
        measures: One per column of the breakdown.
    """

    name: str
    items: Number
    few: bool
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Breakdown:
    """Groups of one kind, as annotated."""

    title: str
    rows: tuple[GroupRow, ...]


@dataclass(frozen=True)
class KindRow:
    """A kind of error.

    Attributes:
        name: The kind.
        meaning: What such an item attends to.
        items: How many there are.
        share: Of all items.
        gain: By how much the mean F1 would rise without it.
    """

    name: str
    meaning: str
    items: Number
    share: Number
    gain: Number


@dataclass(frozen=True)
class Errors:
    """What goes wrong, from the items.

    Attributes:
        kinds: In the order of the docs.
        bins: How many scored items have an F1 in each bin of 5 points.
        scored: How many items count in F1.
        mean: Their mean F1.
    """

    kinds: tuple[KindRow, ...]
    bins: tuple[int, ...]
    scored: Number
    mean: Number


@dataclass(frozen=True)
class Channel:
    """A layer's or head's measures by metric."""

    key: str
    layer: int | None
    head: int | None
    name: str
    measures: dict[str, Measure]


@dataclass(frozen=True)
class Heads:
    """The channels of a result.

    Attributes:
        channels: In the order of the export.
        metrics: Name and title of the metrics that can be chosen, the first shown first.
        floors: By metric, the floor that all channels share, where one is known.
        headline: By metric, the value of the mean of the maps.
    """

    channels: tuple[Channel, ...]
    metrics: tuple[tuple[str, str], ...]
    floors: dict[str, Floor]
    headline: dict[str, Measure]


@dataclass(frozen=True)
class SystemCell:
    """A system's value of a metric, with the letters of the systems it is significantly better than."""

    value: Number
    marks: str
    best: bool


@dataclass(frozen=True)
class Change:
    """How a system differs from the first one in one metric.

    Attributes:
        metric: How it is called.
        value: The difference.
        low: The lower end of its interval.
        high: The upper end.
        p: Two-sided.
        p_holm: After adjustment, None where the metric is not in the family.
        counts: Images won, tied and lost.
        state: `above`, `at` or `below`: significantly better, neither, significantly worse.
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


@dataclass(frozen=True)
class RetrievalDirection:
    """Recall@K in one direction."""

    title: str
    median: Number | None
    mean: Number | None
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Retrieval:
    """Retrieval in both directions."""

    directions: tuple[RetrievalDirection, ...]
    rsum: Measure | None
    facts: Sentence


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


@dataclass(frozen=True)
class Gallery:
    """Items one by one.

    Attributes:
        data: What the script shows, as JSON values.
        photos: Data URI by image id, of the images that were there.
        cards: The first cards, drawn without a script.
        kinds: Kinds of errors with how many items of each are on the page.
        types: Phrase types on the page.
        items: How many items are on the page.
        total: How many items there are in all.
        images: How many images are on the page.
        left_out: Why some are not on the page; empty if all are.
        has_maps: Whether weights are known.
        has_ranks: Whether captions' ranks are known.
    """

    data: dict[str, Any]
    photos: dict[str, str]
    cards: tuple[Card, ...]
    kinds: tuple[tuple[int, str, int], ...]
    types: tuple[str, ...]
    items: int
    total: int
    images: int
    left_out: str
    has_maps: bool
    has_ranks: bool


@dataclass(frozen=True)
class Card:
    """One item, drawn.

    Attributes:
        kind: Its kind of error.
        types: Its phrase types.
        caption_id: ``36979#2``.
        pieces: The caption in pieces, each with the classes of its marks.
        photo: The id of its image's picture, empty without one.
        picture: The overlay as SVG elements.
        size: Width and height of the image.
        numbers: Precision, recall, F1 and, where it is known, average precision.
        readout: Counts, in words.
        label: The picture in words.
    """

    kind: str
    types: str
    caption_id: str
    pieces: tuple[tuple[str, str], ...]
    photo: str
    picture: Any
    size: tuple[float, float]
    numbers: tuple[tuple[str, Number], ...]
    readout: str
    label: str


@dataclass(frozen=True)
class Page:
    """The whole page; a section that has no data is None and left out.

    Attributes:
        title: The system's name.
        version: The attneval that made the result.
        model: What the export says of its model.
        facts: Counts with what they count.
        setting: What the export and annotations are, and protocol fields that are not the default.
        protocol: Field, value, and whether it differs from the default.
        signature: The protocol on one line.
        inputs: Role, path and digest of each file.
        bootstrap: How intervals were computed.
        counts: All counts by name.
    """

    title: str
    version: str
    model: str
    facts: tuple[tuple[Number, str], ...]
    setting: tuple[tuple[str, str], ...]
    protocol: tuple[tuple[str, str, bool], ...]
    signature: str
    inputs: tuple[tuple[str, str, str], ...]
    bootstrap: Sentence
    counts: tuple[tuple[str, Number], ...]
    verdict: Verdict | None = None
    notes: tuple[str, ...] = ()
    curve: CurveView | None = None
    breakdowns: tuple[Breakdown, ...] = ()
    errors: Errors | None = None
    heads: Heads | None = None
    systems: Systems | None = None
    retrieval: Retrieval | None = None
    gallery: Gallery | None = None
    missing: tuple[str, ...] = field(default=())
