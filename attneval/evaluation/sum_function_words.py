"""Function words beside annotated words: how much of their maps stays below what counts as attended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.quotients import quotient
from attneval.evaluation.item_hits import item_chunks
from attneval.evaluation.weight_reader import MEAN, WeightReader
from attneval.matching.function_words import function_words
from attneval.matching.word_items import lone_words
from attneval.metrics.heat_maps import FUNCTION, FUNCTION_N
from attneval.metrics.rankings import normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.export.read.content import MapBlock
    from attneval.matching.items import Items
    from attneval.metrics.totals import Table


def sum_function_words(
    captions: CaptionBlock, items: Items, maps: MapBlock, protocol: Protocol, *, channel: int
) -> Table:
    """Sum over the function words of each image.

    Args:
        captions: The captions of I images.
        items: Their items in direction t2i, whose maps can be enlarged.
        maps: Their maps.
        protocol: How maps are read, and what of them is attended.
        channel: Which channel, or `MEAN`.

    Returns:
        f8[I] by column: the share of cells below the mean cutoff of the caption's annotated words, and how many words
        there are.
    """
    truth, alignment = captions.truth, captions.alignment
    words = function_words(truth, alignment.words)
    defined = None
    if captions.defined is not None:
        chosen = captions.export.headline_channels if channel == MEAN else [channel]
        defined = np.asarray(captions.defined[chosen].any(axis=0))
    lone = lone_words(
        words,
        truth,
        alignment,
        groups=captions.groups,
        key_count=captions.regions.count,
        protocol=protocol,
        defined=defined,
    )
    cutoff = _mean_cutoffs(captions, items, maps, protocol, words=words, channel=channel)
    weights = WeightReader(captions, lone, maps, "t2i", protocol)
    images = len(truth.image_id)
    table = {FUNCTION: np.zeros(images), FUNCTION_N: np.zeros(images)}
    for chunk in item_chunks(lone, lone.ranked & np.isfinite(cutoff[lone.caption])):
        rows = normalised(weights.read(chunk, channel), protocol.normalize)
        below = (rows < cutoff[lone.caption[chunk]][:, None]).mean(axis=1)
        table[FUNCTION] += np.bincount(lone.image[chunk], below, images)
        table[FUNCTION_N] += np.bincount(lone.image[chunk], minlength=images)
    return table


def _mean_cutoffs(
    captions: CaptionBlock,
    items: Items,
    maps: MapBlock,
    protocol: Protocol,
    *,
    words: NDArray[np.int64],
    channel: int,
) -> NDArray[np.float64]:
    """The mean over each caption's items of what their pixels have to be above to be attended: f8[C], NaN for none.

    Items that are function words do not count, nor do even rows, of which every pixel is attended.
    """
    if items.maps is None:
        raise ValueError("the maps are not enlarged")
    count = len(captions.truth.text)
    total, number = np.zeros(count), np.zeros(count)
    weights = WeightReader(captions, items, maps, "t2i", protocol)
    for chunk in item_chunks(items, items.ranked & ~np.isin(items.word, words)):
        rows = normalised(weights.read(chunk, channel), protocol.normalize)
        cutoff = items.maps.cutoffs(rows, items.group[chunk])
        known = np.isfinite(cutoff)
        total += np.bincount(items.caption[chunk][known], cutoff[known], count)
        number += np.bincount(items.caption[chunk][known], minlength=count)
    return quotient(total, number, otherwise=np.nan)
