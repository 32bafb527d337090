"""The query that content swapping puts in the place of another one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor
from torch.nn import functional

from attneval.errors import ConfigError
from attneval.training.choices import Swap

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

Similarity: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""Two tensors [..., D] that broadcast against each other -> their similarities [...]."""

_CHUNK = 1 << 22  # numbers of a broadcast block when an unknown similarity is searched for its hardest swap


def cosine(queries: Tensor, attended: Tensor) -> Tensor:
    """Cosine similarity of [..., D] and [..., D]; a zero vector has similarity 0 and a finite gradient."""
    return functional.cosine_similarity(queries, attended, dim=-1, eps=_smallest_norm(queries))


def check_swap(swap: str) -> None:
    """Refuse what is no choice of q'.

    Raises:
        ConfigError: It is none.
    """
    if swap not in get_args(Swap):
        raise ConfigError(f"swap must be one of {', '.join(get_args(Swap))}, not {swap!r}")


def swappable(swap: Swap, item: Tensor, group: Tensor, label: Tensor | None) -> Tensor:
    """Mark the queries that may take the place of each query.

    Args:
        swap: `random` and `hardest` take queries of other groups, `item` those of the same item.
        item: i[n], the item of each query.
        group: i[n], the group of its item.
        label: i[n], equal for queries that mean the same, or None.

    Returns:
        b[n, n], rows are the queries and columns what may be swapped in; never a query for itself.
    """
    if swap == "item":
        allowed = item[:, None] == item[None, :]
        allowed &= ~torch.eye(len(item), dtype=torch.bool, device=item.device)
    else:
        allowed = group[:, None] != group[None, :]
    return allowed if label is None else allowed & (label[:, None] != label[None, :])


@torch.no_grad()
def swapped_in(
    swap: Swap,
    allowed: Tensor,
    query: Tensor,
    attended: Tensor,
    *,
    similarity: Similarity,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose q' for each query.

    Args:
        swap: `hardest` takes the one most similar to the attended information, others draw one.
        allowed: b[n, n] of `swappable`.
        query: f[n, D] queries.
        attended: f[n, D] what each attends to.
        similarity: Compares a query with attended information.
        generator: Source of randomness; default torch's global one.

    Returns:
        i[n] indices of queries; without meaning where nothing is allowed.
    """
    if not len(query):
        return torch.zeros(0, dtype=torch.long, device=query.device)
    if swap == "hardest":
        preference = _all_pairs(query, attended, similarity)
    else:
        preference = torch.rand(allowed.shape, generator=generator, device=allowed.device)
    # A forbidden q' wins only where every q' is forbidden.
    return preference.masked_fill(~allowed, -torch.inf).max(-1).indices


def _smallest_norm(vectors: Tensor) -> float:
    """A vector shorter than this counts as a zero vector; half precision has no 1e-8."""
    return max(1e-8, torch.finfo(vectors.dtype).tiny)


def _all_pairs(queries: Tensor, attended: Tensor, similarity: Similarity) -> Tensor:
    """f[n, n] similarity of every attended information (rows) with every query (columns), in bounded memory."""
    if similarity is cosine:
        unit = partial(functional.normalize, dim=-1, eps=_smallest_norm(queries))
        return unit(attended) @ unit(queries).T
    rows = max(1, _CHUNK // max(queries.numel(), 1))
    blocks = [similarity(queries[None], block[:, None]) for block in torch.split(attended, rows)]
    return torch.cat(blocks)
