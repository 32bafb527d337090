"""Items in direction t2i: annotated words or phrases, and words that are held against nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import offsets_of, ranges
from attneval.matching.items import Items
from attneval.matching.phrase_classes import phrase_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.geometry.pixel_sets import PixelSets
    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment
    from attneval.matching.key_groups import KeyGroups
    from attneval.matching.phrases import ScoredPhrases
    from attneval.metrics.enlarged_maps import EnlargedMaps


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
