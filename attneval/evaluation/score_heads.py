"""The channels of an export, ranked: scored one by one, chosen on half of the images and reported on the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from attneval.config.options import Options
from attneval.config.protocol import Protocol
from attneval.evaluation.manifest import Manifest
from attneval.evaluation.score import score_files
from attneval.metrics.registry import RANKED_BY, in_table, metric_named
from attneval.metrics.spatial import SPATIAL
from attneval.results.heads import rank_heads
from attneval.statistics.halves import EVEN, ODD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attneval.groundtruth.annotation_files import GivenFiles
    from attneval.results.heads import HeadRanking


def score_heads(
    attn: str | Path | Sequence[str | Path],
    gt: GivenFiles,
    *,
    metric: str = RANKED_BY,
    top: int = 0,
    protocol: Protocol | None = None,
    boxes: str | Path | None = None,
    split: str | Path | None = None,
    detections: str | Path | None = None,
    options: Options | None = None,
) -> HeadRanking:
    """Score the channels of an export and rank them.

    Args:
        attn: See `attneval.score`; so are those that are not named here.
        gt: See `attn`.
        metric: The metric to rank by, a name or an alias.
        top: Also score the mean of the maps of so many of the best as one system; 0 for none.
        protocol: See `attn`.
        boxes: See `attn`.
        split: See `attn`.
        detections: See `attn`.
        options: See `attn`.

    Raises:
        AttnevalError: The files cannot be scored, there is one channel alone, or the metric is not known of channels.
    """
    protocol, options = protocol or Protocol(), options or Options()
    name = metric_named(metric).name
    manifest = Manifest.from_arguments(attn, gt, boxes=boxes, split=split, detections=detections)
    measured = tuple(dict.fromkeys((*(m.name for m in in_table("heads")), name, SPATIAL)))
    result = score_files(manifest, protocol, replace(options, channel_metrics=measured, similarity=False))
    ranking = rank_heads(result, name)
    if not top:
        return ranking
    best = ranking.heads[:top]
    row_of = {channel: row for row, channel in enumerate(result_names(ranking))}
    rows = tuple(row_of[head.name] for head in best)
    chosen = replace(manifest, paths=replace(manifest.paths, channels=rows))
    options = replace(options, name=f"mean of the best {len(best)}", progress=None)
    system = score_files(chosen, protocol, replace(options, half=ODD))
    on_even = score_files(chosen, protocol, replace(options, half=EVEN, resamples=0))
    return replace(ranking, top=len(best), system=system, system_chosen=on_even.measured(name))


def result_names(ranking: HeadRanking) -> list[str]:
    """List the names of all channels in the order of the export."""
    stored = ranking.result.channel_sums
    return [] if stored is None else stored.table.name
