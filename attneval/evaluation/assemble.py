"""Sums and ranks, put together to a result."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.beside import Beside
from attneval.arrays.records import record
from attneval.errors import NothingToScoreError
from attneval.evaluation.lint_export import lint_notes
from attneval.evaluation.pair_captions import pair_captions
from attneval.evaluation.select_images import Shortfall
from attneval.evaluation.weight_reader import MANY, MEAN
from attneval.metrics.populations import item_counts
from attneval.metrics.totals import UNIT
from attneval.results.channel_sums import ChannelTable, StoredChannels, key_of
from attneval.results.comparability import distinct
from attneval.results.joint import joint_view
from attneval.results.notes import (
    UNMATCHED,
    Note,
    computed_notes,
    mean_of_many,
    only_first,
    only_part,
    reaching,
    targetless,
)
from attneval.results.result import Result
from attneval.results.scores import Scores
from attneval.results.summary import summarise
from attneval.statistics.image_sums import ImageSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.config.options import Options
    from attneval.config.protocol import Protocol
    from attneval.evaluation.add_up import ChannelSums, RunSums
    from attneval.evaluation.manifest import Manifest
    from attneval.evaluation.measure_faithfulness import PerturbedImages
    from attneval.evaluation.pair_captions import PairedCaptions
    from attneval.evaluation.rank_queries import RankedQueries
    from attneval.evaluation.select_images import Selection
    from attneval.export.read.content import AttentionExport
    from attneval.results.items import ItemTable
    from attneval.statistics.group_sums import GroupSums
    from attneval.statistics.ranks import RankTable


@record
class Parts:
    """Everything that a result is put together from.

    Attributes:
        export: The export, if there is one.
        selection: The images whose maps were scored.
        sums: Their sums.
        ranked: What retrieval gave.
        perturbed: What faithfulness gave.
        ground_truth: The annotations' format; empty without any.
        annotations_sha256: The digest of the annotation files read; None without any.
        auto: The fields of the protocol that were settled from `auto`.
        region_kind: `cells` or `boxes`; empty without regions.
    """

    export: AttentionExport | None
    selection: Selection
    sums: RunSums
    ranked: RankedQueries
    perturbed: PerturbedImages
    ground_truth: str
    annotations_sha256: str | None
    auto: tuple[str, ...] = ()
    region_kind: str = ""


def assemble(parts: Parts, manifest: Manifest, protocol: Protocol, options: Options) -> Result:
    """Put everything together.

    Raises:
        NothingToScoreError: There is nothing to put together.
        AlignmentError: Captions or words are missing, and the protocol does not allow for that.
    """
    sums, ranked, perturbed = parts.sums, parts.ranked, parts.perturbed
    notes = notes_of(parts, protocol)
    headline = sums.channels.get((MEAN, protocol.directions[0]))
    path = "the export" if parts.export is None else parts.export.path
    if options.part is None:
        _refuse_nothing(path, headline, [*ranked.image_id, *perturbed.image_id], protocol, notes)
    partial = parts.selection.partial or ranked.partial or perturbed.partial
    if partial:
        notes.append(only_first(options.limit or 0))
    if options.part is not None:
        partial = True
        notes.append(only_part(*options.part, len(parts.selection.rows)))
    of_result = _image_sums(parts, headline)
    paired = None if headline is None else pair_captions(sums, ranked, of_result)
    joint = None
    if paired is not None:
        pairing = paired.pairing
        joint = Beside(lambda: joint_view(pairing, of_result, resamples=options.resamples, seed=options.seed)).start()
    scores = _summarised(of_result, headline, protocol, options)
    channels = {}
    if len(sums.channels) > 1:
        for key, channel in sums.channels.items():
            alone = _image_sums(parts, channel, alone=True)
            channels[_channel_name(parts.export, *key)] = _summarised(alone, channel, protocol, options)
    kept = stored_channels(sums, parts.export)
    if kept is not None and parts.export is not None and len(parts.export.channel) > MANY:
        # What few need is imported for them alone.
        from attneval.results.heads import kept_of_channels

        channels |= {
            key: Scores(table, {}, {}, None, ImageSums([], {})) for key, table in kept_of_channels(kept).items()
        }
        notes.append(mean_of_many(len(parts.export.channel)))
    counts = dict(sums.counts)
    if ranked.image_id:
        counts |= {"retrieval_images": len(ranked.image_id), "retrieval_captions": ranked.captions}
    if perturbed.image_id:
        counts["perturbed_captions"] = perturbed.captions
    if headline is not None:
        counts |= item_counts(scores.sums.columns)
    return Result(
        name=options.name or manifest.stem,
        protocol=protocol,
        scores=scores,
        counts=counts,
        channels=channels,
        channel_sums=kept,
        inputs=manifest.inputs(parts.annotations_sha256, whole=options.reads_whole),
        model=parts.export.header.about if parts.export is not None else {},
        notes=notes + computed_notes(scores.metrics, counts, protocol),
        partial=partial,
        ground_truth=parts.ground_truth,
        resamples=options.resamples,
        seed=options.seed,
        items=_joined(sums.items, paired),
        joint=None if joint is None else joint.result(),
        regions=dict(sorted(sums.regions.items())),
        region_kind=parts.region_kind,
        auto=parts.auto,
        relevance=ranked.relevance,
    )


def notes_of(parts: Parts, protocol: Protocol) -> list[Note]:
    """Gather what a reader of the numbers has to know.

    Raises:
        AlignmentError: Captions or words are missing, and the protocol does not allow for that.
    """
    export, selection, sums = parts.export, parts.selection, parts.sums
    notes = list(map(Note, export.warnings if export is not None else ()))
    notes += lint_notes(export, sums) if export is not None else []
    notes += [shortfall.note(protocol.missing) for shortfall in selection.shortfalls]
    notes += [selection.reason] if selection.reason is not None else []
    notes += [*parts.ranked.notes, *parts.perturbed.notes]
    seen = sums.targetless
    notes += targetless(seen.expressions, seen.rows, seen.entropy / UNIT, seen.largest / UNIT)
    if export is not None:
        notes += map(Note, dict.fromkeys(sums.mismatches.warnings))  # an index tells every block of all of them
        captions = len(export.caption_image)
        notes += map(Note, sums.mismatches.disagreements(export.path, captions))
        notes += map(Note, sums.mismatches.repetitions(export.path, captions))
        notes += [shortfall.note(protocol.missing) for shortfall in shortfalls_of(export, sums)]
    return notes


def shortfalls_of(export: AttentionExport, sums: RunSums) -> list[Shortfall]:
    """Captions and words of an export that are missing."""
    missing = sums.mismatches.missing(export.path, len(export.caption_image), sums.counts)
    return [Shortfall(text, hint) for text, hint in missing]


def _refuse_nothing(
    path: object, headline: ChannelSums | None, others: list[str], protocol: Protocol, notes: list[Note]
) -> None:
    """Refuse to put nothing together, of attention or of the other images that were scored."""
    if headline is not None and not headline.columns["items"].sum():
        if protocol.directions[0] == "i2t":
            raise NothingToScoreError(
                "no region covers an annotated phrase, so that direction i2t has no items",
                hint=reaching(protocol),
            )
        raise NothingToScoreError(f"no annotated phrase with a box has attention in {path}", hint=UNMATCHED)
    if headline is None and not others:
        raise NothingToScoreError(f"there is nothing to score: {'; '.join(notes)}")


def _joined(items: list[ItemTable], paired: PairedCaptions | None) -> ItemTable | None:
    if not items:
        return None
    from attneval.results.join_items import join_items

    table = join_items(items)
    if paired is None:
        return table
    lift, rank = paired.lift.astype(np.float32), paired.rank.astype(np.float32)
    return dataclasses.replace(table, caption_lift=lift, caption_rank=rank)


def _image_sums(parts: Parts, channel: ChannelSums | None, *, alone: bool = False) -> ImageSums:
    """The sums of a channel and, unless it stands alone, of retrieval and faithfulness.

    The images stand in the order of their ids.
    """
    sums, ranked = parts.sums, None if alone or not parts.ranked.image_id else parts.ranked
    sources = [] if channel is None else [(sums.image_id, channel.columns)]
    if not alone:
        sources += [(part.image_id, part.columns) for part in (parts.ranked, parts.perturbed) if part.image_id]
    image_id = sorted({name for names, _ in sources for name in names})
    row = {name: i for i, name in enumerate(image_id)}
    columns: dict[str, NDArray[np.float64]] = {}
    for names, table in sources:
        place = np.array([row[name] for name in names], np.int64)
        for column, values in table.items():
            columns[column] = np.zeros(len(image_id))
            columns[column][place] = values
    by: GroupSums = {}
    if channel is not None:
        place = np.array([row[name] for name in sums.image_id], np.int64)
        by = {kind: groups.moved(place) for kind, groups in channel.by.items()}
    ranks: dict[str, RankTable] = {}
    if ranked is not None:
        place = np.array([row[name] for name in ranked.image_id], np.int64)
        ranks = {d: dataclasses.replace(table, image=place[table.image]) for d, table in ranked.ranks.items()}
    return ImageSums(image_id, columns, ranks, by)


def _summarised(sums: ImageSums, channel: ChannelSums | None, protocol: Protocol, options: Options) -> Scores:
    totals = {} if channel is None else channel.totals
    return summarise(sums, totals, protocol, resamples=options.resamples, seed=options.seed)


def stored_channels(sums: RunSums, export: AttentionExport | None) -> StoredChannels | None:
    """The sums of every channel alone, the images in the order of their ids; None unless they were asked for."""
    if export is None or not sums.by_channel:
        return None
    order = np.array(sorted(range(len(sums.image_id)), key=sums.image_id.__getitem__), np.int64)
    columns = {
        direction: {name: values[:, order] for name, values in table.items()}
        for direction, table in sums.by_channel.items()
    }
    image_id = [sums.image_id[row] for row in order.tolist()]
    return StoredChannels.of_table(ChannelTable(distinct(export.channel_names), export.channel, image_id, columns))


def _channel_name(export: AttentionExport | None, channel: int, direction: str) -> str:
    """`all/t2i` for the mean of the channels or the only one, `L3H5/t2i` for layer 3, head 5."""
    name = "all" if channel == MEAN or export is None else distinct(export.channel_names)[channel]
    return key_of(name, direction)
