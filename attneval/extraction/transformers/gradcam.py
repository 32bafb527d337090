"""Grad-CAM of cross-attention: weights times the positive part of the gradient of the matching score.

Source: Li et al., "Align before Fuse", NeurIPS 2021, whose code multiplies the cross-attention of one layer by the
gradient of the matching score, cut off below zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from attneval.errors import ProtocolError
from attneval.extraction.transformers.crossing import crossing_modules
from attneval.extraction.transformers.families.inputs import rows_of
from attneval.extraction.transformers.maps import listed
from attneval.extraction.transformers.weights import take

if TYPE_CHECKING:
    from torch import Tensor

    from attneval.extraction.transformers.families.base import Prepared


class CrossAttention(Protocol):
    """The part of `attneval.extraction.transformers.families.cross.Cross` that Grad-CAM needs."""

    model: Any
    choices: Any

    def states(self, inputs: dict[str, Any]) -> tuple[Tensor, int]:
        """Compute the image's states float[B, S, D], and how many of them are no regions."""

    def read(self, inputs: dict[str, Any], states: Tensor) -> Any:
        """Run the text part over the states float[B, S, D]."""

    def reduced(self, layer: int, weights: Tensor) -> Any:
        """Reduce a layer's float[B, H, T, R] over its heads."""

    def joined(self, layers: dict[int, Any]) -> Tensor:
        """Put layers together as channels: float[B, A, T, R]."""


def gradcam(adapter: CrossAttention, prepared: Prepared) -> Tensor:
    """Compute the maps of captions; captions of a batch are independent, so that one backward pass is enough.

    In the last layer only the first token has a path to the score: other rows are zeros there. An earlier layer tells
    more (layer 8 of 12 in the source).

    Args:
        adapter: A model with `itm_head`.
        prepared: Captions of one image.

    Returns:
        float32[B, A, T, R]: heads are reduced as chosen, over weights that were multiplied.
    """
    modules = crossing_modules(adapter.model)
    wanted = adapter.choices.wanted_layers or tuple(modules)
    if unknown := [layer for layer in wanted if layer not in modules]:
        raise ProtocolError(
            f"{type(adapter.model).__name__} has no cross-attention of layers {listed(unknown)}",
            hint=f"its layers with cross-attention are {listed(modules)}",
        )
    kept: dict[int, Tensor] = {}

    def keep(layer: int) -> Any:
        def hook(_module: Any, _given: Any, output: Any) -> None:
            kept[layer] = output[1]

        return hook

    frozen = [parameter for parameter in adapter.model.parameters() if parameter.requires_grad]
    handles = [modules[layer].register_forward_hook(keep(layer)) for layer in wanted]
    try:
        for parameter in frozen:
            parameter.requires_grad_(False)  # noqa: FBT003 - torch's own signature
        with torch.inference_mode(mode=False), torch.enable_grad():
            inputs = {
                name: value.clone() if isinstance(value, torch.Tensor) else value
                for name, value in prepared.inputs.items()
            }
            states, extra = adapter.states(inputs)
            # Something must ask for a gradient, or the weights are no part of a graph.
            states = states.detach().clone().requires_grad_(True)  # noqa: FBT003 - see above
            hidden = adapter.read(inputs, states)[0]
            score = adapter.model.itm_head(hidden[:, 0])[:, 1].sum()
            gradients = torch.autograd.grad(score, [kept[layer] for layer in wanted])
    finally:
        for handle in handles:
            handle.remove()
        for parameter in frozen:
            parameter.requires_grad_(True)  # noqa: FBT003 - see above
    rows = rows_of(prepared.tokens)
    layers = {}
    for layer, gradient in zip(wanted, gradients, strict=True):
        weights = (kept[layer].detach() * gradient.clamp(min=0)).float()
        layers[layer] = adapter.reduced(layer, take(weights, rows, 2)[..., extra:])
    return adapter.joined(layers)
