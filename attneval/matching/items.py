"""The items of a block of images: what is judged, where its weights are, and against which sets of keys.

In direction t2i an item is an annotated word or phrase, and its keys are the regions of the image. In direction i2t
an item is a region that covers a phrase, and its keys are the tokens of the caption.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.index_sets import IndexSets
from attneval.arrays.ragged import distinct_values, offsets_of, ranges
from attneval.arrays.records import record
from attneval.matching.phrase_classes import Classes, phrase_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.config.protocol import Protocol
    from attneval.geometry.top_pixels import PixelSets
    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment
    from attneval.matching.key_groups import KeyGroups
    from attneval.matching.phrases import ScoredPhrases
    from attneval.metrics.enlarged_maps import EnlargedMaps


@record
class Items:
    """m items of a block of images.

    Attributes:
        image: i8[m], row of the item's image, ascending.
        group: i8[m], the group of keys that the item attends to, see `attneval.matching.key_groups`.
        caption: i8[m], row of its caption.
        phrase: i8[m], row of its phrase in the ground truth; -1 in direction i2t.
        word: i8[m], row of its word; -1 where the item is a phrase or a region.
        key_count: i8[m], how many keys it has.
        entry_offset: i8[m+1], first entry of each item in `entry` and `share`; none if the model did not give it.
        entry: i8[k], what is pooled into the item's row: tokens in direction t2i, the region in direction i2t.
        share: i8[k], how often each entry counts in the sum that is pooled.
        divisor: i8[m], what that sum is divided by.
        sets: IndexSets of keys by what they stand for: `relevant`; `pointing`, where the protocol tells them apart;
            `area`, every region that shares an area with the shapes, with the share of it that lies inside.
        target: i8[m], the set of each item.
        other_offset: i8[m+1], first entry of each item in `other`.
        other: i8[o], for each item the sets of the other entities it could be about.
        types: i8[m], the types of its phrase as bits.
        area: i8[m], index into `attneval.config.breakdowns.AREAS`, or -1.
        undefined: b[m], the items whose rows all are undefined, so that there is nothing to score.
        length: i8[m], index into `attneval.config.breakdowns.LENGTHS`, or -1.
        classes: Further classes of items, by the name of the breakdown; none in direction i2t.
        pixels: The pixels of each set, where the pointing game is played on enlarged maps.
        maps: What enlarges maps and knows the shapes of each set, where the protocol asks for it.
    """

    image: NDArray[np.int64]
    group: NDArray[np.int64]
    caption: NDArray[np.int64]
    phrase: NDArray[np.int64]
    word: NDArray[np.int64]
    key_count: NDArray[np.int64]
    entry_offset: NDArray[np.int64]
    entry: NDArray[np.int64]
    share: NDArray[np.int64]
    divisor: NDArray[np.int64]
    sets: dict[str, IndexSets]
    target: NDArray[np.int64]
    other_offset: NDArray[np.int64]
    other: NDArray[np.int64]
    types: NDArray[np.int64]
    area: NDArray[np.int64]
    length: NDArray[np.int64]
    undefined: NDArray[np.bool_]
    pixels: PixelSets | None = None
    maps: EnlargedMaps | None = None
    classes: dict[str, Classes] = field(default_factory=dict)

    @property
    def at_hand(self) -> frozenset[str]:
        """The things that columns may need and these items have, see `attneval.metrics.declaration.Column.needs`."""
        return frozenset() if self.maps is None else self.maps.at_hand

    @property
    def given(self) -> NDArray[np.bool_]:
        """b[m], the items for which the model gave weights."""
        return np.diff(self.entry_offset) > 0

    @property
    def ranked(self) -> NDArray[np.bool_]:
        """b[m], the items that were given weights of at least one key, so that there is something to rank."""
        return self.given & (self.key_count > 0)


def word_items(
    truth: GroundTruth,
    alignment: Alignment,
    scored: ScoredPhrases,
    *,
    sets: dict[str, IndexSets],
    groups: KeyGroups,
    key_count: NDArray[np.int64],
    protocol: Protocol,
    defined: NDArray[np.bool_] | None = None,
    pixels: PixelSets | None = None,
    maps: EnlargedMaps | None = None,
) -> Items:
    """Items in direction t2i: a word of a phrase, or under `unit=phrase` all words of a phrase together.

    Args:
        truth: The annotations of I images.
        alignment: Which tokens belong to which words.
        scored: The annotated words.
        sets: The regions relevant to each instance of an entity.
        groups: The groups of regions.
        key_count: i8[G], how many regions each group has.
        protocol: Unit and pooling.
        defined: b[T], the tokens whose rows are defined; None for all.
        pixels: The pixels of each instance, where the pointing game is played on enlarged maps.
        maps: What enlarges maps and knows the shapes of each instance; None where nothing asks for it.
    """
    words_of = np.diff(scored.word_offset)
    if protocol.unit == "word":
        row = np.repeat(np.arange(len(scored.phrase)), words_of)
        word = scored.word
        first_word = np.arange(len(word) + 1)
    else:
        row = np.arange(len(scored.phrase))
        word = np.full(len(row), -1, np.int64)
        first_word = scored.word_offset
    tokens_of = np.diff(alignment.token_offset)[scored.word]
    entry = alignment.token[ranges(alignment.token_offset[:-1][scored.word], tokens_of)]
    undefined = np.zeros(len(row), np.bool_)
    if defined is not None:
        had = np.diff(offsets_of(tokens_of)[first_word]) > 0
        kept = defined[entry]
        word_of_entry = np.repeat(np.arange(len(tokens_of)), tokens_of)
        tokens_of, entry = np.bincount(word_of_entry[kept], minlength=len(tokens_of)).astype(np.int64), entry[kept]
        undefined = had & (np.diff(offsets_of(tokens_of)[first_word]) == 0)
    entry_offset = offsets_of(tokens_of)[first_word]
    share, divisor = _shares(protocol.pool, tokens_of, first_word)
    entity = truth.phrase_entity[scored.phrase[row]]
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.caption_offset))[scored.caption[row]]
    caption = scored.caption[row]
    group, target = groups.of_caption[caption], groups.instances(caption, entity, truth)
    others, other = _others(group, target, groups.offset)
    return Items(
        image=image,
        group=group,
        caption=caption,
        phrase=scored.phrase[row],
        word=word,
        key_count=key_count[group],
        entry_offset=entry_offset,
        entry=entry,
        share=share,
        divisor=divisor,
        sets=sets,
        target=target,
        other_offset=others,
        other=other,
        types=truth.phrase_types[scored.phrase[row]],
        area=scored.area[row],
        length=scored.length[row],
        classes={name: of.take(scored.phrase[row]) for name, of in phrase_classes(truth).items()},
        undefined=undefined,
        pixels=pixels,
        maps=maps,
    )


def lone_words(
    word: NDArray[np.int64],
    truth: GroundTruth,
    alignment: Alignment,
    *,
    groups: KeyGroups,
    key_count: NDArray[np.int64],
    protocol: Protocol,
    defined: NDArray[np.bool_] | None = None,
) -> Items:
    """Items that have rows of weights and are held against nothing: single words, annotated or not.

    Args:
        word: i8[m], rows of the alignment's words, ascending.
        truth: See `word_items`; so are the others.
        alignment: Which tokens belong to which words.
        groups: The groups of regions.
        key_count: i8[G], how many regions each group has.
        protocol: Pooling.
        defined: b[T], the tokens whose rows are defined; None for all.
    """
    count = np.diff(alignment.token_offset)[word]
    entry = alignment.token[ranges(alignment.token_offset[:-1][word], count)]
    if defined is not None:
        kept = defined[entry]
        owner = np.repeat(np.arange(len(word)), count)[kept]
        count, entry = np.bincount(owner, minlength=len(word)).astype(np.int64), entry[kept]
    share, divisor = _shares(protocol.pool, count, np.arange(len(word) + 1))
    caption_of_word = np.repeat(np.arange(len(truth.text)), np.diff(alignment.words.caption_offset))
    caption = caption_of_word[word]
    image = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.caption_offset))[caption]
    group, unknown = groups.of_caption[caption], np.full(len(word), -1, np.int64)
    nothing = np.zeros(0, np.int64)
    return Items(
        image=image,
        group=group,
        caption=caption,
        phrase=unknown,
        word=word,
        key_count=key_count[group],
        entry_offset=offsets_of(count),
        entry=entry,
        share=share,
        divisor=divisor,
        sets={},
        target=unknown,
        other_offset=np.zeros(len(word) + 1, np.int64),
        other=nothing,
        types=np.zeros(len(word), np.int64),
        area=unknown,
        length=unknown,
        undefined=np.zeros(len(word), np.bool_),
    )


def _shares(
    pool: str, tokens_of: NDArray[np.int64], first_word: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each token counts in its item's sum, and what the sum is divided by.

    Tokens are pooled onto words, and words onto items, by one rule. A mean of means is a sum of whole multiples,
    divided once at the end: rounding parts before they are added would break ties.
    """
    words = np.diff(first_word)
    if pool != "mean":
        return np.ones(int(tokens_of.sum()), np.int64), np.ones(len(words), np.int64)
    multiple = np.lcm.reduceat(np.maximum(tokens_of, 1), first_word[:-1])
    item = np.repeat(np.arange(len(words)), words)
    given_words = np.bincount(item, tokens_of > 0, len(words)).astype(np.int64)
    share = multiple[item] // np.maximum(tokens_of, 1)
    return np.repeat(share, tokens_of), multiple * given_words


def _others(
    group: NDArray[np.int64], target: NDArray[np.int64], offset: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each item, the other instances of its group."""
    count = np.diff(offset)[group]
    every = ranges(offset[group], count)
    other = every[every != np.repeat(target, count)]
    return offsets_of(np.maximum(count - 1, 0)), other


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
