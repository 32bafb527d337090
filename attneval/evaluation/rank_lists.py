"""Retrieval from ranked lists: what can be told from the best k answers to each query, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import ConfigError, NothingToScoreError
from attneval.evaluation.gallery import gallery_of_lists
from attneval.evaluation.rank_relevance import EVERY_METRIC, rank_sets
from attneval.evaluation.relevance_sets import hold_sets, without_lists
from attneval.metrics.answer_places import BEYOND, Pairs, Places
from attneval.metrics.ranks import IMAGE_TO_TEXT
from attneval.metrics.relevance import MAP_AT_R, R_PRECISION, set_column
from attneval.metrics.relevant_answers import RankedAnswers
from attneval.metrics.retrieval import KS, retrieval_columns
from attneval.results.notes import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.gallery import Gallery
    from attneval.evaluation.gallery_files import GalleryFiles
    from attneval.evaluation.rank_relevance import RankedSets
    from attneval.evaluation.relevance_sets import RelevantPairs
    from attneval.export.read.ranked_lists import RankedLists
    from attneval.metrics.ranks import Ranks


class Lists:
    """Ranked lists over a gallery.

    Args:
        lists: By direction.
        gallery: The images and captions that they were made from.
    """

    def __init__(self, lists: dict[str, RankedLists], gallery: Gallery) -> None:
        self.by_direction, self._gallery = lists, gallery
        # A list of everything tells all.
        sizes = {"i2t": len(gallery.caption_id), "t2i": len(gallery.image_id)}
        self.depth = {d: BEYOND if one.depth >= sizes[d] else one.depth for d, one in lists.items()}
        self._place = {direction: self._places_of(one) for direction, one in lists.items()}

    def _rows(self, direction: str) -> tuple[dict[str, int], dict[str, int]]:
        rows = self._gallery.image_row, self._gallery.caption_row
        return rows if direction == IMAGE_TO_TEXT else (rows[1], rows[0])

    def _places_of(self, lists: RankedLists) -> dict[int, dict[int, int]]:
        """By the query's row and the answer's row how many answers stand before it."""
        queries, answers = self._rows(lists.direction)
        return {
            queries[query]: {answers[name]: place for place, name in enumerate(listed)}
            for query, listed in lists.answers.items()
        }

    def queries(self, direction: str) -> NDArray[np.int64]:
        """The rows of the queries that have a list, ascending: i8[q]."""
        return np.array(sorted(self._place[direction]), np.int64)

    def find(self, pairs: dict[str, Pairs]) -> dict[str, Places]:
        """Find the places of answers: `BEYOND` for one that is not in its query's list."""
        places = {}
        for direction, asked in pairs.items():
            query, answer = (asked.image, asked.caption) if direction == IMAGE_TO_TEXT else (asked.caption, asked.image)
            lists = self._place.get(direction, {})
            ahead = [lists.get(q, {}).get(a, BEYOND) for q, a in zip(query.tolist(), answer.tolist(), strict=True)]
            places[direction] = Places(np.array(ahead, np.int64), np.ones(len(ahead), np.int64))
        return places

    def measurable(self, pairs: RelevantPairs) -> list[str]:
        """List the metrics of a relevance set that the lists tell."""
        depth = self.depth[pairs.direction]
        beyond = () if int(pairs.count.max()) <= depth else (R_PRECISION, MAP_AT_R)
        return [name for name in EVERY_METRIC if name not in {*beyond, *(f"r@{k}" for k in KS if k > depth)}]

    def ranks_within_pairs(self) -> dict[str, Ranks]:
        """Rank the best of each image's own captions, and each caption's own image, by direction."""
        gallery, ranks = self._gallery, {}
        captions = np.argsort(gallery.caption_image, kind="stable")
        bound = np.searchsorted(gallery.caption_image[captions], np.arange(len(gallery.image_id) + 1))
        for direction in self.by_direction:
            query = self.queries(direction)
            if direction == IMAGE_TO_TEXT:
                # As everywhere an image without captions is no query.
                query = query[bound[query + 1] > bound[query]]
                image, count = query, bound[query + 1] - bound[query]
                of_query = np.repeat(np.arange(len(query)), count)
                answer = np.concatenate([captions[bound[row] : bound[row + 1]] for row in query.tolist()])
                pairs = Pairs(image[of_query], answer, count[of_query])
            else:
                image, of_query = gallery.caption_image[query], np.arange(len(query))
                count = np.ones(len(query), np.int64)
                pairs = Pairs(image, query, count)
            places = self.find({direction: pairs})[direction]
            fold = np.zeros(len(query), np.int64)
            ranks[direction] = RankedAnswers(image, fold, count, fold, of_query, places, "expected").best
        return ranks


def rank_lists(
    lists: dict[str, RankedLists],
    files: GalleryFiles,
    protocol: Protocol,
    *,
    split: list[str] | None,
    limit: int | None,
) -> tuple[Gallery, dict[str, NDArray[np.float64]], RankedSets]:
    """Score ranked lists.

    Args:
        lists: By direction.
        files: Relevance sets, and what names images and captions.
        protocol: What becomes of queries without a list.
        split: The images that count; must be None.
        limit: Only the first so many images; must be None.

    Returns:
        What was ranked, f8[I] by name, sums of each image over its own captions, and what relevance sets gave.

    Raises:
        ConfigError: Lists cannot tell what is asked for.
        AlignmentError: See `gallery_of_lists` and `hold_sets`.
    """
    source = ", ".join(dict.fromkeys(str(one.path) for one in lists.values()))
    asked = (("--folds", protocol.folds > 1), ("--split", split is not None), ("--limit", limit is not None))
    for flag, given in asked:
        if given:
            raise ConfigError(
                f"{source} holds ranked lists of the whole gallery: what {flag} would leave of them cannot be told",
                hint="give the similarity matrix, or lists that were made within the smaller gallery",
            )
    gallery = gallery_of_lists(lists, files)
    ranked = Lists(lists, gallery)
    every = hold_sets(files.sets, gallery, gallery, protocol)
    held = [one for one in every if one.direction in lists]
    kept = []
    for one in held:
        has_list = np.isin(one.query, ranked.queries(one.direction))
        if not has_list.any():
            raise NothingToScoreError(f"{source}: no {one.direction} query of {one.name} has a ranked list")
        kept.append(without_lists(one, has_list, source, protocol))
    columns = retrieval_columns(ranked.ranks_within_pairs(), len(gallery.image_id), ranked.depth)
    sets = rank_sets(kept, gallery, protocol, ranked.find, ranked.measurable)
    unlisted = [f"{one.name} {one.direction}" for one in every if one.direction not in lists]
    notes = [Note(f"{source} has no ranked lists for {', '.join(unlisted)}: left out")] if unlisted else []
    notes += [*_notes(ranked, lists, held), *sets.notes]
    return gallery, columns, replace(sets, notes=tuple(notes))


def _notes(ranked: Lists, lists: dict[str, RankedLists], held: Sequence[RelevantPairs]) -> list[Note]:
    """Note what lists cannot tell: ranks, Recall@K beyond their ends, and what takes R answers where R is beyond."""
    notes = []
    for direction, one in lists.items():
        depth = ranked.depth[direction]
        if depth == BEYOND:
            continue
        beyond = [f"R@{k}" for k in KS if k > depth]
        said = f"{one.path}: {direction} lists of {depth} answers do not tell"
        notes.append(Note(f"{said} {', '.join(['median and mean rank', *beyond])}"))
        for pairs in held:
            most = int(pairs.count.max())
            if pairs.direction == direction and most > depth:
                names = (set_column(pairs.name, direction, name) for name in (R_PRECISION, MAP_AT_R))
                notes.append(
                    Note(f"{said} {' and '.join(names)}: {pairs.name} lists up to {most} relevant answers to a query")
                )
    return notes
