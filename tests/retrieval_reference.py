"""Recall@K, as the reference ranks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def retrieval(
    similarity: NDArray[np.floating], caption_image: list[int], ties: str = "expected", folds: int = 1
) -> dict[str, float]:
    images = len(similarity)
    size = images // folds
    parts = [
        _retrieval_fold(similarity, caption_image, list(range(f * size, (f + 1) * size)), ties) for f in range(folds)
    ]
    values = {name: sum(part[name] for part in parts) / folds for name in parts[0]}
    values["rsum"] = sum(values[f"{d}_r@{k}"] for d in ("i2t", "t2i") for k in (1, 5, 10))
    return values


def _retrieval_fold(
    similarity: NDArray[np.floating], caption_image: list[int], images: list[int], ties: str
) -> dict[str, float]:
    captions = [c for c, i in enumerate(caption_image) if i in set(images)]
    ranked: dict[str, list[dict[str, float]]] = {"i2t": [], "t2i": []}
    for i in images:
        own = {c for c in captions if caption_image[c] == i}
        if own:
            ranked["i2t"].append(_query({c: float(similarity[i][c]) for c in captions}, own, ties))
    for c in captions:
        ranked["t2i"].append(_query({i: float(similarity[i][c]) for i in images}, {caption_image[c]}, ties))
    values = {}
    for direction, queries in ranked.items():
        for k in (1, 5, 10):
            values[f"{direction}_r@{k}"] = sum(q[f"r@{k}"] for q in queries) / len(queries)
        ranks = sorted(q["rank"] for q in queries)
        middle = len(ranks) // 2
        values[f"{direction}_medr"] = ranks[middle] if len(ranks) % 2 else (ranks[middle - 1] + ranks[middle]) / 2
        values[f"{direction}_meanr"] = sum(ranks) / len(ranks)
    return values


def _query(scores: dict[int, float], right: set[int], ties: str) -> dict[str, float]:
    best = max(scores[key] for key in right)
    ahead = sum(score > best for score in scores.values())
    good = sum(scores[key] == best for key in right)
    bad = sum(score == best for score in scores.values()) - good
    out = {}
    if ties == "expected":
        out["rank"] = ahead + 1 + bad / (good + 1)
        for k in (1, 5, 10):
            places = min(max(k - ahead, 0), bad + good)
            out[f"r@{k}"] = 1 - math.comb(bad, places) / math.comb(bad + good, places)
    else:
        out["rank"] = ahead + 1 + (bad if ties == "worst" else 0)
        for k in (1, 5, 10):
            out[f"r@{k}"] = float(out["rank"] <= k)
    return out
