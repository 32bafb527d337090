"""Items in direction i2t: regions that cover phrases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.matching.items import Items

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment
    from attneval.matching.key_groups import KeyGroups
    from attneval.matching.phrases import ScoredPhrases


def region_items(
    truth: GroundTruth,
    alignment: Alignment,
    scored: ScoredPhrases,
    *,
    covering: IndexSets,
    groups: KeyGroups,
    key_count: NDArray[np.int64],
    key_of_token: NDArray[np.int64],
) -> Items:
    """Items in direction i2t: each region that covers a phrase of a caption; the words of those phrases are relevant.

    Args:
        truth: The annotations of I images.
        alignment: Which tokens belong to which words.
        scored: The annotated words.
        covering: The regions that cover each instance of an entity.
        groups: The groups of regions, of which those of a caption's group are its items.
        key_count: i8[C], how many keys each caption has: its tokens without special ones.
        key_of_token: i8[T], which key of its caption each token is.
    """
    entity = truth.phrase_entity[scored.phrase]
    # One row per caption and entity: the tokens of all phrases that mean the entity.
    keys = max(len(truth.box_offset), 1)
    pairs, pair_of = np.unique(scored.caption * keys + entity, return_inverse=True)
    pair_caption, pair_entity = pairs // keys, pairs % keys
    pair_of_word = np.repeat(pair_of, np.diff(scored.word_offset))
    tokens_of = np.diff(alignment.token_offset)[scored.word]
    token = alignment.token[ranges(alignment.token_offset[:-1][scored.word], tokens_of)]
    width = int(key_count.max(initial=0)) + 1
    token_keys = distinct_values(np.repeat(pair_of_word, tokens_of) * width + key_of_token[token])
    pair_sets = IndexSets(np.searchsorted(token_keys // width, np.arange(len(pairs) + 1)), token_keys % width)
    # An item is a caption and a region that covers one of its entities.
    instance = groups.instances(pair_caption, pair_entity, truth)
    covered = covering.size[instance]
    region = covering.member[ranges(covering.offset[:-1][instance], covered)]
    pair = np.repeat(np.arange(len(pairs)), covered)
    regions = int(region.max(initial=0)) + 1
    cells, cell_of = np.unique(pair_caption[pair] * regions + region, return_inverse=True)
    caption = cells // regions
    sets, target = _joined(pair_sets, cell_of, pair, len(cells))
    # A token lies inside a phrase or outside.
    whole = IndexSets(sets.offset, sets.member, np.ones(len(sets.member)))
    first_pair = np.searchsorted(pair_caption, np.arange(len(truth.text) + 1))
    count = np.diff(first_pair)[caption]
    every = ranges(first_pair[caption], count)
    cell = np.repeat(np.arange(len(cells)), count)
    foreign = ~np.isin(cell * len(pairs) + every, cell_of * len(pairs) + pair)
    given = key_count[caption] > 0
    types = np.zeros(len(pairs), np.int64)
    np.bitwise_or.at(types, pair_of, truth.phrase_types[scored.phrase])
    item_types = np.zeros(len(cells), np.int64)
    np.bitwise_or.at(item_types, cell_of, types[pair])
    unknown = np.full(len(cells), -1, np.int64)
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.caption_offset))[caption]
    return Items(
        image=image,
        group=groups.of_caption[caption],
        caption=caption,
        phrase=unknown,
        word=unknown,
        key_count=key_count[caption],
        entry_offset=offsets_of(given),
        entry=(cells % regions)[given],
        share=np.ones(int(given.sum()), np.int64),
        divisor=np.ones(len(cells), np.int64),
        sets={"relevant": sets, "pointing": sets, "area": whole},
        target=target,
        other_offset=offsets_of(np.bincount(cell[foreign], minlength=len(cells))),
        other=every[foreign],
        types=item_types,
        area=unknown,
        length=unknown,
        undefined=np.zeros(len(cells), np.bool_),
    )


def _joined(
    sets: IndexSets, cell: NDArray[np.int64], pair: NDArray[np.int64], cells: int
) -> tuple[IndexSets, NDArray[np.int64]]:
    """The pairs' sets, followed by the union of each cell's pairs; and where the cells' sets are."""
    size = sets.size[pair]
    width = int(sets.member.max(initial=0)) + 1
    members = sets.member[ranges(sets.offset[:-1][pair], size)]
    token_keys = distinct_values(np.repeat(cell, size) * width + members)
    offset = np.searchsorted(token_keys // width, np.arange(cells + 1)) + sets.offset[-1]
    joined = IndexSets(np.concatenate((sets.offset[:-1], offset)), np.concatenate((sets.member, token_keys % width)))
    return joined, np.arange(cells) + len(sets.size)
