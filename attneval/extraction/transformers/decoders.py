"""The part of a model that runs over text, and its attention modules, found by what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from torch import nn

PROJECTIONS = ("q_proj", "qkv_proj", "query_key_value", "q_a_proj", "c_attn", "Wqkv", "query", "kv_proj")
"""Attributes of which an attention module has one, whatever its class."""

ELSEWHERE = ("cross", "encoder_attn")
"""What is in the names of modules that attend to an encoder's states."""


def attention_modules(model: nn.Module) -> dict[int, nn.Module]:
    """Find the softmax attention modules of a model's text decoder by their layer numbers.

    A module counts if it has a `layer_idx` and a query projection, whatever its class; linear attention and
    convolutions of hybrid models do not, nor does attention to what an encoder gives.

    Raises:
        AttnevalError: There are none, or two stacks number their layers alike.
    """
    decoder = decoder_of(model)
    kinds = getattr(getattr(decoder, "config", None), "layer_types", None) or []
    by_layer: dict[int, nn.Module] = {}
    names: dict[int, str] = {}
    for name, module in decoder.named_modules():
        layer = getattr(module, "layer_idx", None)
        if not isinstance(layer, int) or not any(hasattr(module, projection) for projection in PROJECTIONS):
            continue
        if any(mark in name.rsplit(".", 1)[-1].lower() for mark in ELSEWHERE):
            continue
        if layer < len(kinds) and "linear" in str(kinds[layer]):
            continue
        if layer in by_layer:
            raise AttnevalError(
                f"{type(model).__name__} has two attention modules of layer {layer}, {names[layer]} and {name}",
                hint="name the modules that are wanted with modules=",
            )
        by_layer[layer], names[layer] = module, name
    if not by_layer:
        raise AttnevalError(
            f"{type(model).__name__} has no attention modules that can be captured",
            hint=f"a module needs layer_idx and one of {', '.join(PROJECTIONS)}; name them with modules=",
        )
    return dict(sorted(by_layer.items()))


def decoder_of(model: nn.Module) -> nn.Module:
    """Find the part of a model that runs over the text, the model itself if nothing in it does so."""
    finder = getattr(model, "get_decoder", None)
    decoder = finder() if callable(finder) else None
    # Some classes call their output layer a decoder.
    if isinstance(decoder, torch.nn.Module) and not isinstance(decoder, torch.nn.Linear):
        inner = getattr(decoder, "get_decoder", None)
        deeper = inner() if callable(inner) and decoder is not model else None
        return deeper if isinstance(deeper, torch.nn.Module) else decoder
    base = getattr(model, "model", model)
    for name in ("language_model", "text_model", "decoder"):
        part = getattr(base, name, None)
        if isinstance(part, torch.nn.Module):
            return part
    return model


def implementation_of(model: nn.Module) -> str:
    """Name the attention implementation of a model's text decoder (`sdpa`, `eager`, ...)."""
    config = getattr(decoder_of(model), "config", getattr(model, "config", None))
    return str(getattr(config, "_attn_implementation", None) or "eager")
