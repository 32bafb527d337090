"""What a run has summed, and what similarities rank, as a result."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.random

from attneval.errors import ExportError, NothingToScoreError
from attneval.evaluation.block import MEAN
from attneval.metrics.ranks import NonFiniteScoreError, retrieval_ranks
from attneval.metrics.retrieval import retrieval_columns
from attneval.results.notes import REACHING, only_first, unreached
from attneval.results.result import Result
from attneval.results.scores import Input
from attneval.results.summary import summarise
from attneval.statistics.image_sums import ImageSums
from attneval.statistics.ranks import RankTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.evaluation.run import Part, Run
    from attneval.export.read.content import AttentionExport
    from attneval.export.read.similarity import Similarity
    from attneval.results.items import ItemTable
    from attneval.results.scores import Scores


@dataclass(frozen=True, eq=False)
class Ranked:
    """What retrieval gave.

    Attributes:
        image_id: The images.
        captions: How many captions they have.
        columns: f8[I] by name, sums of each image.
        ranks: The ranks of all queries by direction.
    """

    image_id: list[str]
    captions: int
    columns: dict[str, NDArray[np.float64]]
    ranks: dict[str, RankTable]


def rank(run: Run, scores: Similarity, wanted: list[str] | None) -> Ranked:
    """Rank by similarity.

    Args:
        run: The run.
        scores: The similarities.
        wanted: The images that count; None for all.

    Raises:
        ExportError: A score is not finite, or the images do not divide into the folds.
    """
    keep = run.choose(scores.image_id, wanted)
    chosen, protocol = scores.of_images(keep), run.protocol
    try:
        ranks = retrieval_ranks(chosen.matrix, chosen.caption_image, ties=protocol.ties, folds=protocol.folds)
    except NonFiniteScoreError as error:
        # Where it is in the file, not among what was chosen of it.
        image, caption = int(keep[error.image]), int(scores.captions_of(keep)[error.caption])
        where = f"similarity[{image}, {caption}] of image {scores.image_id[image]}"
        raise ExportError(f"{scores.source}: {where} is {error.value}") from error
    except ValueError as error:
        raise ExportError(f"{scores.source}: similarity: {error}") from error
    return Ranked(
        chosen.image_id,
        len(chosen.caption_image),
        retrieval_columns(ranks, len(chosen.image_id)),
        {direction: RankTable(r.image, r.rank(), r.fold) for direction, r in ranks.items()},
    )


def result_of(run: Run, export: AttentionExport | None, ranked: Ranked | None, default_name: str) -> Result:
    """Put everything together.

    Raises:
        NothingToScoreError: There is nothing to put together.
    """
    headline = run.parts.get((MEAN, run.protocol.directions[0]))
    if headline is not None and not sum(table["items"].sum() for table in headline.tables):
        if run.protocol.directions[0] == "i2t":
            raise NothingToScoreError(
                "no region covers an annotated phrase, so that direction i2t has no items",
                hint=REACHING,
            )
        raise NothingToScoreError("no annotated phrase with a box has attention", hint="check the image ids")
    if headline is None and ranked is None:
        raise NothingToScoreError(f"there is nothing to score: {'; '.join(run.notes)}")
    if run.partial:
        run.notes.append(only_first(run.options.limit or 0))
    scores = _scores(run, headline, ranked)
    channels = {}
    if len(run.parts) > 1:
        channels = {_channel_name(export, *key): _scores(run, part, None) for key, part in run.parts.items()}
    counts = dict(run.counts)
    if ranked is not None:
        counts |= {"retrieval_images": len(ranked.image_id), "retrieval_captions": ranked.captions}
    if headline is not None:
        items = {k: int(scores.sums.columns[k].sum()) for k in ("items", "reached")}
        counts |= {"items": items["items"], "unreachable": items["items"] - items["reached"]}
    return Result(
        name=run.options.name or default_name,
        protocol=run.protocol,
        scores=scores,
        counts=counts,
        channels=channels,
        inputs=[Input(role, str(path), digest) for role, path, digest in run.inputs()],
        model=export.header.about if export is not None else {},
        notes=run.notes + unreached(counts, run.protocol),
        partial=run.partial,
        ground_truth=run.ground_truth,
        resamples=run.options.resamples,
        seed=run.options.seed,
        items=_joined(run.items),
    )


def _joined(items: list[ItemTable]) -> ItemTable | None:
    if not items:
        return None
    from attneval.results.items import ItemTable

    return ItemTable.joined(items)


def _scores(run: Run, part: Part | None, ranked: Ranked | None) -> Scores:
    """Scores from the sums of a part, of retrieval or of both, the images in the order of their ids."""
    image_id = sorted({*(run.image_id if part else ()), *(ranked.image_id if ranked else ())})
    row = {name: i for i, name in enumerate(image_id)}
    columns: dict[str, NDArray[np.float64]] = {}
    ranks: dict[str, RankTable] = {}
    sources = [(run.image_id, part.columns())] if part else []
    if ranked:
        sources.append((ranked.image_id, ranked.columns))
    for names, table in sources:
        place = np.array([row[name] for name in names], np.int64)
        for column, values in table.items():
            columns[column] = np.zeros(len(image_id))
            columns[column][place] = values
    if ranked:
        place = np.array([row[name] for name in ranked.image_id], np.int64)
        ranks = {d: dataclasses.replace(table, image=place[table.image]) for d, table in ranked.ranks.items()}
    return summarise(
        ImageSums(image_id, columns, ranks),
        part.totals if part else {},
        run.protocol,
        resamples=run.options.resamples,
        seed=run.options.seed,
    )


def _channel_name(export: AttentionExport | None, channel: int, direction: str) -> str:
    """`all/t2i` for the mean of the channels or the only one, `L3H5/t2i` for layer 3, head 5."""
    if channel == MEAN or export is None:
        return f"all/{direction}"
    layer, head = export.channel[channel].tolist()
    name = ("" if layer < 0 else f"L{layer}") + ("" if head < 0 else f"H{head}")
    return f"{name or f'channel {channel}'}/{direction}"
