"""The losses on attention that a run adds to the matching loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch

from attneval.errors import ConfigError
from attneval.training.losses.constraints import ContrastiveConstraints, cosine
from attneval.training.losses.observations import gradient_norms, hinge_view, peakedness
from attneval.training.losses.supervised import supervised_loss
from attneval.training.models.attention import T2I, contrasts

if TYPE_CHECKING:
    from torch import Tensor

    from attneval.training.losses.constraints import Contrasted
    from attneval.training.models.attention import AttentionMaps, Contrast, Pairs
    from attneval.training.models.matching import MatchingModel
    from attneval.training.run.config import ConstraintConfig


@dataclass(frozen=True)
class AttentionLosses:
    """Losses on the attention of matched pairs, and what they were computed from.

    Args:
        terms: Unweighted losses by name: `ccr`, `ccs`, `supervised`, each summed over the directions that it looks at.
        contrasts: Input of the constraints by direction.
        sides: Both sides of the constraints by direction and name.
    """

    terms: dict[str, Tensor] = field(default_factory=dict)
    contrasts: dict[str, Contrast] = field(default_factory=dict)
    sides: dict[tuple[str, str], Contrasted] = field(default_factory=dict)


class AttentionObjective:
    """The losses on attention that a run adds to the matching loss.

    Args:
        config: Their choice.
        model: Compares queries with attended information where the configuration says so.

    Raises:
        ConfigError: Words have no attention over regions that could be supervised.
    """

    def __init__(self, config: ConstraintConfig, model: MatchingModel) -> None:
        self.config = config
        fixed = config.through == "weights"
        self.weights: dict[str, float] = {name: getattr(config, f"weight_{name}") for name in config.use}
        self.constraints = ContrastiveConstraints(
            weight_ccr=self.weights.get("ccr", 0.0),
            weight_ccs=self.weights.get("ccs", 0.0),
            margin_ccr=config.margin_ccr,
            margin_ccs=config.margin_ccs,
            similarity=cosine if config.fit == "cosine" else partial(model.fragment_similarity, fixed=fixed),
            reversal=config.reversal,
            swap=config.swap,
            through=config.through,
        )

    def losses(
        self,
        pairs: Pairs,
        maps: AttentionMaps,
        *,
        ids: Tensor,
        images: Tensor,
        query_words: Tensor,
        relevant: Tensor | None = None,
    ) -> AttentionLosses:
        """Compute the losses of matched pairs.

        Args:
            pairs: B matched pairs.
            maps: Their attention.
            ids: i[B, T] word ids of the captions; a word is never swapped for the same word.
            images: i[B] the image of each pair; captions of one image are not swapped.
            query_words: b[V] true for word ids that take part as queries.
            relevant: b[B, T, R] annotated relevant regions, for `supervised`.
        """
        losses = AttentionLosses(contrasts=contrasts(pairs, maps, query_words[ids]))
        for direction, contrast in losses.contrasts.items():
            sides = self.constraints.contrasted(
                contrast.queries,
                contrast.keys,
                contrast.weights,
                query_mask=contrast.query_mask,
                key_mask=contrast.key_mask,
                groups=images,
                labels=ids if direction == T2I.name else None,
            )
            for name, each in sides.items():
                losses.sides[direction, name] = each
                term = self.constraints.loss(name, each)
                losses.terms[name] = losses.terms[name] + term if name in losses.terms else term
        if "supervised" in self.config.use:
            if maps.t2i is None or relevant is None:
                raise ConfigError(
                    "attention can be supervised only from words to regions, with annotations of the training images",
                    hint="choose a model with t2i attention, and give the annotations",
                )
            losses.terms["supervised"] = supervised_loss(maps.t2i, relevant, pairs.words.mask)
        return losses

    def total(self, losses: AttentionLosses) -> Tensor:
        """The weighted sum of the losses, a scalar."""
        return torch.stack([self.weights[name] * term for name, term in losses.terms.items()]).sum()

    def observe(self, losses: AttentionLosses) -> dict[str, float]:
        """Measure how peaked attention is and what the hinges are given, by name; `NAME_i2t` is the other direction.

        See `attneval.training.losses.observations`.
        """
        seen: dict[str, float] = {}
        several = len(losses.contrasts) > 1
        for direction, contrast in losses.contrasts.items():
            named = peakedness(contrast.weights, contrast.query_mask, contrast.key_mask)
            for (of_direction, name), sides in losses.sides.items():
                if of_direction == direction:
                    named |= hinge_view(name, sides, self.constraints.margins[name])
            end = f"_{direction}" if several and direction != T2I.name else ""
            seen |= {f"{name}{end}": value for name, value in named.items()}
        return seen

    def observe_gradients(
        self, matching: Tensor, weighted: Tensor, losses: AttentionLosses, pairs: Pairs
    ) -> dict[str, float]:
        """Norms of gradients of two scalars at the encoded words and regions, see `gradient_norms`."""
        weights = [contrast.weights for contrast in losses.contrasts.values()]
        return gradient_norms(matching, weighted, weights, [pairs.words.vectors, pairs.regions.vectors])
