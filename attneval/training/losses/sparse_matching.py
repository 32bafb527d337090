"""The matching loss of a batch, whose gradient is computed for the pairs that have one.

The definition it must equal, value and gradient: `matching_loss(model.similarity(all pairs), ...)`.

Of the B x B scores of a batch, the hinge with the hardest negatives depends on at most 3 B: the matched pairs, and for
each image and each caption its hardest negative. All scores are therefore computed without a graph, and those few once
more with one. The share of those falls with B.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attneval.training.losses.matching import matching_loss
from attneval.training.models.attention import Pairs

if TYPE_CHECKING:
    from torch import Tensor

    from attneval.training.choices import Negatives
    from attneval.training.models.attention import Fragments
    from attneval.training.models.matching import MatchingModel


PAIRS_AT_A_TIME = 256


def batch_matching_loss(
    model: MatchingModel, regions: Fragments, words: Fragments, images: Tensor, *, margin: float, negatives: Negatives
) -> Tensor:
    """Compute the matching loss of a batch in the way that takes the least time.

    Args:
        model: Compares images and captions.
        regions: B encoded images.
        words: B encoded captions, each of the image in its place.
        images: i[B], the image of each pair; pairs that show the same one are not contrasted.
        margin: By how much a matched pair has to win.
        negatives: The hardest of the batch, or the sum over all.

    Returns:
        A scalar, the loss per pair.
    """
    if negatives == "all" or not model.scores_pairs_one_by_one:
        return matching_loss(_all_scores(model, regions, words), images, margin=margin, negatives=negatives)
    with torch.no_grad():
        scores = _all_scores(model, regions, words)
    scores.requires_grad_()
    loss = matching_loss(scores, images, margin=margin, negatives=negatives)
    (slope,) = torch.autograd.grad(loss, scores)
    image, caption = slope.nonzero(as_tuple=True)
    few = Pairs(regions[image], words[caption], matched=True)
    again = model.similarity(few, model.attend(few))
    # Its value is zero, and its gradient that of the loss.
    return loss.detach() + (slope[image, caption] * (again - again.detach())).sum()


def _all_scores(model: MatchingModel, regions: Fragments, words: Fragments) -> Tensor:
    """f[B, B] scores of all images and captions.

    On a CPU a few captions of about one length are compared at a time: they need less padding, and what is computed of
    them stays in the cache, which takes half of the time. On a GPU every launch would cost more than it saves.

    Captions come from long to short, as in the batches of the originals: the running statistics of SAF's batch norm
    depend on the order.
    """
    order = words.mask.sum(1).argsort(descending=True, stable=True)
    if words.vectors.is_cuda:
        parts = [words[order]]
    else:
        parts = [words[part].trimmed() for part in torch.split(order, max(1, PAIRS_AT_A_TIME // len(regions)))]
    columns = []
    for part in parts:
        pairs = Pairs(regions, part)
        columns.append(model.similarity(pairs, model.attend(pairs)))
    return torch.cat(columns, dim=1)[:, order.argsort()]
