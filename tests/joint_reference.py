"""The joint view, slow and obvious: ranks are counted, correlations are fractions up to the last root."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import item_reference
import reference
import retrieval_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_inputs import Export, Truth


def mean_ranks(values: Sequence[float]) -> list[Fraction]:
    """The rank of each, from 1; equal ones share the mean of their ranks."""
    return [
        Fraction(sum(other < value for other in values)) + Fraction(sum(other == value for other in values) + 1, 2)
        for value in values
    ]


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's correlation of the mean ranks."""
    a, b = mean_ranks(x), mean_ranks(y)
    n = len(a)
    if not n:
        return None
    center_a, center_b = sum(a, Fraction(0)) / n, sum(b, Fraction(0)) / n
    shared = sum(((p - center_a) * (q - center_b) for p, q in zip(a, b, strict=True)), Fraction(0))
    spread_a = sum(((p - center_a) ** 2 for p in a), Fraction(0))
    spread_b = sum(((q - center_b) ** 2 for q in b), Fraction(0))
    if not spread_a or not spread_b:
        return None
    return float(shared) / math.sqrt(float(spread_a) * float(spread_b))


def lift(truth: Truth, export: Export, p: dict[str, Any]) -> float | None:
    """The mean over all items of F1 less that of even attention."""
    items = item_reference.items_of(truth, export, p, None)
    value = reference.lifts(items, [item.row for item in items], p)["f1_lift"]
    # What differs by rounding alone is a tie.
    return None if value is None else round(value, 12)


def pairs(
    truth: Truth, export: Export, p: dict[str, Any], image_ids: list[str]
) -> dict[str, list[tuple[float, float]]]:
    """Lift and rank of every caption, and of every image, that has both.

    Args:
        truth: The annotations.
        export: The export, with similarities.
        p: The protocol.
        image_ids: Of the rows of the similarities.
    """
    similarity = export.similarity
    assert similarity is not None
    captions, images = [], []
    every = range(len(export.maps))
    for image_id, image in truth.items():
        row = image_ids.index(image_id)
        own = {c for c in every if export.caption_image[c] == row}
        for c in sorted(own):
            index = export.maps[c].index
            alone = {image_id: replace(image, captions={index: image.captions[index]})}
            value = lift(alone, export, p)
            if value is not None:
                scores = {i: float(similarity[i][c]) for i in range(len(similarity))}
                captions.append((value, retrieval_reference._query(scores, {row}, p["ties"])["rank"]))
        value = lift({image_id: image}, export, p)
        if own and value is not None:
            scores = {c: float(similarity[row][c]) for c in every}
            images.append((value, retrieval_reference._query(scores, own, p["ties"])["rank"]))
    return {"captions": captions, "images": images}


def table(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The share of each cell of the two by two table."""
    counts = {"both_right": 0, "attended_only": 0, "retrieved_only": 0, "neither_right": 0}
    for lift, rank in pairs:
        if lift > 0 and rank == 1:
            counts["both_right"] += 1
        elif lift > 0:
            counts["attended_only"] += 1
        elif rank == 1:
            counts["retrieved_only"] += 1
        else:
            counts["neither_right"] += 1
    return {name: count / len(pairs) for name, count in counts.items()}
