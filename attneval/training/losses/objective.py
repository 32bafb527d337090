"""Total loss of a training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.training.losses.constraints import ContrastiveConstraints
from attneval.training.models.attention import T2I, contrasts

if TYPE_CHECKING:
    from torch import Tensor

    from attneval.training.choices import Negatives, Through
    from attneval.training.models.attention import AttentionMaps, Pairs
    from attneval.training.run.config import ConstraintConfig


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


def make_constraints(config: ConstraintConfig) -> ContrastiveConstraints:
    """The constraints of a run."""
    return ContrastiveConstraints(
        weight_ccr=config.weight_ccr if "ccr" in config.use else 0.0,
        weight_ccs=config.weight_ccs if "ccs" in config.use else 0.0,
        margin_ccr=config.margin_ccr,
        margin_ccs=config.margin_ccs,
        swap=config.swap,
    )


def constraint_terms(
    constraints: ContrastiveConstraints,
    pairs: Pairs,
    maps: AttentionMaps,
    *,
    ids: Tensor,
    images: Tensor,
    query_words: Tensor,
    through: Through = "all",
) -> dict[str, Tensor]:
    """CCR and CCS of matched pairs, each summed over the directions that the model has.

    Args:
        constraints: What to compute.
        pairs: B matched pairs.
        maps: Their attention.
        ids: [B, T] word ids of the captions; a word is never swapped for the same word.
        images: [B] which image each pair shows; captions of one image are not swapped.
        query_words: [V] true for word ids that take part as queries.
        through: With `weights` the constraints move attention weights only: queries and keys count as given.
    """
    total: dict[str, Tensor] = {}
    for direction, contrast in contrasts(pairs, maps, query_words[ids]).items():
        vectors = (contrast.queries, contrast.keys)
        queries, keys = vectors if through == "all" else (each.detach() for each in vectors)
        terms = constraints.terms(
            queries,
            keys,
            contrast.weights,
            query_mask=contrast.query_mask,
            key_mask=contrast.key_mask,
            groups=images,
            labels=ids if direction == T2I.name else None,
        )
        for name, term in terms.items():
            total[name] = total[name] + term if name in total else term
    return total
