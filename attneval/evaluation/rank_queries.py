"""Retrieval: the queries of the images that count, ranked by similarity."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING

from attneval.arrays.records import record
from attneval.errors import ExportError, NothingToScoreError
from attneval.evaluation.select_images import choose_images
from attneval.export.lint_weights import lint_distance, lint_repeats
from attneval.export.read.ranked_lists import holds_lists
from attneval.export.read.similarity import open_similarity, similarity_of
from attneval.metrics.ranks import TEXT_TO_IMAGE, NonFiniteScoreError, retrieval_ranks
from attneval.metrics.retrieval import retrieval_columns
from attneval.results.notes import LINT, NO_RETRIEVAL, NO_SIMILARITIES, Note
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.manifest import Manifest
    from attneval.export.read.content import AttentionExport
    from attneval.export.read.similarity import Similarity
    from attneval.metrics.ranks import Ranks

SIMILARITY_HINT = "name a matrix or ranked lists with --similarity"


@record
class RankedQueries:
    """The ranks of retrieval, with what is said of them.

    Attributes:
        image_id: The images; none where there are no similarities.
        captions: How many captions they have.
        columns: f8[I] by name, sums of each image.
        ranks: The ranks of all queries by direction.
        partial: Whether images were left out only to be done sooner.
        notes: What a reader has to know.
        relevance: A digest of each relevance set's contents, by its name.
        export_row: i8[q], the row in the export of each caption of direction t2i, -1 if it is not there; in the order
            of the ranks. None without an export.
    """

    image_id: list[str]
    captions: int
    columns: dict[str, NDArray[np.float64]]
    ranks: dict[str, RankTable]
    partial: bool
    notes: tuple[Note, ...]
    relevance: dict[str, str] = field(default_factory=dict)
    export_row: NDArray[np.int64] | None = None


def rank_queries(
    manifest: Manifest,
    export: AttentionExport | None,
    protocol: Protocol,
    *,
    split: list[str] | None,
    limit: int | None = None,
    unwanted: str = "",
) -> RankedQueries:
    """Rank images and captions by the similarities of an export, or of files of their own.

    Args:
        manifest: Names similarity files, if there are any.
        export: The export that is scored beside them.
        protocol: Ties and folds.
        split: The images that count; None for all.
        limit: Only the first so many images; None for all.
        unwanted: Why nothing is ranked at all: of some of the images there is no retrieval, which has the whole
            gallery. Empty where it is.

    Raises:
        ExportError: A score is not finite, or the images do not divide into the folds.
        AttnevalError: Relevance sets do not fit what is ranked.
    """
    if unwanted:
        note = Note(f"retrieval was not scored: {unwanted}", NO_RETRIEVAL)
        return RankedQueries([], 0, {}, {}, partial=False, notes=(note,))
    lists = [path for path in manifest.similarity if holds_lists(path)]
    if lists:
        return _from_lists(lists, manifest, protocol, split=split, limit=limit)
    scores = similarity_of(export) if export is not None else None
    assumed: list[str] = []
    if manifest.similarity:
        scores, assumed = open_similarity(manifest.similarity, export)
    if scores is None:
        if manifest.gallery:
            raise NothingToScoreError("there are no similarities to hold relevance sets against", hint=SIMILARITY_HINT)
        return RankedQueries([], 0, {}, {}, partial=False, notes=(NO_SIMILARITIES,))
    if manifest.gallery:
        scores = _named(scores, manifest)
    rows, partial = choose_images(scores.image_id, split, limit)
    chosen = scores.of_images(rows)
    try:
        ranks = retrieval_ranks(chosen.matrix, chosen.caption_image, ties=protocol.ties, folds=protocol.folds)
    except NonFiniteScoreError as error:
        raise ExportError(_place(scores, rows, error)) from error
    except ValueError as error:
        raise ExportError(f"{scores.source}: similarity: {error}") from error
    ranked = RankedQueries(
        chosen.image_id,
        len(chosen.caption_image),
        retrieval_columns(ranks, len(chosen.image_id)),
        {direction: RankTable(r.image, r.rank(), r.fold) for direction, r in ranks.items()},
        partial,
        (*map(Note, assumed), *_lint(chosen, ranks[TEXT_TO_IMAGE], folds=protocol.folds)),
        export_row=None if chosen.export_row is None else chosen.export_row[ranks[TEXT_TO_IMAGE].query],
    )
    return _with_sets(ranked, scores, chosen, manifest, protocol) if manifest.gallery.relevance else ranked


def _named(scores: Similarity, manifest: Manifest) -> Similarity:
    """Scores whose images and captions have the ids that relevance sets know them by."""
    from attneval.evaluation.gallery import name_matrix

    return name_matrix(scores, manifest.gallery)


def _with_sets(
    ranked: RankedQueries, whole: Similarity, chosen: Similarity, manifest: Manifest, protocol: Protocol
) -> RankedQueries:
    """What was ranked, with what relevance sets give of the same scores."""
    from attneval.evaluation.gallery import Gallery
    from attneval.evaluation.rank_relevance import in_matrix, rank_sets
    from attneval.evaluation.relevance_sets import hold_sets

    every, gallery = (Gallery(s.image_id, s.caption_id or [], s.caption_image, s.source) for s in (whole, chosen))
    held = hold_sets(manifest.gallery.sets, every, gallery, protocol)
    sets = rank_sets(held, gallery, protocol, in_matrix(chosen.matrix, gallery, protocol.folds))
    return replace(
        ranked,
        columns=ranked.columns | sets.columns,
        notes=(*ranked.notes, *sets.notes),
        relevance=sets.fingerprints,
    )


def _from_lists(
    lists: list[Path], manifest: Manifest, protocol: Protocol, *, split: list[str] | None, limit: int | None
) -> RankedQueries:
    """What ranked lists tell."""
    from attneval.evaluation.rank_lists import rank_lists
    from attneval.export.read.ranked_lists import open_ranked_lists

    if len(lists) < len(manifest.similarity):
        matrix = next(path for path in manifest.similarity if path not in lists)
        raise ExportError(f"{lists[0]} holds ranked lists and {matrix} a matrix", hint="give one or the other")
    gallery, columns, sets = rank_lists(open_ranked_lists(lists), manifest.gallery, protocol, split=split, limit=limit)
    return RankedQueries(
        gallery.image_id,
        len(gallery.caption_id),
        columns | sets.columns,
        {},
        partial=False,
        notes=sets.notes,
        relevance=sets.fingerprints,
    )


def _lint(scores: Similarity, of_captions: Ranks, *, folds: int) -> list[Note]:
    """Note scores that look wrong: of repeated images, or distances."""
    lints = lint_repeats(scores.matrix)
    wrong = len(scores.image_id) // folds - 1
    if wrong and not lints:
        above = (of_captions.ahead + of_captions.others / 2).sum() / (wrong * len(of_captions.ahead))
        lints = lint_distance(1 - float(above), len(of_captions.ahead))
    return [Note(str(lint), LINT) for lint in lints]


def _place(scores: Similarity, rows: NDArray[np.int64], error: NonFiniteScoreError) -> str:
    """Where a score is in the file, not among what was chosen of it."""
    image, caption = int(rows[error.image]), int(scores.captions_of(rows)[error.caption])
    where = f"similarity[{image}, {caption}] of image {scores.image_id[image]}"
    return f"{scores.source}: {where} is {error.value}"
