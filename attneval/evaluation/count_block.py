"""Counts of everything in a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.ragged import distinct_values
from attneval.groundtruth.columns import CATEGORY_LEVEL, NO_TARGET, SINGULAR
from attneval.matching.alignment import ABSENT

if TYPE_CHECKING:
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.matching.phrases import ScoredPhrases


def count_block(captions: CaptionBlock, phrases: ScoredPhrases) -> dict[str, int]:
    """Count images, aligned captions, phrases, words and regions."""
    truth = captions.truth
    present = truth.phrase_entity >= 0
    of_category = present & ((truth.phrase_flags & CATEGORY_LEVEL) > 0)
    several = np.append(np.diff(truth.box_offset), 0)[truth.phrase_entity] > 1
    special = {
        "no_target": int(((truth.phrase_flags & NO_TARGET) > 0).sum()),
        "category_level": int(of_category.sum()),
        "singular_of_several": int((of_category & several & ((truth.phrase_flags & SINGULAR) > 0)).sum()),
    }
    scored = distinct_values(phrases.caption)
    return {
        "images": len(truth.image_id),
        "captions": int((captions.alignment.row[scored] != ABSENT).sum()),
        "phrases": len(phrases.phrase),
        "phrases_without_box": int((truth.phrase_entity < 0).sum()),
        "words": len(phrases.word),
        "regions": int(captions.regions.count.sum()),
    } | {name: count for name, count in special.items() if count}
