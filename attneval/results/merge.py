"""Results of parts of the images, put together to exactly the result of the whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import MismatchError, NothingToScoreError, first_of
from attneval.metrics.declaration import SIMILARITY
from attneval.metrics.registry import columns as registered
from attneval.metrics.totals import add_totals
from attneval.results.channel_sums import ChannelTable, StoredChannels
from attneval.results.common_columns import (
    common_columns,
    common_faithfulness,
    rows_perturbed,
    rows_scored,
    with_columns,
)
from attneval.results.comparability import check_protocols
from attneval.results.heads import kept_of_channels
from attneval.results.notes import COMPUTED, NO_ATTENTION, NO_RETRIEVAL, UNKNOWN_METRICS, Note, computed_notes
from attneval.results.result import Result
from attneval.results.scores import Scores
from attneval.results.summary import summarise
from attneval.statistics.group_sums import joined_groups
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from attneval.metrics.totals import Totals
    from attneval.results.scores import Measured

COUNTS = (
    *("images", "captions", "phrases", "phrases_without_box", "words", "regions"),
    *("no_target", "category_level", "singular_of_several"),
    *("retrieval_images", "retrieval_captions", "perturbed_captions", "items", "unreachable"),
)
"""The names of counts, in the order in which scoring has them."""
MIXED = "mixed"
"""The kind of regions of a whole whose parts have different kinds."""
_SETTINGS = {"version": "the version of attneval", "resamples": "--resamples", "seed": "--seed"}
"""Fields that parts must have in common beside the protocol, so that the whole could have been made in one go."""


def merge(parts: Sequence[Result], *, name: str | None = None, across_regions: bool = False) -> Result:
    """Put results of different images together.

    Every score is computed again from the parts' sums: per-image sums are the same whichever part an image is in, and
    totals are exact, so the result is that of scoring all images at once, to the last bit. Retrieval is no sum over
    parts, since each ranks among its own images only: at most one part may have it, for all images together. A metric
    that some parts do not have, since another attneval scored them, the whole does not have, which is noted.

    Args:
        parts: The results.
        name: The whole's name; the first part's by default.
        across_regions: Allow for parts with another kind of regions, if all were scored over all items
            (`unreachable=zero`).

    Raises:
        MismatchError: The parts were made under different protocols, over another kind of regions, by different
            versions or with different bootstraps, share images, or several have retrieval.
        NothingToScoreError: There is no part.
    """
    if not parts:
        raise NothingToScoreError("there is nothing to merge")
    first = next((part for part in parts if part.scores.has_attention), parts[0])
    kinds = _check_kinds(parts, across_regions=across_regions)
    check_protocols([(part.name, part) for part in parts], way_out="score all parts alike")
    regions = _joined_regions(parts)
    partial = next((part for part in parts if part.partial), None)
    if partial is not None:
        text = f"{partial.name} is PARTIAL ({partial.partial_by}) and cannot be merged"
        raise MismatchError(text, hint="score all its images")
    for what in ("version", "resamples", "seed"):
        for part in parts:
            mine, other = getattr(first, what), getattr(part, what)
            if mine != other:
                raise MismatchError(
                    f"{first.name} and {part.name} differ in {_SETTINGS[what]}: {mine} against {other}",
                    hint="score all parts alike",
                )
    with_maps = [part for part in parts if part.scores.has_attention]
    names = list(with_maps[0].channels) if with_maps else []
    if any(list(part.channels) != names for part in with_maps):
        other = next(part for part in with_maps if list(part.channels) != names)
        raise MismatchError(
            f"{with_maps[0].name} and {other.name} have different channels or directions: "
            f"{', '.join(names) or 'one'} against {', '.join(other.channels) or 'one'}",
            hint="export and score the parts alike",
        )
    scores = _merged([(part.scores, part.counts.get("images", 0)) for part in parts], first)
    kept = _merged_channels(with_maps)
    light = {} if kept is None else kept_of_channels(kept)
    channels = {
        key: _of_values(light[key])
        if key in light and not with_maps[0].channels[key].has_sums
        else _merged([(part.channels[key], part.counts["images"]) for part in with_maps], first)
        for key in names
    }
    counted = Counter[str]()
    for part in parts:
        counted.update(part.counts)
    counts = {key: counted[key] for key in (*COUNTS, *counted) if key in counted}
    return Result(
        name=name or parts[0].name,
        protocol=first.protocol,
        scores=scores,
        counts=counts,
        channels=channels,
        channel_sums=kept,
        inputs=list(dict.fromkeys(item for part in parts for item in part.inputs)),
        model=next((part.model for part in parts if part.model), {}),
        notes=_notes(parts, scores)
        + _notes_on_regions(parts, kinds)
        + computed_notes(scores.metrics, counts, first.protocol),
        ground_truth=next((part.ground_truth for part in parts if part.ground_truth), ""),
        resamples=first.resamples,
        seed=first.seed,
        version=first.version,
        regions=regions,
        region_kind=kinds[0] if len(kinds) == 1 else MIXED if kinds else "",
        relevance={name: digest for part in parts for name, digest in part.relevance.items()},
        auto=tuple(field for field in first.auto if all(field in part.auto for part in parts)),
    )


def _check_kinds(parts: Sequence[Result], *, across_regions: bool) -> list[str]:
    """The kinds of regions that parts have, where they say so.

    Raises:
        MismatchError: There are several, and that is not allowed.
    """
    examples = {part.region_kind: part.name for part in parts if part.region_kind}
    if len(examples) < 2:
        return list(examples)
    text = ", ".join(f"{name} has {kind}" for kind, name in examples.items())
    if not across_regions:
        raise MismatchError(
            f"the parts have different kinds of regions: {text}",
            hint="export all parts over the same kind, or score them with --across-regions and merge them with it",
        )
    skipping = [part.name for part in parts if part.region_kind and part.protocol.unreachable != "zero"]
    if skipping:
        raise MismatchError(
            f"{skipping[0]} was scored over the items that its regions reach, which are others with other regions",
            hint="score all parts with --across-regions (unreachable=zero) and one --overlap",
        )
    return list(examples)


def _joined_regions(parts: Sequence[Result]) -> dict[str, str]:
    """The fingerprints of all parts' images.

    Raises:
        MismatchError: Parts have different regions for one image.
    """
    joined: dict[str, str] = {}
    unequal = []
    for part in parts:
        unequal += [name for name, text in part.regions.items() if joined.setdefault(name, text) != text]
    if unequal:
        raise MismatchError(
            f"{len(unequal)} images are in several parts with different regions (first: {first_of(sorted(unequal))})",
            hint="score every image in one part only, as with --split",
        )
    return dict(sorted(joined.items()))


def _notes_on_regions(parts: Sequence[Result], kinds: Sequence[str]) -> list[Note]:
    """Note parts that have other kinds of regions, or do not say what theirs were."""
    notes = [Note(f"the parts have different kinds of regions: {', '.join(kinds)}")] if len(kinds) > 1 else []
    attending = [part for part in parts if part.scores.has_attention]
    unknown = [part.name for part in attending if not part.regions]
    if unknown and len(unknown) < len(attending):
        notes.append(Note(f"{first_of(unknown)} kept no fingerprint of regions, and the whole has none of its images"))
    return notes


def _notes(parts: Sequence[Result], scores: Scores) -> list[Note]:
    """The parts' notes, without those that say of a part what is not so of the whole, and what the whole lacks."""
    settled = {*COMPUTED, UNKNOWN_METRICS}
    settled |= {NO_ATTENTION} if scores.has_attention else set()
    settled |= {NO_RETRIEVAL} if scores.has_retrieval else set()
    notes = dict.fromkeys(note for part in parts for note in part.notes if note.kind not in settled)
    lost = [
        name for name in dict.fromkeys(name for part in parts for name in part.metrics) if name not in scores.metrics
    ]
    if any(part.joint is not None for part in parts):
        notes[
            Note("left out of the whole: the joint view of parts, which follows from the lifts of single captions")
        ] = None
    if not lost:
        return list(notes)
    text = (
        f"left out of the whole, since not all parts have them or this attneval does not know them: {', '.join(lost)}"
    )
    return [*notes, Note(text)]


def _merged_channels(parts: Sequence[Result]) -> StoredChannels | None:
    """The sums of many channels; None where no part has any.

    Raises:
        MismatchError: Some have and some do not.
    """
    stored = [part.channel_sums for part in parts if part.channel_sums is not None]
    if not stored:
        return None
    if len(stored) < len(parts):
        lacking = next(part.name for part in parts if part.channel_sums is None)
        raise MismatchError(
            f"{lacking} has no sums of its channels, and other parts have", hint="score all parts alike"
        )
    return StoredChannels.of_table(ChannelTable.joined([one.table for one in stored]))


def _of_values(metrics: dict[str, Measured]) -> Scores:
    """One of many channels, of which metrics alone are kept."""
    return Scores(metrics, {}, {}, None, ImageSums([], {}))


def _merged(parts: Sequence[tuple[Scores, int]], first: Result) -> Scores:
    """Scores from the sums of parts, each with the number of images whose attention was scored."""
    retrieval = [part.sums for part, _ in parts if part.has_retrieval]
    if len(retrieval) > 1:
        raise MismatchError(
            "several parts have retrieval, each ranked among its own images only",
            hint="score the parts from exports without similarity, and the whole similarity by itself",
        )
    attention = [(part.sums, rows_scored(part.sums, images)) for part, images in parts if part.has_attention]
    perturbed = [(part.sums, rows_perturbed(part.sums)) for part, _ in parts if part.has_faithfulness]
    for scored in (attention, perturbed):
        _refuse_twice(sums.image_id[i] for sums, rows in scored for i in rows.tolist())
    image_ids = sorted({image_id for part, _ in parts for image_id in part.sums.image_id})
    row = {image_id: i for i, image_id in enumerate(image_ids)}
    columns: dict[str, NDArray[np.float64]] = {}
    ranks: dict[str, RankTable] = {}
    summed = common_columns([sums for sums, _ in attention])
    ranked = [(sums, np.arange(len(sums.image_id))) for sums in retrieval]
    faithful = common_faithfulness([part for part, _ in parts])
    for names, group in ((summed, attention), (registered(*SIMILARITY), ranked), (faithful, perturbed)):
        for sums, rows in group:
            place = np.array([row[sums.image_id[i]] for i in rows.tolist()], np.int64)
            for name in names:
                if name in sums.columns:
                    columns.setdefault(name, np.zeros(len(image_ids)))[place] = sums.columns[name][rows]
    for sums in retrieval:
        place = np.array([row[image_id] for image_id in sums.image_id], np.int64)
        ranks = {d: RankTable(place[table.image], table.rank, table.fold) for d, table in sums.ranks.items()}
    everywhere = [np.array([row[image_id] for image_id in sums.image_id], np.int64) for sums, _ in attention]
    by = joined_groups(
        [
            {kind: groups.moved(place) for kind, groups in sums.by.items()}
            for (sums, _), place in zip(attention, everywhere, strict=True)
        ]
    )
    totals: Totals = {}
    for part, _ in parts:
        totals = add_totals(totals, part.totals)
    return summarise(
        ImageSums(image_ids, columns, ranks, by),
        with_columns(totals, summed),
        first.protocol,
        resamples=first.resamples,
        seed=first.seed,
    )


def _refuse_twice(image_ids: Iterable[str]) -> None:
    """Refuse images that were scored in several parts.

    Raises:
        MismatchError: There are some.
    """
    twice = sorted(image_id for image_id, count in Counter(image_ids).items() if count > 1)
    if twice:
        raise MismatchError(
            f"{len(twice)} images are in several parts (first: {first_of(twice)})",
            hint="score every image in one part only, as with --split",
        )
