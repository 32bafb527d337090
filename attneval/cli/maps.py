"""Maps of the items of a result, from the export that was scored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attneval.errors import ResultError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attneval.evaluation.pictures import Pictures
    from attneval.groundtruth.annotation_files import AnnotationFiles
    from attneval.results.items import ItemTable
    from attneval.results.result import Result

SINGLE = 1e-6
"""By how much scores may differ that were stored in single precision."""


def pictures_of(
    attn: Sequence[Path],
    gt: AnnotationFiles,
    result: Result,
    table: ItemTable | None,
    *,
    boxes: Path | None = None,
    image_id: Sequence[str] | None = None,
) -> Pictures:
    """Read the maps of a result's items.

    Args:
        attn: The export, or its shards.
        gt: The annotations.
        result: What was scored of them, and how.
        table: The result's items; None if it was scored without.
        boxes: The file of region boxes, if there was one.
        image_id: Only these images.

    Raises:
        ResultError: The export is not the one that was scored.
    """
    from attneval.evaluation.manifest import open_exports
    from attneval.evaluation.pictures import read_pictures
    from attneval.results.channel_choice import named_channels
    from attneval.storage.digests import digest_of

    export = open_exports(tuple(attn), boxes)
    if result.averaged:
        names = export.channel_names
        rows = [
            row
            for name in result.averaged
            for row in named_channels(name, names, export.channel.tolist(), str(export.path))
        ]
        export = replace(export, averaged=tuple(rows))
    stored = {one.sha256 for one in result.inputs if one.role == "attn"}
    for path in attn:
        if digest_of(path) not in stored:
            raise ResultError(
                f"{path} is not the export that {result.name or 'the result'} was scored from: digests differ",
                hint="pass the export that its inputs name, or score this one",
            )
    source = gt.open(result.protocol)
    if image_id is None:
        scored = set(result.scores.sums.image_id)
        image_id = [name for name in export.image_id if name in scored]
    pictures = read_pictures(export, source, result.protocol, image_id)
    if table is not None:
        _check(pictures.table, table, gt)
    return pictures


def _check(drawn: ItemTable, stored: ItemTable, gt: AnnotationFiles) -> None:
    """Hold what is drawn against what was scored.

    Raises:
        ResultError: They differ.
    """
    names = {str(name): row for row, name in enumerate(stored.image_id)}
    image_of = stored.caption_image[stored.item_caption]
    drawn_of = drawn.caption_image[drawn.item_caption]
    for row, name in enumerate(map(str, drawn.image_id)):
        here, there = np.flatnonzero(drawn_of == row), np.flatnonzero(image_of == names.get(name, -1))
        same = len(here) == len(there) and np.array_equal(drawn.item_span[here], stored.item_span[there])
        if not same or np.abs(drawn.item_scores[here] - stored.item_scores[there]).max(initial=0) > SINGLE:
            raise ResultError(
                f"the items of image {name} are not those that were scored",
                hint=f"pass the annotations that the result's inputs name; {gt} gives others",
            )
