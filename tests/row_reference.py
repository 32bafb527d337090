"""A row of weights against a set of keys, as the reference judges it."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

from heat_reference import Heat, Picture, judge_map, otsu_share, top_pixel_inside

if TYPE_CHECKING:
    from reference_inputs import Keys, Row


class Target(NamedTuple):
    """What a row of weights is held against."""

    relevant: frozenset[int]
    pointing: frozenset[int]  # the keys that the pointing game accepts
    inside: tuple[float, ...]  # of each key, the share of its area inside the shapes
    picture: Picture | None = None  # where the pointing game is played on pixels
    heat: Heat | None = None  # where maps are enlarged


def keys_alone(relevant: Keys, keys: int) -> Target:
    """Keys that are relevant, or not, and have no geometry: as tokens, they lie inside or outside."""
    return Target(frozenset(relevant), frozenset(relevant), tuple(float(key in relevant) for key in range(keys)))


def normalise(row: Row, method: str) -> Row:
    if not row:
        return []  # there are no regions
    if method == "sum":
        total = sum(row)
        return [w / total for w in row] if total > 0 else [0.0] * len(row)
    if method == "softmax":
        top = max(row)
        powers = [math.exp(w - top) for w in row]
        return [p / sum(powers) for p in powers]
    if method == "minmax":
        low, high = min(row), max(row)
        return [(w - low) / (high - low) if high > low else 0.0 for w in row]
    return list(row)


def attended(row: Row, threshold: str) -> Row:
    """How much each key belongs to the attended set: 0 or 1, or a share where top:k cuts through a tie."""
    rule, _, text = threshold.partition(":")
    n = len(row)
    if not n or max(row) - min(row) <= 1e-12 * abs(max(row)):
        return [1.0] * n  # even attention is all keys
    if rule == "uniform":
        factor = float(text) if text else 1.0
        return [float(w > factor / n * (1 + 1e-12)) for w in row]
    if rule == "otsu":
        low, high = min(row), max(row)
        least = (float(text) if text else 1.0) * otsu_share(row, low, high)
        return [float((w - low) / (high - low) + 1e-12 >= least - 1e-12) for w in row]
    value = float(text)
    if rule == "abs":
        return [float(w > value * (1 + 1e-12)) for w in row]
    if rule == "max":
        return [float(w >= (value - 1e-12) * max(row)) for w in row]
    if rule == "top":
        members = []
        for w in row:
            ahead = sum(other > w for other in row)
            tied = sum(other == w for other in row)
            members.append(min(max((value - ahead) / tied, 0.0), 1.0))
        return members
    total, held, kept = sum(row), 0.0, set()
    for w in sorted(set(row), reverse=True):
        if total <= 0 or held / total >= value - 1e-9:
            break
        kept.add(w)
        held += w * row.count(w)
    return [float(w in kept) for w in row]


def expected_top(row: Row, relevant: Keys, k: int) -> float:
    """Expected number of relevant keys among the first k."""
    ranking = sorted(row, reverse=True)
    total = 0.0
    for key in relevant:
        ahead = ranking.index(row[key])  # where the first of those that weigh the same stands
        total += min(max((k - ahead) / ranking.count(row[key]), 0.0), 1.0)
    return total


def hit_probability(row: Row, relevant: Keys, k: int) -> float:
    """Probability that one of the first k keys is relevant, ties in random order."""
    if not relevant:
        return 0.0
    best = max(row[key] for key in relevant)
    ranking = sorted(row, reverse=True)
    ahead = ranking.index(best)
    good = sum(row[key] == best for key in relevant)
    bad = ranking.count(best) - good
    places = k - ahead
    if places <= 0:
        return 0.0
    if places > bad:
        return 1.0
    return 1 - math.comb(bad, places) / math.comb(bad + good, places)


def judge(row: Row, target: Target, threshold: str) -> dict[str, float]:
    # Breakdowns and baselines ask the same again and again.
    return _judge(tuple(row), target, threshold)


@functools.lru_cache(2**16)
def _judge(row: tuple[float, ...], target: Target, threshold: str) -> dict[str, float]:
    relevant = target.relevant
    members = attended(row, threshold)
    size = sum(members)
    tp = sum(members[key] for key in relevant)
    precision = tp / size if size else 0.0
    recall = tp / len(relevant) if relevant else 0.0
    total = sum(row)
    ranking = sorted(row, reverse=True)
    through = {key: ranking.index(row[key]) + ranking.count(row[key]) for key in relevant}
    steps = [sum(row[o] >= row[key] for o in relevant) / through[key] for key in relevant]
    out = {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "tp": tp,
        "attended": size,
        "relevant": float(len(relevant)),
        "ap": sum(steps) / len(relevant) if relevant else 0.0,
        "pointing": top_pixel_inside(row, target.picture) if target.picture else expected_top(row, target.pointing, 1),
        "mass": sum(row[key] for key in relevant) / total if total > 0 else 0.0,
        "rank_accuracy": expected_top(row, relevant, len(relevant)) / len(relevant) if relevant else 0.0,
    }
    if target.heat:
        out |= judge_map(row, target.heat, threshold)
    out["area_mass"] = sum(w * share for w, share in zip(row, target.inside, strict=True)) / total if total > 0 else 0.0
    others = [row[key] for key in range(len(row)) if key not in relevant]
    if relevant and others:
        won = [(row[key] > other) + (row[key] == other) / 2 for key in relevant for other in others]
        out["auc"] = sum(won) / len(won)
    out |= {f"r@{k}": hit_probability(row, relevant, k) for k in (1, 5, 10)}
    if len(row) > 1 and total > 0:
        shares = [w / total for w in row if w > 0]
        out["entropy"] = -sum(p * math.log(p) for p in shares) / math.log(len(row))
    return out


def pool(rows: list[Row], rule: str) -> Row:
    if rule == "last":
        return rows[-1]
    columns = list(zip(*rows, strict=True))
    if rule == "max":
        return [max(c) for c in columns]
    return [sum(c) / (len(c) if rule == "mean" else 1) for c in columns]
