"""Retrieval with relevance sets: their queries ranked among the whole gallery, by a matrix or by ranked lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.evaluation.relevance_sets import fingerprints
from attneval.metrics.answer_places import Pairs, answer_places
from attneval.metrics.ranks import DIRECTIONS, IMAGE_TO_TEXT, consecutive_folds
from attneval.metrics.relevance import MAP_AT_R, R_PRECISION, relevance_columns
from attneval.metrics.relevant_answers import RankedAnswers
from attneval.metrics.retrieval import KS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.gallery import Gallery
    from attneval.evaluation.relevance_sets import RelevantPairs
    from attneval.metrics.answer_places import Places
    from attneval.metrics.ranks import Matrix
    from attneval.results.notes import Note

    Finder = Callable[[dict[str, Pairs]], dict[str, Places]]

EVERY_METRIC = (*(f"r@{k}" for k in KS), R_PRECISION, MAP_AT_R)


@record
class RankedSets:
    """The sums of relevance sets.

    Attributes:
        columns: f8[I] by name, sums of each image.
        fingerprints: A digest of each set's contents, by its name.
        notes: What a reader has to know.
    """

    columns: dict[str, NDArray[np.float64]]
    fingerprints: dict[str, str]
    notes: tuple[Note, ...]


def in_matrix(scores: Matrix, gallery: Gallery, folds: int) -> Finder:
    """Make the function that finds the places of answers in a matrix."""
    fold = consecutive_folds(len(gallery.image_id), folds)

    def find(pairs: dict[str, Pairs]) -> dict[str, Places]:
        return answer_places(scores, fold[gallery.caption_image], fold, *(pairs[d] for d in DIRECTIONS))

    return find


def rank_sets(
    sets: Sequence[RelevantPairs],
    gallery: Gallery,
    protocol: Protocol,
    find: Finder,
    measurable: Callable[[RelevantPairs], Sequence[str]] = lambda _: EVERY_METRIC,
) -> RankedSets:
    """Rank the queries of relevance sets and sum what their metrics need.

    Args:
        sets: Queries and answers.
        gallery: The images and captions that count.
        protocol: Ties and folds.
        find: What finds places of answers.
        measurable: The metrics of a set that the places tell.
    """
    images = len(gallery.image_id)
    fold = consecutive_folds(images, protocol.folds)
    in_fold = {
        direction: np.bincount(fold if direction != IMAGE_TO_TEXT else fold[gallery.caption_image])
        for direction in DIRECTIONS
    }
    by_set = _find_places(sets, gallery, find)
    columns: dict[str, NDArray[np.float64]] = {}
    for held, places in zip(sets, by_set, strict=True):
        image = held.query if held.direction == IMAGE_TO_TEXT else gallery.caption_image[held.query]
        ranked = RankedAnswers(
            image,
            fold[image],
            held.count,
            in_fold[held.direction][fold[image]],
            held.pair_query,
            places,
            protocol.ties,
        )
        columns |= relevance_columns(held.name, held.direction, ranked, images, measurable(held))
    return RankedSets(
        columns,
        fingerprints([held.listed for held in sets], [held.direction for held in sets]),
        tuple(note for held in sets for note in held.notes),
    )


def _find_places(sets: Sequence[RelevantPairs], gallery: Gallery, find: Finder) -> list[Places]:
    """The places of every set's answers; what several sets list is looked for once."""
    width = max(len(gallery.image_id), len(gallery.caption_id))
    pairs: dict[str, Pairs] = {}
    where: list[NDArray[np.int64]] = [np.zeros(0, np.int64)] * len(sets)
    for direction in DIRECTIONS:
        chosen = [number for number, held in enumerate(sets) if held.direction == direction]
        keys = [sets[number].query[sets[number].pair_query] * width + sets[number].answer for number in chosen]
        joined = np.concatenate(keys) if keys else np.zeros(0, np.int64)
        unique, place = np.unique(joined, return_inverse=True)
        for number, part in zip(chosen, np.split(place.ravel(), np.cumsum(list(map(len, keys)))[:-1]), strict=False):
            where[number] = part
        query, answer = np.divmod(unique, width)
        depth = np.full(width, max(KS))
        for number in chosen:
            np.maximum.at(depth, sets[number].query, sets[number].count)
        image, caption = (query, answer) if direction == IMAGE_TO_TEXT else (answer, query)
        pairs[direction] = Pairs(image, caption, depth[query])
    places = find(pairs)
    return [places[held.direction].take(rows) for held, rows in zip(sets, where, strict=True)]
