"""Notes: remarks that a reader of the numbers needs, each of a kind that other modules ask for.

A note is its text, so that it can be printed and written as it is; what it is about is its `kind`, and nobody looks for
words in it. Files hold texts only: kinds come back from a table of the texts that are always the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.metrics.declaration import FAITHFULNESS
from attneval.metrics.registry import find_metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from attneval.config.protocol import Protocol
    from attneval.results.scores import Measured

LOW_COVERAGE = 0.5
"""Coverage under which a note is made."""

OTHER = "other"
NO_ATTENTION, NO_RETRIEVAL = "no attention", "no retrieval"
"""Nothing was scored of attention maps, or of similarities."""
LEFT_OUT, SCORED_ZERO = "left out", "scored 0"
"""The two ways in which the protocol gets over what is missing."""
UNREACHED = "unreached"
"""No region is relevant to anything."""
PARTIAL = "partial"
"""Not all images were scored."""
FLOOR = "floor"
"""A headline metric that is not significantly above its highest floor."""
COVERAGE = "low coverage"
"""Most items have no relevant region."""
MANY_CHANNELS = "many channels"
"""The headline is the mean of more channels than anybody means."""
LINT = "lint"
"""Something well-formed that looks wrong."""
CATEGORY = "category-level"
"""Phrases name a category, of which all instances count."""
NO_TARGETS = "no target"
"""Expressions are about nothing in their image."""
NO_GAPS = "no gaps"
"""Captions whose score is the same with all regions and with none."""
UNKNOWN_METRICS = "unknown metrics"
"""A file holds metrics that this attneval does not know; said by whoever reads it, and not kept in the file."""

LEFT_OUT_OF_FILE = "left out of a file"
"""What a file holds beside its sums and does not follow from them; said by whoever reads it."""
SAID_BY_READERS = {UNKNOWN_METRICS, LEFT_OUT_OF_FILE}
"""The kinds of notes that say something of reading a file, and are not kept in it."""

UNMATCHED = "check the image ids, and lists of words for categories"
_REACHING = "boxes must be in pixels of the original image, and"


class Note(str):
    """A remark on a result: its text, with what it is about.

    Args:
        text: What a reader is told.
        kind: One of the kinds of this module.
        problem: The part of the text that says what is wrong, without what was made of it; all of it by default.
    """

    __slots__ = ("kind", "problem")

    kind: str
    problem: str

    def __new__(cls, text: str, kind: str = OTHER, problem: str | None = None) -> Note:  # noqa: PYI034 - `Self` is from Python 3.11
        """Make a note of a text."""
        note = super().__new__(cls, text)
        note.kind, note.problem = kind, text if problem is None else problem
        return note

    def __getnewargs__(self) -> tuple[str, str, str]:  # type: ignore[override]
        """Give what copies and other processes make the note of."""
        return str(self), self.kind, self.problem


NO_ANNOTATIONS = Note("attention was not scored: no annotations were given (--gt)", NO_ATTENTION)
NO_MAPS = Note("attention was not scored: there are no attention maps", NO_ATTENTION)
NO_SIMILARITIES = Note("retrieval was not scored: there are no similarities", NO_RETRIEVAL)
_TEXTS = {str(note): note for note in (NO_ANNOTATIONS, NO_MAPS, NO_SIMILARITIES)}


def left_out(problem: str) -> Note:
    """Note something missing that was left out (`missing=skip`)."""
    return Note(f"{problem}: left out", LEFT_OUT, problem)


def scored_zero(problem: str) -> Note:
    """Note something missing that was scored 0 (`missing=zero`)."""
    return Note(f"{problem}: scored 0", SCORED_ZERO, problem)


def only_first(images: int) -> Note:
    """Note that only the first images were scored (`--limit`)."""
    some = "image was" if images == 1 else f"{images} images were"
    return Note(f"PARTIAL: only the first {some} scored", PARTIAL)


def only_part(number: int, of: int, images: int) -> Note:
    """Note that one part of the images was scored (`--part`)."""
    return Note(
        f"PARTIAL: part {number} of {of} was scored, {images} images; attneval merge makes a whole of all", PARTIAL
    )


def mean_of_many(channels: int) -> Note:
    """Note that the headline is the mean of so many channels."""
    return Note(
        f"the headline is the mean of the maps of {channels} channels; --channel takes one, and attneval heads chooses "
        "among them on one half of the images and reports on the other",
        MANY_CHANNELS,
    )


def reaching(protocol: Protocol) -> str:
    """Give the hint for where regions do not reach phrases."""
    if protocol.overlap == "iou":
        return f"{_REACHING} small patches need --overlap iof"
    return f"{_REACHING} regions no larger than what phrases name"


def unreached(counts: Mapping[str, int], protocol: Protocol) -> list[Note]:
    """Note that no region is relevant to anything, if there are items and none is."""
    if not counts.get("items") or counts["unreachable"] < counts["items"]:
        return []
    text = f"none of the {counts['items']} items has a relevant region"
    under = f"overlap={protocol.overlap} and iou={protocol.iou:g}"
    return [Note(f"{text} under {under}: {reaching(protocol)}", UNREACHED)]


def below_floor(metrics: Mapping[str, Measured], average: str) -> list[Note]:
    """Note the headline metrics that are not significantly above their highest floor.

    Args:
        metrics: Measured values by name.
        average: The protocol's, which says what else is a headline.
    """
    notes = []
    for name, measured in metrics.items():
        metric, gap = find_metric(name), measured.above_floor
        if metric is None or measured.value is None or gap is None or gap.ci is None:
            continue
        if not metric.family and not (metric.floor_noted and metric.headline == average):
            continue
        low, high = gap.ci if metric.higher_is_better else (-gap.ci[1], -gap.ci[0])
        if low > 0:
            continue
        said = "is significantly below" if high < 0 else "is not significantly above"
        notes.append(
            Note(
                f"{name} {100 * measured.value:.1f} % {said} its highest floor, {gap.floor} attention: difference "
                f"{100 * gap.difference:.1f} [{100 * gap.ci[0]:.1f}, {100 * gap.ci[1]:.1f}] points",
                FLOOR,
            )
        )
    return notes


def low_coverage(counts: Mapping[str, int], protocol: Protocol) -> list[Note]:
    """Note that less than half of the items have a relevant region, so that the numbers are of a minority."""
    items = counts.get("items", 0)
    reachable = items - counts.get("unreachable", 0)
    if not items or not reachable or reachable >= LOW_COVERAGE * items:
        return []
    problem = f"only {reachable} of {items} items ({100 * reachable / items:.1f} %) have a relevant region"
    return [Note(f"{problem}, and scores are of those alone: {reaching(protocol)}", COVERAGE, problem)]


def category_level(counts: Mapping[str, int]) -> list[Note]:
    """Note that phrases name categories, and how many of them may mean one instance of several."""
    if not counts.get("category_level"):
        return []
    share = counts.get("singular_of_several", 0) / counts["category_level"]
    text = (
        "results are category-level: all instances of a category count, since it is not annotated which of them words "
        f"mean; {100 * share:.0f} % of the phrases are singular and have several instances"
    )
    return [Note(text, CATEGORY)]


def targetless(expressions: int, rows: int, entropy: float, largest: float) -> list[Note]:
    """Note expressions that are about nothing in their image, with what their maps look like.

    Args:
        expressions: How many there are.
        rows: How many rows of weights they have.
        entropy: The sum of the rows' entropies, in nats over log n.
        largest: The sum of the rows' largest weights.
    """
    if not expressions:
        return []
    text = f"{expressions} expressions are about nothing in their image and have no items"
    if rows:
        mean = 100 * entropy / rows, 100 * largest / rows
        text += f"; their maps have entropy {mean[0]:.1f} % and a largest weight of {mean[1]:.1f} %"
    return [Note(text, NO_TARGETS)]


def without_gaps(metrics: Mapping[str, Measured], counts: Mapping[str, int]) -> list[Note]:
    """Note captions with scores of perturbed images that have no gap, since nothing depends on the regions."""
    captions = counts.get("perturbed_captions", 0)
    lacking = {
        metric.perturbed: captions - measured.n
        for name, measured in metrics.items()
        if (metric := find_metric(name)) and metric.group == FAITHFULNESS and measured.n < captions
    }
    reason = "their score is the same with all regions and with none"
    return [Note(f"{n} of {captions} captions have no {name} gap: {reason}", NO_GAPS) for name, n in lacking.items()]


def computed_notes(metrics: Mapping[str, Measured], counts: Mapping[str, int], protocol: Protocol) -> list[Note]:
    """Make the notes that follow from the numbers of a result, whoever made it."""
    return [
        *category_level(counts),
        *unreached(counts, protocol),
        *low_coverage(counts, protocol),
        *below_floor(metrics, protocol.average),
        *without_gaps(metrics, counts),
    ]


COMPUTED = {CATEGORY, UNREACHED, COVERAGE, FLOOR, NO_GAPS}
"""The kinds of notes that follow from the numbers."""


def note_of(text: str, computed: Iterable[Note]) -> Note:
    """Make the note of a text from a file, `OTHER` where its kind is not known.

    Args:
        text: The text.
        computed: The notes that follow from the file's numbers.
    """
    known = _TEXTS | {str(note): note for note in computed}
    return known.get(text) or Note(text)
