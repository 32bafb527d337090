"""The recipe of a scoring: from files to a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.config.options import Options
from attneval.config.protocol import Protocol
from attneval.evaluation.add_up import add_up
from attneval.evaluation.block_scorer import block_scorer
from attneval.evaluation.engines import choose_jobs, engine
from attneval.evaluation.manifest import Manifest
from attneval.evaluation.plan_blocks import bytes_of_images, plan_blocks
from attneval.evaluation.select_images import halved, images_of_part, select_images
from attneval.evaluation.settle_overlap import region_kind, settle_overlap
from attneval.evaluation.stated import as_stated
from attneval.evaluation.weight_reader import metrics_of_channels
from attneval.groundtruth.index import digest_and_keep, through_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attneval.groundtruth.annotation_files import GivenFiles
    from attneval.results.result import Result


def score(
    attn: str | Path | Sequence[str | Path] | None = None,
    gt: GivenFiles | None = None,
    *,
    protocol: Protocol | None = None,
    boxes: str | Path | None = None,
    similarity: Sequence[str | Path] = (),
    relevance: Sequence[str | Path] = (),
    caption_ids: str | Path | None = None,
    image_ids: str | Path | None = None,
    split: str | Path | None = None,
    gt_format: str = "auto",
    channel: str | None = None,
    detections: str | Path | None = None,
    options: Options | None = None,
) -> Result:
    """Score an attention export, its similarities, or both.

    Args:
        attn: The export; several are shards of one.
        gt: The annotations: a path, several files that belong together, or `AnnotationFiles`; without them attention is
            not scored.
        protocol: How; the defaults by default.
        boxes: Region boxes for an export without any.
        similarity: Similarity files in place of the export's own matrix; several are averaged. Or ranked lists.
        relevance: Relevance sets, which bring queries of their own: JSON files of the ids that are relevant to each.
        caption_ids: The ids of captions, where sets know them by others: in the order of the similarity's captions, or
            a captions JSON of COCO.
        image_ids: The ids of a bare matrix's rows.
        split: A text file of image ids, one a line: only these count, and all of them must be there.
        gt_format: A format's name to force the annotations' format.
        channel: A channel of the export by its name, `L3H5` for layer 3 and head 5, `L3` for the mean of a layer, or
            `top:K@half` for the mean of the K best of one half of the images, reported on the other; None for the mean
            of all, and each of them.
        detections: Detected boxes, for a protocol whose `box_from` chooses among them.
        options: What changes no number.

    Returns:
        The result; what could not be scored is said in its notes.

    Raises:
        AttnevalError: The input cannot be read or does not fit together, or nothing in it can be scored.
    """
    manifest = Manifest.from_arguments(
        attn,
        gt,
        boxes=boxes,
        split=split,
        similarity=similarity,
        relevance=relevance,
        caption_ids=caption_ids,
        image_ids=image_ids,
        gt_format=gt_format,
        detections=detections,
    )
    protocol, options = protocol or Protocol(), options or Options()
    if channel is None:
        return score_files(manifest, protocol, options)
    # What few need is imported for them alone.
    from attneval.evaluation import pick_channels as picking

    export = picking.with_maps(channel, manifest.paths.open_export())
    looking = picking.looking_for(channel, export, options)
    ranked = None if looking is None else score_files(manifest, protocol, looking)
    choice = picking.pick_channels(channel, export, protocol, ranked)
    chosen, options = picking.narrowed(channel, choice, manifest, options)
    return picking.named(channel, choice, score_files(chosen, protocol, options))


def score_files(manifest: Manifest, protocol: Protocol, options: Options) -> Result:
    """Score the files of a manifest; see `score`.

    Args:
        manifest: The files.
        protocol: How they are scored.
        options: What changes no number.

    Raises:
        AttnevalError: See `score`.
    """
    protocol.check_together()
    ids = manifest.split_ids()
    asked, export = as_stated(protocol, manifest.paths.open_export())
    protocol = settle_overlap(asked, export)
    source = manifest.paths.open_for_maps(export, protocol)
    chosen = halved(ids, export, options.half)
    selection = select_images(export, source, chosen, protocol, gt=manifest.paths.gt, limit=options.limit)
    selection = images_of_part(selection, options.part)
    # An index of one part would be of use to nobody, and push another out.
    indexed = options.cache and options.part is None and not selection.absent
    annotations = through_index(source, selection.ids_in(export), use=indexed)
    jobs = choose_jobs(options.jobs, bytes_of_images(export, selection.rows), options.engine)
    blocks = plan_blocks(export, selection, jobs)
    measured = metrics_of_channels(export, options)
    scorer = block_scorer(
        manifest.paths, export, annotations, protocol, keep_items=options.items, channel_metrics=measured
    )
    with engine(options.engine, jobs, options.scheduler)(blocks, scorer, jobs) as pending:
        # What is done while other processes score the maps is imported then, too.
        from attneval.evaluation.assemble import Parts, assemble
        from attneval.evaluation.measure_faithfulness import measure_faithfulness
        from attneval.evaluation.rank_queries import rank_queries

        manifest.begin_digests(whole=options.reads_whole)
        unwanted = options.why_no_retrieval
        ranked = rank_queries(manifest, export, protocol, split=ids, limit=options.limit, unwanted=unwanted)
        perturbed = measure_faithfulness(export, split=ids, limit=options.limit, wanted=not unwanted)
        sums = add_up(pending, images=sum(map(len, blocks)), progress=options.progress)
    sha256 = digest_and_keep(annotations, sums.digests, sums.truth)
    parts = Parts(
        export,
        selection,
        sums,
        ranked,
        perturbed,
        source.format if source is not None else "",
        sha256,
        auto=("overlap",) if protocol != asked else (),
        region_kind="" if export is None or not sums.regions else region_kind(export, asked, protocol),
    )
    result = assemble(parts, manifest, protocol, options)
    if options.part is None:
        return result
    from attneval.evaluation.one_part import as_part

    return as_part(result, sums, manifest, asked, options)
