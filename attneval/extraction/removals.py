"""Regions to remove from an image, in the order of attention and in random order, and curves of the scores that follow.

A model is only asked to score images that lack some of their regions; which ones, and what its scores make up, is
decided here for every kind of model.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np

from attneval.arrays.records import record
from attneval.errors import ConfigError
from attneval.metrics.faithfulness import DELETION, INSERTION, in_random_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from attneval.groundtruth import GroundTruth

    Spans = Sequence[tuple[int, int]]
    """Half-open code points of words."""

ORDERS = 8
"""Random orders whose mean the order of attention is held against."""
FEWEST_STEPS = 2


def check_steps(steps: int) -> int:
    """Refuse fewer steps than a curve needs between all regions and none.

    Raises:
        ConfigError: There are too few.
    """
    if steps < FEWEST_STEPS:
        raise ConfigError(f"perturb is {steps}, and curves need {FEWEST_STEPS} steps or more", hint="take 10, say")
    return steps


def described(steps: int, *, annotated: bool, removed: str, score: str) -> dict[str, str | int]:
    """Say in an export's header how its curves were made.

    Args:
        steps: K.
        annotated: True if the annotated words of captions are known.
        removed: What takes the place of regions.
        score: What was scored.
    """
    words = "the annotated words, of all words where none is annotated" if annotated else "all words"
    order = f"mean map of {words}; equal weights in random order"
    return {"steps": steps, "random_orders": ORDERS, "order": order, "removed": removed, "score": score}


@record
class Removals:
    """The perturbed images of one caption that have to be scored, each of them once.

    Attributes:
        removed: bool[v, R], the regions that each of v images lacks.
        place: i8[P], which of the images stands at each place of the curves: all regions and none, then for each order
            steps 1 to K - 1, the order of attention from both ends first.
        steps: K.
    """

    removed: NDArray[np.bool_]
    place: NDArray[np.int64]
    steps: int

    @classmethod
    def from_weights(cls, weight: NDArray[np.floating], steps: int, name: str) -> Removals:
        """Order the regions of a caption's image by their weight, equal ones in random order, and at random.

        Args:
            weight: f[R].
            steps: K.
            name: The caption's, which random orders follow from: they do not depend on what else is exported.
        """
        regions = len(weight)
        random = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
        attended = np.lexsort((random.random(regions), -np.asarray(weight, np.float64)))
        orders = [attended, attended[::-1], *(random.permutation(regions) for _ in range(ORDERS))]
        counts = [_count(step, steps, regions) for step in range(1, steps)]
        masks = [np.zeros(regions, np.bool_), np.ones(regions, np.bool_)]
        for order in orders:
            rank = np.empty(regions, np.int64)
            rank[order] = np.arange(regions)
            masks += [rank < count for count in counts]
        removed, place = np.unique(np.array(masks), axis=0, return_inverse=True)
        return cls(removed, place.ravel(), steps)

    def curves(self, scores: ArrayLike) -> dict[str, NDArray[np.float32]]:
        """Put the scores of the images together to curves: f4[K+1] by name, as `ExportWriter` takes them.

        To keep the most attended regions is to remove the least attended ones. Random orders are as random backwards,
        so that keeping regions in these needs no further scores.

        Args:
            scores: f[v], of the images in their order.
        """
        all_of_them, none, *inner = np.asarray(scores, np.float64)[self.place].tolist()
        by_order = np.array(inner).reshape(-1, self.steps - 1)
        falling = [by_order[0], by_order[1], by_order[2:].mean(axis=0)]
        most_first, least_first, at_random = (np.array([all_of_them, *each, none], np.float32) for each in falling)
        return {
            DELETION: most_first,
            in_random_order(DELETION): at_random,
            INSERTION: least_first[::-1],
            in_random_order(INSERTION): at_random[::-1],
        }


def _count(step: int, steps: int, regions: int) -> int:
    """The number of regions that is nearest to the share, halves up."""
    return (2 * step * regions + steps) // (2 * steps)


def mean_map(rows: NDArray[np.floating], span: NDArray[np.integer], words: Spans) -> NDArray[np.float64]:
    """Average the maps of words, as scoring pools tokens into words and channels into one.

    Args:
        rows: f[A, T, R], weights that are not negative; rows without any are undefined.
        span: i[T, 2], half-open code points of the tokens, empty for special ones.
        words: The words.

    Returns:
        f8[R], zeros where no word has a row.
    """
    total = rows.astype(np.float64).sum(axis=-1, keepdims=True)
    defined = total[..., 0] > 0
    share = np.divide(rows, total, out=np.zeros(rows.shape), where=total > 0)
    means = []
    for start, stop in words:
        inside = (span[:, 0] < stop) & (span[:, 1] > start) & (span[:, 0] < span[:, 1])
        of_word = [
            of[inside & known].mean(axis=0) for of, known in zip(share, defined, strict=True) if known[inside].any()
        ]
        if of_word:
            means.append(np.mean(of_word, axis=0))
    return np.asarray(np.mean(means, axis=0), np.float64) if means else np.zeros(rows.shape[-1])


def words_of(text: str, within: Iterable[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Find the words with a letter or digit of a text, or what lies of them within spans if there are any.

    Args:
        text: The text.
        within: Half-open code points.
    """
    words = [match.span() for match in re.finditer(r"\S+", text)]
    spans = list(within)
    if spans:
        words = sorted({(max(a, c), min(b, d)) for a, b in words for c, d in spans if a < d and c < b})
    return [(start, stop) for start, stop in words if any(map(str.isalnum, text[start:stop]))]


def annotated_words(truth: GroundTruth, caption: int) -> list[tuple[int, int]]:
    """Find the words of a caption's phrases that have a box; all of its words if there are none.

    Args:
        truth: The annotations.
        caption: A row of its captions.
    """
    phrases = range(int(truth.phrase_offset[caption]), int(truth.phrase_offset[caption + 1]))
    spans = [
        (int(start), int(stop))
        for phrase in phrases
        if truth.phrase_entity[phrase] >= 0
        for start, stop in truth.span[truth.span_offset[phrase] : truth.span_offset[phrase + 1]].tolist()
    ]
    text = truth.text[caption]
    return words_of(text, spans) or words_of(text)
