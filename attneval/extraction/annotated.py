"""Annotations in the service of training: the attention of dev is scored, and words get their relevant regions."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from attneval.config.options import Options
from attneval.config.protocol import Protocol
from attneval.errors import AttnevalError
from attneval.evaluation.score import score
from attneval.extraction.checkpoints import caption_numbers, even_maps, write_export
from attneval.training.data.relevant import relevant_tokens
from attneval.training.models.table import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attneval.results.result import Result
    from attneval.training.data.captions import EncodedCaptions
    from attneval.training.data.precomputed import Split
    from attneval.training.data.relevant import RelevantRegions
    from attneval.training.models.similarity import CaptionMap, MatchedMaps

ATTENTION = ("precision", "recall", "f1", "ap", "pointing", "mass", "specificity")
"""Metrics that are logged of the attention of dev, under the names that a result gives it."""


def attention_scores(gt: Path, maps: MatchedMaps) -> dict[str, float]:
    """Score attention: the maps are exported and scored as `attneval export` and `score` do.

    Args:
        gt: Annotations.
        maps: The attention of the captions of a split.

    Returns:
        Those of `ATTENTION` that are defined, by name.

    Raises:
        DataError: The images have no boxes, or the annotations do not fit.
    """
    directions = MODELS[maps.model.config.name].directions
    result = _scored(gt, maps.split, maps, directions, options=Options(resamples=0))
    return {name: value for name in ATTENTION if (value := result[name]) is not None}


def relevant_regions(gt: Path, split: Split, captions: EncodedCaptions) -> RelevantRegions:
    """Find the relevant regions of annotated words, as scoring does by default; words that were cut off have none.

    Args:
        gt: Annotations.
        split: Images with boxes, and their captions.
        captions: The captions, encoded.

    Raises:
        DataError: The images have no boxes, or the annotations do not fit.
    """
    maps, cut = even_maps(split, captions), Protocol(missing="skip")
    items = _scored(gt, split, maps, ("t2i",), options=Options(resamples=0, items=True), protocol=cut).items
    if items is None or split.image_ids is None:
        raise TypeError("items were asked for, of images with ids")
    numbers = caption_numbers(split.caption_image)
    names = zip((split.image_ids[image] for image in split.caption_image.tolist()), numbers, strict=True)
    caption_of = {name: caption for caption, name in enumerate(names)}
    images, texts = list(items.image_id), list(items.caption_text)
    scored = [
        (caption_of[images[image], index], text)
        for image, index, text in zip(items.caption_image.tolist(), items.caption_index.tolist(), texts, strict=True)
    ]
    words = (
        (*scored[caption], (first, end), items.members(item, items.relevant))
        for item, (caption, (first, end)) in enumerate(
            zip(items.item_caption.tolist(), items.item_span.tolist(), strict=True)
        )
    )
    return relevant_tokens(captions, words, split.feature_shape[0])


def _scored(
    gt: Path,
    split: Split,
    maps: Iterable[CaptionMap],
    directions: Sequence[str],
    *,
    options: Options,
    protocol: Protocol | None = None,
) -> Result:
    """Score maps by way of an export that nobody else sees."""
    with TemporaryDirectory(prefix="attneval-") as folder:
        path = Path(folder) / "maps.npz"
        write_export(path, split, maps, directions=directions, about={})
        try:
            return score(path, gt, protocol=protocol, options=options)
        except AttnevalError as error:
            error.message = error.message.replace(str(path), split.source)
            raise
