"""How much there is of everything in a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.arrays.ragged import distinct_values
from attneval.matching.alignment import ABSENT

if TYPE_CHECKING:
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.matching.phrases import ScoredPhrases


def count_block(captions: CaptionBlock, phrases: ScoredPhrases) -> dict[str, int]:
    """Count images, aligned captions, phrases, words and regions."""
    truth = captions.truth
    scored = distinct_values(phrases.caption)
    return {
        "images": len(truth.image_id),
        "captions": int((captions.alignment.row[scored] != ABSENT).sum()),
        "phrases": len(phrases.phrase),
        "phrases_without_box": int((truth.phrase_entity < 0).sum()),
        "words": len(phrases.word),
        "regions": int(captions.regions.count.sum()),
    }
