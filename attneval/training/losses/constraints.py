"""Contrastive constraints on attention: CCR and CCS (Chen et al., "More Than Just Attention", WACV 2023).

A query q attends to keys k_1..k_n with weights w_1..w_n; the attended information is a = sum_j w_j k_j.

- Content re-sourcing (CCR): q fits what it attends to better than what it ignores. The ignored information is
  the sum of the keys under the reversed weights v_j = (1 - w_j) / sum_l (1 - w_l).
- Content swapping (CCS): a fits q better than a query q' taken from elsewhere in the batch.

Both are hinges on the model's own similarity of query and attended information, averaged over the real queries
of matched pairs. They know nothing of the model: queries, keys, weights and masks go in, a differentiable scalar
comes out. Margins, weights and the choice of q' are parameters of this project, not values read in the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from attneval.training.losses.attended import AttendedBatch
from attneval.training.losses.reversal import reversed_weights
from attneval.training.losses.swapping import Similarity, check_swap, cosine, swappable, swapped_in

if TYPE_CHECKING:
    from attneval.training.choices import Reversal, Swap, Through

__all__ = [
    "Contrasted",
    "ContrastiveConstraints",
    "Similarity",
    "ccr_loss",
    "ccs_loss",
    "cosine",
    "hinge",
    "reversed_weights",
]


class Contrasted(NamedTuple):
    """The two sides of a constraint, for the n queries that take part.

    Args:
        positive: f[n] similarities that should be higher.
        negative: f[n] similarities that should be lower.
    """

    positive: Tensor
    negative: Tensor


def hinge(positive: Tensor, negative: Tensor, margin: float, mask: Tensor | None = None) -> Tensor:
    """Mean of max(0, margin + negative - positive), [...] each, over true masks; differentiable 0 if none is."""
    violation = (margin + negative - positive).clamp_min(0)
    if mask is None:
        return violation.sum() / max(violation.numel(), 1)
    return violation.masked_fill(~mask, 0).sum() / mask.sum().clamp_min(1)


def ccr_loss(
    queries: Tensor,
    keys: Tensor,
    weights: Tensor,
    *,
    query_mask: Tensor | None = None,
    key_mask: Tensor | None = None,
    margin: float = 0.2,
    similarity: Similarity = cosine,
    reversal: Reversal = "complement",
) -> Tensor:
    """Contrastive content re-sourcing: mean of max(0, margin + s(q, reversed) - s(q, attended)).

    Queries that cannot ignore anything (one real key) and padding are left out of the mean.

    Args:
        queries: f[B, Q, D] query vectors, or f[Q, D] shared by all items.
        keys: f[B, K, D] key vectors, or f[K, D] shared by all items.
        weights: f[B, Q, K] attention weights, summing to 1 over the real keys.
        query_mask: b[B, Q], true where a query is real and takes part.
        key_mask: b[B, K], true where a key is real.
        margin: How much better the attended information has to fit.
        similarity: The model's similarity, called on two tensors [n, D]; gives [n].
        reversal: The form of the reversed weights, see `reversed_weights`.

    Returns:
        A scalar; 0 when no query takes part.
    """
    batch = AttendedBatch(queries, keys, weights, query_mask, key_mask)
    return hinge(*_ccr(batch, similarity, reversal), margin)


def _ccr(batch: AttendedBatch, similarity: Similarity, reversal: Reversal) -> Contrasted:
    reverse = reversed_weights(batch.weights, batch.key_mask[:, None], reversal)
    takes_part = batch.attends & (reverse.sum(-1) > 0)
    query = batch.queries[takes_part]
    attended = batch.attended()[takes_part]
    ignored = torch.bmm(reverse, batch.keys)[takes_part]
    return Contrasted(similarity(query, attended), similarity(query, ignored))


def ccs_loss(
    queries: Tensor,
    keys: Tensor,
    weights: Tensor,
    *,
    query_mask: Tensor | None = None,
    key_mask: Tensor | None = None,
    margin: float = 0.2,
    similarity: Similarity = cosine,
    swap: Swap = "random",
    groups: Tensor | None = None,
    labels: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Contrastive content swapping: mean of max(0, margin + s(q', attended) - s(q, attended)).

    q' is another real query of the batch. Queries without a possible q' (a batch of one item) and padding are left
    out of the mean. Choosing q' takes memory for one number per pair of real queries.

    Args:
        queries: f[B, Q, D] query vectors, or f[Q, D] shared by all items.
        keys: f[B, K, D] key vectors, or f[K, D] shared by all items.
        weights: f[B, Q, K] attention weights, summing to 1 over the real keys.
        query_mask: b[B, Q], true where a query is real and takes part.
        key_mask: b[B, K], true where a key is real.
        margin: How much better q has to fit than q'.
        similarity: The model's similarity, called on two tensors [n, D]; gives [n]. For `hardest` it is also
            called on [n, 1, D] and [1, m, D].
        swap: `random` draws q' uniformly from other items, `hardest` takes the one of them most similar to the
            attended information, `item` draws from the other queries of the same item.
        groups: i[B]; items of one group show the same content, and `random` and `hardest` never swap between them
            (two captions of an image). Default: every item is a group of one.
        labels: i[B, Q]; a query is never swapped for one of the same label (the same word).
        generator: Source of randomness; default torch's global one.

    Returns:
        A scalar; 0 when no query takes part.

    Raises:
        ConfigError: There is no such choice of q'.
    """
    check_swap(swap)
    batch = AttendedBatch(queries, keys, weights, query_mask, key_mask)
    return hinge(*_ccs(batch, similarity, swap, groups=groups, labels=labels, generator=generator), margin)


def _ccs(
    batch: AttendedBatch,
    similarity: Similarity,
    swap: Swap,
    *,
    groups: Tensor | None,
    labels: Tensor | None,
    generator: torch.Generator | None,
) -> Contrasted:
    mask = batch.attends
    query, attended = batch.queries[mask], batch.attended()[mask]
    items = torch.arange(len(mask), device=mask.device)
    item = items[:, None].expand(mask.shape)[mask]
    group = item if groups is None else groups[item]
    allowed = swappable(swap, item, group, None if labels is None else labels[mask])
    partner = swapped_in(swap, allowed, query, attended, similarity=similarity, generator=generator)
    has_partner = allowed.any(-1)
    query, attended, partner = query[has_partner], attended[has_partner], query[partner[has_partner]]
    return Contrasted(similarity(query, attended), similarity(partner, attended))


class ContrastiveConstraints(nn.Module):
    """lambda_ccr * CCR + lambda_ccs * CCS, to be added to the loss of any attention model.

    Args:
        weight_ccr: lambda_ccr; 0 leaves CCR out.
        weight_ccs: lambda_ccs; 0 leaves CCS out.
        margin_ccr: Margin of CCR.
        margin_ccs: Margin of CCS.
        similarity: The model's similarity of query and attended information.
        reversal: The form of CCR's reversed weights.
        swap: How CCS chooses q'.
        through: With `weights` the constraints move the attention weights alone: queries and keys count as given, and
            so should whatever `similarity` learns.

    Raises:
        ConfigError: There is no such choice of q'.

    Example:
        >>> constraints = ContrastiveConstraints(weight_ccs=0.5)
        >>> words, regions = torch.eye(4)[None, :2], torch.eye(4)[None]
        >>> weights = torch.tensor([[[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]]])
        >>> constraints(words, regions, weights).item()
        0.0
    """

    def __init__(
        self,
        *,
        weight_ccr: float = 1.0,
        weight_ccs: float = 1.0,
        margin_ccr: float = 0.2,
        margin_ccs: float = 0.2,
        similarity: Similarity = cosine,
        reversal: Reversal = "complement",
        swap: Swap = "random",
        through: Through = "everything",
    ) -> None:
        super().__init__()
        check_swap(swap)
        self.weights = {"ccr": weight_ccr, "ccs": weight_ccs}
        self.margins = {"ccr": margin_ccr, "ccs": margin_ccs}
        self.similarity = similarity
        self.reversal: Reversal = reversal
        self.swap: Swap = swap
        self.through: Through = through

    def contrasted(
        self,
        queries: Tensor,
        keys: Tensor,
        weights: Tensor,
        *,
        query_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        groups: Tensor | None = None,
        labels: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Contrasted]:
        """Both sides of the constraints that are switched on, by name: `ccr`, `ccs`. Arguments as in `ccs_loss`."""
        if self.through == "weights":
            queries, keys = queries.detach(), keys.detach()
        batch = AttendedBatch(queries, keys, weights, query_mask, key_mask)
        sides = {}
        if self.weights["ccr"]:
            sides["ccr"] = _ccr(batch, self.similarity, self.reversal)
        if self.weights["ccs"]:
            sides["ccs"] = _ccs(batch, self.similarity, self.swap, groups=groups, labels=labels, generator=generator)
        return sides

    def loss(self, name: str, sides: Contrasted) -> Tensor:
        """The unweighted loss of a constraint, a scalar."""
        return hinge(*sides, self.margins[name])

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        weights: Tensor,
        *,
        query_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        groups: Tensor | None = None,
        labels: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The weighted sum of the constraints as a scalar. Arguments as in `ccs_loss`."""
        sides = self.contrasted(
            queries,
            keys,
            weights,
            query_mask=query_mask,
            key_mask=key_mask,
            groups=groups,
            labels=labels,
            generator=generator,
        )
        terms = (self.weights[name] * self.loss(name, each) for name, each in sides.items())
        return sum(terms, torch.zeros((), device=weights.device))
