"""Contrastive constraints on attention: CCR and CCS (Chen et al., "More Than Just Attention", WACV 2023).

A query q attends to keys k_1..k_n with weights w_1..w_n; the attended information is a = sum_j w_j k_j.

- Content re-sourcing (CCR): q fits what it attends to better than what it ignores. The ignored information is
  the sum of the keys under the reversed weights v_j = (1 - w_j) / sum_l (1 - w_l).
- Content swapping (CCS): a fits q better than a query q' taken from another item of the batch.

Both are hinges on the model's own similarity of query and attended information, averaged over the real queries
of matched pairs. They know nothing of the model: queries, keys, weights and masks go in, a differentiable scalar
comes out. Margins, weights and the choice of q' are parameters of this project, not values read in the paper.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from attneval.errors import ConfigError
from attneval.training.choices import Swap
from attneval.training.losses.attended import AttendedBatch

if TYPE_CHECKING:
    from typing import TypeAlias

Similarity: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Two tensors [..., D] that broadcast against each other -> their similarities [...]."""

_CHUNK = 1 << 22  # numbers of a broadcast block when an unknown similarity is searched for its hardest swap


def cosine(queries: Tensor, attended: Tensor) -> Tensor:
    """Cosine similarity over the last axis; a zero vector has similarity 0 and a finite gradient."""
    return functional.cosine_similarity(queries, attended, dim=-1, eps=_smallest_norm(queries))


def reversed_weights(weights: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Attention on what is ignored: (1 - w) / sum (1 - w) over the real keys.

    Args:
        weights: [..., K] attention weights in 0..1 that sum to 1 over the real keys.
        key_mask: [..., K] or broadcastable, true where a key is real.

    Returns:
        [..., K]. A row without anything to reverse (a single key holds all the weight) is all zero.
    """
    ignored = (1 - weights).clamp_min(0)
    if key_mask is not None:
        ignored = ignored.masked_fill(~key_mask, 0)
    total = ignored.sum(-1, keepdim=True)
    # One float rounding error away from zero is still "nothing ignored": dividing by it would blow up gradients.
    something = total > _smallest_share(weights)
    return torch.where(something, ignored, 0) / torch.where(something, total, 1)


def hinge(positive: Tensor, negative: Tensor, margin: float, mask: Tensor | None = None) -> Tensor:
    """Mean of max(0, margin + negative - positive) where `mask` is true; 0, still differentiable, if nowhere."""
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
) -> Tensor:
    """Contrastive content re-sourcing: mean of max(0, margin + s(q, reversed) - s(q, attended)).

    Queries that cannot ignore anything (one real key) and padding are left out of the mean.

    Args:
        queries: [B, Q, D] query vectors, or [Q, D] shared by all items.
        keys: [B, K, D] key vectors, or [K, D] shared by all items.
        weights: [B, Q, K] attention weights, summing to 1 over the real keys.
        query_mask: [B, Q], true where a query is real and takes part.
        key_mask: [B, K], true where a key is real.
        margin: How much better the attended information has to fit.
        similarity: Model's own similarity, called on two tensors [n, D]; gives [n].

    Returns:
        A scalar; 0 when no query takes part.
    """
    batch = AttendedBatch(queries, keys, weights, query_mask, key_mask)
    reverse = reversed_weights(batch.weights, batch.key_mask[:, None])
    takes_part = batch.attends & (reverse.sum(-1) > 0)
    query = batch.queries[takes_part]
    attended = batch.attended()[takes_part]
    ignored = torch.bmm(reverse, batch.keys)[takes_part]
    return hinge(similarity(query, attended), similarity(query, ignored), margin)


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

    q' is a real query of another item of the batch. Queries without a possible q' (a batch of one item) and
    padding are left out of the mean. Choosing q' takes memory for one number per pair of real queries.

    Args:
        queries: [B, Q, D] query vectors, or [Q, D] shared by all items.
        keys: [B, K, D] key vectors, or [K, D] shared by all items.
        weights: [B, Q, K] attention weights, summing to 1 over the real keys.
        query_mask: [B, Q], true where a query is real and takes part.
        key_mask: [B, K], true where a key is real.
        margin: How much better q has to fit than q'.
        similarity: Model's own similarity, called on two tensors [n, D]; gives [n]. For `hardest` it is also
            called on [n, 1, D] and [1, m, D].
        swap: `random` draws q' uniformly, `hardest` takes the one most similar to the attended information.
        groups: [B] integers; items of one group show the same content and never swap (two captions of an
            image). Default: every item is its own group.
        labels: [B, Q] integers; a query is never swapped for one of the same label (the same word).
        generator: Source of randomness of `random`; default torch's global one.

    Returns:
        A scalar; 0 when no query takes part.
    """
    _check_swap(swap)
    batch = AttendedBatch(queries, keys, weights, query_mask, key_mask)
    mask = batch.attends
    query, attended = batch.queries[mask], batch.attended()[mask]

    count = len(mask)
    groups = torch.arange(count, device=mask.device) if groups is None else groups
    group = groups[:, None].expand(mask.shape)[mask]
    allowed = group[:, None] != group[None, :]
    if labels is not None:
        allowed &= labels[mask][:, None] != labels[mask][None, :]

    with torch.no_grad():
        if swap == "random":
            preference = torch.rand(allowed.shape, generator=generator, device=allowed.device)
        else:
            preference = _all_pairs(query, attended, similarity)
        # A forbidden q' wins only where every q' is forbidden.
        partner = preference.masked_fill(~allowed, -torch.inf).max(-1).indices if len(query) else group
    has_partner = allowed.any(-1)
    query, attended, partner = query[has_partner], attended[has_partner], query[partner[has_partner]]
    return hinge(similarity(query, attended), similarity(partner, attended), margin)


class ContrastiveConstraints(nn.Module):
    """lambda_ccr * CCR + lambda_ccs * CCS, to be added to the loss of any attention model.

    Args:
        weight_ccr: lambda_ccr; 0 leaves CCR out.
        weight_ccs: lambda_ccs; 0 leaves CCS out.
        margin_ccr: Margin of CCR.
        margin_ccs: Margin of CCS.
        similarity: The model's own similarity of query and attended information.
        swap: How CCS chooses q'.

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
        swap: Swap = "random",
    ) -> None:
        super().__init__()
        _check_swap(swap)
        self.weight_ccr, self.weight_ccs = weight_ccr, weight_ccs
        self.margin_ccr, self.margin_ccs = margin_ccr, margin_ccs
        self.similarity = similarity
        self.swap: Swap = swap

    def terms(
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
    ) -> dict[str, Tensor]:
        """The unweighted losses that are switched on, by name: `ccr`, `ccs`. Arguments as in `ccs_loss`."""
        masks = {"query_mask": query_mask, "key_mask": key_mask}
        terms = {}
        if self.weight_ccr:
            terms["ccr"] = ccr_loss(queries, keys, weights, margin=self.margin_ccr, similarity=self.similarity, **masks)
        if self.weight_ccs:
            terms["ccs"] = ccs_loss(
                queries,
                keys,
                weights,
                margin=self.margin_ccs,
                similarity=self.similarity,
                swap=self.swap,
                groups=groups,
                labels=labels,
                generator=generator,
                **masks,
            )
        return terms

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum of `terms`."""
        weighted = {"ccr": self.weight_ccr, "ccs": self.weight_ccs}
        return sum((weighted[name] * term for name, term in terms.items()), torch.zeros(()))

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
        terms = self.terms(
            queries,
            keys,
            weights,
            query_mask=query_mask,
            key_mask=key_mask,
            groups=groups,
            labels=labels,
            generator=generator,
        )
        return self.total(terms)


def _smallest_share(weights: Tensor) -> float:
    """Below this, a sum of 1 - w over a row is rounding error."""
    return 4 * torch.finfo(weights.dtype).eps * weights.shape[-1]


def _smallest_norm(vectors: Tensor) -> float:
    """A vector shorter than this counts as a zero vector; half precision has no 1e-8."""
    return max(1e-8, torch.finfo(vectors.dtype).tiny)


def _all_pairs(queries: Tensor, attended: Tensor, similarity: Similarity) -> Tensor:
    """[n, n] similarity of every attended information (rows) with every query (columns), in bounded memory."""
    if similarity is cosine:
        unit = partial(functional.normalize, dim=-1, eps=_smallest_norm(queries))
        return unit(attended) @ unit(queries).T
    rows = max(1, _CHUNK // max(queries.numel(), 1))
    blocks = [similarity(queries[None], block[:, None]) for block in torch.split(attended, rows)]
    return torch.cat(blocks) if blocks else queries.new_zeros(0, 0)


def _check_swap(swap: str) -> None:
    if swap not in get_args(Swap):
        raise ConfigError(f"swap must be one of {', '.join(get_args(Swap))}, not {swap!r}")
