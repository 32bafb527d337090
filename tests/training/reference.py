"""Slow and obvious: one image, one caption, one query at a time, in numpy, from the papers' formulas.

Shares no code with attneval.training. Words [T, D] and regions [R, D] hold real fragments only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def softmax(values: Array) -> Array:
    powers: Array = np.exp(values - values.max())
    return powers / float(powers.sum())


def sigmoid(values: Array) -> Array:
    return 1 / (1 + np.exp(-values))


def unit(values: Array) -> Array:
    length: float = np.linalg.norm(values).item()
    return values / length


def attention(queries: Array, context: Array, raw_norm: str, temperature: float) -> Array:
    """[Q, C] attention of each query; scores are first normalised over the queries, for each context fragment."""
    scores = np.array([[float(query @ key) for key in context] for query in queries])
    if raw_norm.startswith("clipped"):
        scores = np.where(scores > 0, scores, 0.1 * scores)
    for key in range(len(context)):
        column = scores[:, key]
        if raw_norm.endswith("l2norm"):
            scores[:, key] = column / np.sqrt((column**2).sum())
        elif raw_norm.endswith("l1norm"):
            scores[:, key] = column / np.abs(column).sum()
        elif raw_norm == "softmax":
            scores[:, key] = softmax(column)
    return np.array([softmax(temperature * row) for row in scores])


def focal(weights: Array, kind: str) -> Array:
    """BFAN's re-assignment of each row, by its double sum over pairs of fragments."""
    result = np.zeros_like(weights)
    for row, row_weights in enumerate(weights):
        kept = np.zeros(len(row_weights))
        for i, weight in enumerate(row_weights):
            confidence = np.sqrt(row_weights) if kind == "prob" else np.ones(len(row_weights))
            kept[i] = sum((weight - other) * g for other, g in zip(row_weights, confidence, strict=True)) > 0
        result[row] = kept * row_weights / (kept * row_weights).sum()
    return result


def pooled(values: Array, pooling: str, temperature: float) -> float:
    if pooling == "LogSumExp":
        return float(np.log(np.exp(temperature * values).sum()) / temperature)
    if pooling == "Mean":
        return float(values.mean())
    return float(values.sum() if pooling == "Sum" else values.max())


def query_cosines(queries: Array, context: Array, weights: Array) -> Array:
    return np.array([cosine(query, row @ context) for query, row in zip(queries, weights, strict=True)])
