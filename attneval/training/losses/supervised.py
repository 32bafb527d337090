"""Attention supervised with annotated boxes: a mark that constraints without annotations can be held against.

That attention improves when it is taught ground-truth maps is published (for instance arXiv 2511.12738); the form here
is this project's: the negative logarithm of the attention mass that a word gives to the regions that are relevant for
it, which are those that the metrics count as relevant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def supervised_loss(weights: Tensor, relevant: Tensor, query_mask: Tensor | None = None) -> Tensor:
    """Mean of -log(attention mass of the relevant regions) over the words that have relevant regions.

    Args:
        weights: f[B, T, R] attention weights of words, summing to 1 over the real regions.
        relevant: b[B, T, R], true where a region is relevant for a word; all false where nothing is annotated.
        query_mask: b[B, T], true where a word takes part; None means everywhere.

    Returns:
        A scalar, at least 0; 0 when no word takes part. A word that gives its relevant regions no weight at all counts
        as if it gave them the smallest normal number, without a gradient.
    """
    takes_part = relevant.any(-1)
    if query_mask is not None:
        takes_part = takes_part & query_mask
    mass = (weights * relevant).sum(-1)[takes_part]
    return -mass.clamp_min(torch.finfo(weights.dtype).tiny).log().sum() / max(len(mass), 1)
