"""Relevance sets held against a gallery: which of their queries and answers are there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.errors import AlignmentError, GroundTruthError, NothingToScoreError, first_of
from attneval.evaluation.select_images import Shortfall, mostly
from attneval.groundtruth.relevance import direction_of
from attneval.metrics.ranks import IMAGE_TO_TEXT, consecutive_folds
from attneval.results.notes import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.gallery import Gallery
    from attneval.groundtruth.relevance import ListedAnswers


@record
class RelevantPairs:
    """The queries of a relevance set in one direction that count, q of them, and their p answers that are there.

    Attributes:
        listed: The file.
        direction: `i2t` or `t2i`.
        query: i8[q], rows of the gallery's images or captions.
        count: i8[q], R, the answers that are listed for each.
        pair_query: i8[p], places of queries in `query`.
        answer: i8[p], rows of the gallery's captions or images.
        notes: What a reader has to know.
    """

    listed: ListedAnswers
    direction: str
    query: NDArray[np.int64]
    count: NDArray[np.int64]
    pair_query: NDArray[np.int64]
    answer: NDArray[np.int64]
    notes: tuple[Note, ...]

    @property
    def name(self) -> str:
        """The set's name."""
        return self.listed.name


def hold_sets(
    sets: Sequence[ListedAnswers], whole: Gallery, chosen: Gallery, protocol: Protocol
) -> list[RelevantPairs]:
    """Find the queries and answers of relevance sets in a gallery.

    Args:
        sets: The files.
        whole: All images and captions that have scores.
        chosen: Those of them that count.
        protocol: Its folds, each a gallery of its own, and what becomes of queries that are missing.

    Raises:
        GroundTruthError: Two files are of one set and direction.
        AlignmentError: Most queries are unknown, and the protocol does not allow for that.
        NothingToScoreError: A file has no query that counts.
    """
    held: dict[tuple[str, str], RelevantPairs] = {}
    for listed in sets:
        direction = direction_of(listed, whole.image_row, whole.caption_row)
        other = held.get((listed.name, direction))
        if other is not None:
            raise GroundTruthError(
                f"{other.listed.path} and {listed.path} are both the {direction} part of relevance set {listed.name}",
                hint="sets are called by their files' names: rename one of them",
            )
        held[listed.name, direction] = _held(listed, direction, whole, chosen, protocol)
    return list(held.values())


def _held(listed: ListedAnswers, direction: str, whole: Gallery, chosen: Gallery, protocol: Protocol) -> RelevantPairs:
    to_text = direction == IMAGE_TO_TEXT
    known = whole.image_row if to_text else whole.caption_row
    rows, others = (chosen.image_row, chosen.caption_row)[:: 1 if to_text else -1]
    what, answers_are = ("images", "captions")[:: 1 if to_text else -1]
    place = np.array([rows.get(name, -1) for name in listed.query], np.int64)
    answer = np.array([others.get(name, -1) for name in listed.answer], np.int64)
    size = np.diff(listed.offset)
    notes = _notes_on_queries(listed, [name for name in listed.query if name not in known], what, protocol)
    if not (place >= 0).any():
        raise NothingToScoreError(f"{listed.path}: none of its {len(place)} queries is among the {what} that count")
    kept = place >= 0
    of_query = np.repeat(np.arange(len(place)), size)
    asked = kept[of_query]
    there = asked & (answer >= 0)
    # What another fold holds is not in the gallery of the query.
    fold = consecutive_folds(len(chosen.image_id), protocol.folds)
    fold_of_caption = fold[chosen.caption_image]
    of_queries, of_answers = (fold, fold_of_caption)[:: 1 if to_text else -1]
    there[there] = of_queries[place[of_query[there]]] == of_answers[answer[there]]
    lost = [listed.answer[row] for row in np.flatnonzero(asked & ~there).tolist()]
    if lost:
        where = "the gallery of their fold" if protocol.folds > 1 else "the gallery"
        text = f"{listed.name} {direction}: {len(lost)} of {int(asked.sum())} listed {answers_are} are not in {where}"
        first = first_of(list(dict.fromkeys(lost)))
        notes.append(Note(f"{text} (first: {first}): they count in R and cannot be found"))
    numbered = np.cumsum(kept) - 1
    return RelevantPairs(
        listed, direction, place[kept], size[kept], numbered[of_query[there]], answer[there], tuple(notes)
    )


def _notes_on_queries(listed: ListedAnswers, unknown: list[str], what: str, protocol: Protocol) -> list[Note]:
    """Note queries that are left out.

    Raises:
        AlignmentError: These are most of them, and the protocol does not allow for that.
    """
    notes = []
    if listed.empty:
        count = len(listed.empty)
        text = f"{listed.path} lists nothing for {count} queries (first: {first_of(listed.empty)}): left out"
        notes.append(Note(text))
    if unknown:
        text = f"{len(unknown)} of {len(listed.query)} queries of {listed.path} are not among the {what}"
        text += f" (first: {first_of(unknown)})"
        if mostly(len(unknown), len(listed.query)) and protocol.missing == "error":
            hint = "the ids may be of other data; pass --missing skip to score the queries that are there"
            raise AlignmentError(text, hint=hint)
        notes.append(Note(f"{text}: left out"))
    return notes


def without_lists(pairs: RelevantPairs, has_list: NDArray[np.bool_], where: str, protocol: Protocol) -> RelevantPairs:
    """Leave out queries that nothing was ranked for, if the protocol has it so.

    Args:
        pairs: Queries and answers.
        has_list: b[q], the queries with ranked lists.
        where: The lists' file and the queries that lack one, for messages.
        protocol: Its `missing` says what becomes of them.

    Raises:
        AlignmentError: There are such queries, and the protocol does not allow for that.
    """
    if has_list.all():
        return pairs
    lacking = len(has_list) - int(has_list.sum())
    text = f"{lacking} of {len(has_list)} {pairs.direction} queries of {pairs.name} have no ranked list in {where}"
    hint = "pass --missing skip to leave them out, or --missing zero to score them 0"
    note = Shortfall(text, hint).note(protocol.missing)
    if protocol.missing == "zero":
        kept, notes = np.ones(len(has_list), np.bool_), (*pairs.notes, note)
    else:
        kept, notes = has_list, (*pairs.notes, note)
    new, stays = np.cumsum(kept) - 1, kept[pairs.pair_query]
    return RelevantPairs(
        pairs.listed,
        pairs.direction,
        pairs.query[kept],
        pairs.count[kept],
        new[pairs.pair_query[stays]],
        pairs.answer[stays],
        notes,
    )


def fingerprints(sets: Iterable[ListedAnswers], directions: Iterable[str]) -> dict[str, str]:
    """Digest the contents of relevance sets by name, the same for any order and spelling of a file.

    Args:
        sets: The files.
        directions: The direction of each.
    """
    lines: dict[str, list[str]] = {}
    for listed, direction in zip(sets, directions, strict=True):
        bound = listed.offset.tolist()
        for row, query in enumerate(listed.query):
            answers = ",".join(sorted(listed.answer[bound[row] : bound[row + 1]]))
            lines.setdefault(listed.name, []).append(f"{direction} {query}: {answers}\n")
    return {
        name: hashlib.sha256("".join(sorted(written)).encode("utf-8", "surrogatepass")).hexdigest()
        for name, written in sorted(lines.items())
    }
