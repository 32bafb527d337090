"""A function of transformers' attention interface that stands in for a model's own while its weights are captured."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.weights import additive_mask, cut_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor, nn

    from attneval.extraction.transformers.maps import Recorder

NAME = "attneval_capture"
"""How the standing-in function is called in transformers' tables."""

NEUTRAL = frozenset(
    {
        "cache_position",
        "cu_seq_lens_k",
        "cu_seq_lens_q",
        "deterministic",
        "logits_to_keep",
        "max_length_k",
        "max_length_q",
        "num_items_in_batch",
        "output_attentions",
        "output_hidden_states",
        "output_router_logits",
        "position_ids",
        "return_dict",
        "sliding_window",
        "use_cache",
    }
)
"""Keywords of attention functions that change no weight: windows and padding arrive in the mask."""

EAGER_ONLY = ("softcap", "s_aux", "sinks")
"""Keywords that the sdpa function cannot follow, so that the class's eager function is called."""

RECORDERS: WeakKeyDictionary[nn.Module, tuple[int, Recorder]] = WeakKeyDictionary()
"""Modules that are being captured, each with its layer and what is wanted of it."""
FORMER: dict[int, str] = {}
"""The implementation that a configuration (by identity) has outside the capture."""


def owner_of(model: nn.Module, modules: list[nn.Module]) -> Any:
    """Find the smallest part that holds all the modules and can be given another implementation; None if none can."""
    parts = [
        part
        for part in model.modules()
        if callable(getattr(part, "set_attn_implementation", None)) and getattr(part, "config", None) is not None
    ]
    wanted = set(map(id, modules))
    holding = [part for part in parts if wanted <= {id(module) for module in part.modules()}]
    if not holding:
        return None
    smallest = min(holding, key=lambda part: sum(1 for _ in part.modules()))
    able = getattr(type(smallest), "_can_set_attn_implementation", None)
    uses_config = all(hasattr(getattr(module, "config", None), "_attn_implementation") for module in modules)
    return smallest if callable(able) and able() and uses_config else None


@contextmanager
def standing_in(model: nn.Module, owner: Any, modules: list[nn.Module]) -> Iterator[None]:
    """Let the owner's modules call `attend`; every configuration gets its own implementation back."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend)
    # Without a mask function of the same name no mask would be built: padding and windows would be ignored.
    AttentionMaskInterface.register(NAME, sdpa_mask)
    configs: dict[int, Any] = {id(part.config): part.config for part in model.modules() if hasattr(part, "config")}
    queue = list(configs.values())
    while queue:
        config = queue.pop()
        for name in getattr(config, "sub_configs", None) or ():
            part = getattr(config, name, None)
            if part is not None and id(part) not in configs:
                configs[id(part)] = part
                queue.append(part)
    former = {key: getattr(config, "_attn_implementation", None) for key, config in configs.items()}
    added: list[int] = []
    try:
        for key, config in configs.items():
            if str(former[key]).startswith(("flash", "flex", "kernels", "paged")):
                # Their masks have other forms.
                config._attn_implementation_internal = "sdpa"  # noqa: SLF001 - the setter would reach sub-configs too
        owner.set_attn_implementation(NAME)
        for module in modules:
            if getattr(module.config, "_attn_implementation", None) != NAME:
                raise AttnevalError(f"the attention implementation of {type(owner).__name__} cannot be set")
        for key, config in configs.items():
            if getattr(config, "_attn_implementation", None) == NAME:
                before = former[key] or "eager"
                FORMER[key] = before if before in {"sdpa", "eager"} else "sdpa"
                added.append(key)
        yield
    finally:
        for key, config in configs.items():
            if former[key] != getattr(config, "_attn_implementation", None):
                config._attn_implementation_internal = former[key]  # noqa: SLF001 - see above
        for key in added:
            FORMER.pop(key, None)


@contextmanager
def computing_eagerly(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let modules that choose their own branch compute their weights, under the masks that belong to that.

    Where a class leaves its sdpa branch for one call alone, it may add the mask of that branch, True and False, as
    numbers. Nothing changes for classes that are always eager.
    """
    configs: dict[int, Any] = {id(part.config): part.config for part in modules if hasattr(part, "config")}
    former = {key: getattr(config, "_attn_implementation", None) for key, config in configs.items()}
    other = [key for key, implementation in former.items() if implementation not in {None, "eager"}]
    try:
        for key in other:
            configs[key]._attn_implementation_internal = "eager"  # noqa: SLF001 - the class has no setter for it
        yield
    finally:
        for key in other:
            configs[key]._attn_implementation_internal = former[key]  # noqa: SLF001 - see above


def attend(  # noqa: PLR0917 - the interface's own signature
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,  # noqa: FBT001 - see above
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend as the model would, queries [B, H, Q, D] to keys [B, H, K, D], and record the weights that are wanted."""
    layer, recorder = RECORDERS.get(module, (-1, None))
    causal = bool(is_causal if is_causal is not None else getattr(module, "is_causal", True))
    given = {name: value_ for name, value_ in kwargs.items() if value_ is not None}
    if recorder is not None and (unknown := sorted(set(given) - NEUTRAL - set(EAGER_ONLY))):
        raise AttnevalError(
            f"layer {layer} ({type(module).__name__}) attends with {', '.join(unknown)}, which is not understood",
            hint="its weights would be wrong; load the model with attn_implementation='eager' and hook its modules",
        )
    former = FORMER.get(id(getattr(module, "config", None)), "sdpa")
    if former == "eager" or any(name in given for name in EAGER_ONLY):
        mask = additive_mask(attention_mask, query, key, causal=causal)
        if position_bias is not None:
            kwargs["position_bias"] = position_bias
        output, weights = _eager_function(module)(
            module, query, key, value, mask, scaling=scaling, dropout=dropout, **kwargs
        )
        if recorder is not None:
            recorder.cut(layer, weights)
        return output, weights
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if position_bias is not None:
        kwargs["position_bias"] = position_bias
    result: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
    )
    if recorder is not None:
        recorder.refuse_unfit(layer, len(query), query.shape[2], key.shape[2])
        with torch.no_grad():
            recorder.maps.put(
                layer,
                cut_weights(
                    query,
                    key,
                    attention_mask,
                    rows=recorder.rows,
                    columns=recorder.columns,
                    scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
                    causal=causal,
                    position_bias=position_bias,
                ),
            )
    return result


def _eager_function(module: nn.Module) -> Any:
    function = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    if function is None:
        raise AttnevalError(f"{type(module).__name__} has no eager attention function to call")
    return function
