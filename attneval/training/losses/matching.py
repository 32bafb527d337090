"""The matching loss: matched images and captions score higher than others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from attneval.training.choices import Negatives


def matching_loss(scores: Tensor, images: Tensor, *, margin: float = 0.2, negatives: Negatives = "hardest") -> Tensor:
    """Hinge loss of matched against unmatched pairs, both ways (Faghri et al., BMVC 2018), per pair.

    The originals sum over the batch and take every other caption as a negative. Captions of the same image are no
    negatives here.

    Args:
        scores: [B, B] similarity of image b (rows) and caption c (columns); the diagonal is matched.
        images: [B] which image each row shows; rows that show the same one are not contrasted.
        margin: By how much a matched pair has to win.
        negatives: The hardest of the batch, or the sum over all.

    Returns:
        A scalar.
    """
    matched = scores.diagonal()
    same = images[:, None] == images[None, :]
    caption_cost = (margin + scores - matched[:, None]).clamp_min(0).masked_fill(same, 0)
    image_cost = (margin + scores - matched[None, :]).clamp_min(0).masked_fill(same, 0)
    if negatives == "hardest":
        return (caption_cost.amax(1) + image_cost.amax(0)).mean()
    return (caption_cost.sum() + image_cost.sum()) / len(scores)
