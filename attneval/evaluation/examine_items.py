"""Item by item: what was attended, what was relevant, and what kind of error it was.

Kinds of errors, after the idea of TIDE (Bolya et al., ECCV 2020) that each item has one, and that fixing one kind at a
time tells what it costs:

- `unreachable`: no region is relevant, so nothing could have been right;
- `wrong instance`: nothing relevant is attended, but another entity of the same phrase type is;
- `wrong entity`: nothing relevant is attended, but another entity of the caption is;
- `missed`: nothing relevant is attended, nor any other of these;
- `spilled`: relevant regions are attended, and others as well;
- `narrow`: only relevant regions are attended, but not all of them;
- `right`: exactly the relevant regions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.bits import bits_type
from attneval.arrays.ragged import ranges
from attneval.arrays.records import record
from attneval.arrays.strings import Strings
from attneval.evaluation.item_hits import item_chunks
from attneval.evaluation.weight_reader import MEAN
from attneval.matching.key_groups import KeyGroups
from attneval.metrics.hits import Hits
from attneval.metrics.populations import counted, scored
from attneval.metrics.rankings import Rows, normalised
from attneval.metrics.set_scores import set_scores
from attneval.results.items import (
    MISSED,
    NARROW,
    RIGHT,
    SPILLED,
    UNREACHABLE,
    WRONG_ENTITY,
    WRONG_INSTANCE,
    ItemTable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.arrays.index_sets import IndexSets
    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.evaluation.read_regions import BlockRegions
    from attneval.evaluation.weight_reader import Weights
    from attneval.groundtruth import GroundTruth
    from attneval.matching.alignment import Alignment
    from attneval.matching.items import Items
    from attneval.matching.phrases import ScoredPhrases


def examine_items(
    captions: CaptionBlock, phrases: ScoredPhrases, items: Items, weights: Weights, protocol: Protocol
) -> ItemTable:
    """Look at the items of a block in direction t2i, one by one, under the mean of all channels."""
    return tabulate_items(
        captions.truth,
        captions.alignment,
        phrases,
        items,
        weights,
        protocol=protocol,
        regions=captions.regions,
        groups=captions.groups,
    )


def tabulate_items(
    truth: GroundTruth,
    alignment: Alignment,
    phrases: ScoredPhrases,
    items: Items,
    weights: Weights,
    *,
    protocol: Protocol,
    regions: BlockRegions,
    groups: KeyGroups | None = None,
) -> ItemTable:
    """Look at items one by one.

    Args:
        truth: The annotations.
        alignment: Their words.
        phrases: The annotated words.
        items: The items; those without weights attend to nothing, and are left out unless they count as 0.
        weights: Their weights.
        protocol: How they are scored.
        regions: The regions that count.
        groups: What they are grouped by; by images if None.
    """
    groups = KeyGroups.from_images(truth) if groups is None else groups
    context = _Context.from_phrases(truth, phrases, groups)
    m = len(items.target)
    kind = np.full(m, MISSED, np.uint8)
    scores, top = np.zeros((m, 3), np.float32), np.tile(np.array([-1, 0], np.float32), (m, 1))
    other = np.full((m, 2), -1, np.int32)
    relevant = items.sets["relevant"]
    reached = relevant.size[items.target] > 0
    kind[~reached] = UNREACHABLE
    present = counted(items.given, protocol, items.undefined)
    bits: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}
    for chunk in item_chunks(items, present & ~items.ranked):
        nothing = np.zeros((len(chunk), int(items.key_count[chunk[0]])), np.bool_)
        bits |= _packed(chunk, nothing, _as_bits(relevant, items.target[chunk], nothing.shape))
    for chunk in item_chunks(items, items.ranked):
        rows = Rows.rank(normalised(weights.read(chunk, MEAN), protocol.normalize), protocol.rule)
        of_target = Hits(rows, np.arange(len(chunk)), relevant, items.target[chunk])
        tp = of_target.true_positives
        scores[chunk] = of_set = set_scores(tp, of_target.attended, of_target.relevant)
        precision, recall, _ = of_set.T
        first = rows.weight.argmax(axis=1)
        top[chunk] = np.stack((first, rows.weight[np.arange(len(chunk)), first]), axis=1)
        kind[chunk[tp > 0]] = SPILLED
        kind[chunk[(tp > 0) & (precision == 1)]] = NARROW
        kind[chunk[(precision == 1) & (recall == 1)]] = RIGHT
        wrong = chunk[tp == 0]
        kind[wrong], other[wrong] = context.mistaken(items, rows, chunk, wrong)
        kind[chunk[of_target.relevant == 0]] = UNREACHABLE
        attended = rows.ahead < rows.attended[:, None]
        bits |= _packed(chunk, attended, _as_bits(relevant, items.target[chunk], attended.shape))
    kept = np.flatnonzero(present)
    pairs = [bits[row] for row in kept.tolist()]
    none = np.zeros(0, np.uint8)
    captions = np.repeat(np.arange(len(truth.image_id)), np.diff(truth.caption_offset))
    return ItemTable(
        image_id=Strings.from_texts(truth.image_id),
        caption_image=captions.astype(np.int32),
        caption_index=truth.caption_index.astype(np.int16),
        caption_text=truth.text,
        types=Strings.from_texts(truth.types),
        # Where groups are images, their row is that of the caption's image.
        caption_group=None if len(groups.image) == len(truth.image_id) else groups.of_caption.astype(np.int32),
        region_offset=regions.offset,
        region_box=regions.box.astype(np.float32),
        item_caption=items.caption[kept].astype(np.int32),
        item_span=_spans(truth, alignment, items)[kept],
        item_types=items.types[kept].astype(bits_type(len(truth.types))),
        item_kind=kind[kept],
        item_scores=scores[kept],
        item_top=top[kept],
        item_other=other[kept],
        attended=np.concatenate([none, *(a for a, _ in pairs)]),
        relevant=np.concatenate([none, *(r for _, r in pairs)]),
        scored=scored(reached, protocol)[kept],
    )


def _as_bits(sets: IndexSets, of: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """IndexSets of keys as b[m, n]."""
    member = np.zeros(shape, np.bool_)
    size = sets.size[of]
    member[np.repeat(np.arange(len(of)), size), sets.member[ranges(sets.offset[of], size)]] = True
    return member


def _packed(
    items: NDArray[np.int64], attended: NDArray[np.bool_], relevant: NDArray[np.bool_]
) -> dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """By item, its rows of bits."""
    pairs = zip(np.packbits(attended, axis=1), np.packbits(relevant, axis=1), strict=True)
    return dict(zip(items.tolist(), pairs, strict=True))


def _spans(truth: GroundTruth, alignment: Alignment, items: Items) -> NDArray[np.int32]:
    """The code points of each item's word, or from the first to the last of its phrase's spans."""
    phrase = np.stack(
        (truth.span[truth.span_offset[items.phrase], 0], truth.span[truth.span_offset[items.phrase + 1] - 1, 1]), axis=1
    )
    word = items.word >= 0
    if word.any():
        phrase[word] = alignment.words.span[items.word[word]]
    return phrase.astype(np.int32)


@record
class _Context:
    """What else a caption and an image are about."""

    entity_types: NDArray[np.int64]  # the types of all phrases that mean the entity, as bits
    pair: NDArray[np.int64]  # caption * entities + entity, ascending, each once
    pair_span: NDArray[np.int64]  # the first span of the entity's first phrase in the caption
    entity: NDArray[np.int64]  # the entity of each instance

    @classmethod
    def from_phrases(cls, truth: GroundTruth, phrases: ScoredPhrases, groups: KeyGroups) -> _Context:
        entities = len(truth.box_offset) - 1
        types = np.zeros(entities, np.int64)
        known = truth.phrase_entity >= 0
        np.bitwise_or.at(types, truth.phrase_entity[known], truth.phrase_types[known])
        keys = phrases.caption * max(entities, 1) + truth.phrase_entity[phrases.phrase]
        pair, first = np.unique(keys, return_index=True)
        return cls(types, pair, truth.span[truth.span_offset[phrases.phrase[first]]], groups.entity)

    def mistaken(
        self, items: Items, rows: Rows, chunk: NDArray[np.int64], wrong: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """For items that attend to nothing relevant: what kind of error, and which words were attended instead."""
        count = np.diff(items.other_offset)[wrong]
        other = items.other[ranges(items.other_offset[wrong], count)]
        place = np.repeat(np.arange(len(wrong)), count)
        row = np.searchsorted(chunk, wrong)[place]
        hits = Hits(rows, row, items.sets["relevant"], other).true_positives
        other = self.entity[other]
        keys = items.caption[wrong][place] * max(len(self.entity_types), 1) + other
        where = np.minimum(np.searchsorted(self.pair, keys), max(len(self.pair) - 1, 0))
        mentioned = self.pair[where] == keys if len(self.pair) else np.zeros(len(keys), np.bool_)
        same = (self.entity_types[other] & items.types[wrong][place]) > 0
        kind = np.full(len(wrong), MISSED, np.uint8)
        kind[place[(hits > 0) & mentioned]] = WRONG_ENTITY
        kind[place[(hits > 0) & same]] = WRONG_INSTANCE
        span = np.full((len(wrong), 2), -1, np.int32)
        # The entity that most of the attended regions belong to is written last.
        order = np.argsort(hits, kind="stable")
        chosen = order[(hits[order] > 0) & mentioned[order]]
        span[place[chosen]] = self.pair_span[where[chosen]]
        return kind, span
