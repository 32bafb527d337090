"""Attention weights of a forward pass, cut to the wanted rows and columns while the model runs.

Where a class takes its attention from transformers' attention interface, a function of that interface stands in for the
model's own: the forward pass stays what it was (sdpa as a rule), and for the wanted layers the softmax over all keys is
computed once more for the wanted rows alone and cut to the wanted columns. Classes that always compute their weights
themselves are read by forward hooks. Whole matrices of weights are never kept.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from attneval.errors import AttnevalError

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "attneval_capture"
"""How the standing-in function is called in transformers' tables."""

PROJECTIONS = ("q_proj", "qkv_proj", "query_key_value", "q_a_proj", "c_attn", "Wqkv", "query")
"""Attributes of which an attention module has one, whatever its class."""

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

SCORES_AT_ONCE = 2**26
"""Scores held at a time; the heads are worked on in groups where there are more."""


class Maps(Mapping[int, "Tensor"]):
    """The weights of the latest forward pass by layer: float32[B, H, rows, columns] on the model's device.

    Rows and columns that were given as -1 are zeros.

    Args:
        layers: The layers that are captured.
        keep: What is kept of a layer's weights; all by default.
        stop: End the forward pass when all layers are there.
    """

    def __init__(
        self, layers: Iterable[int], keep: Callable[[int, Tensor], Tensor] | None = None, *, stop: bool = False
    ) -> None:
        self.layers = tuple(layers)
        self._keep, self._stop = keep, stop
        self._weights: dict[int, Tensor] = {}

    def __getitem__(self, layer: int) -> Tensor:
        """Return one layer's weights.

        Raises:
            AttnevalError: The layer is not captured, or no forward pass has gone through it.
        """
        if layer not in self.layers:
            raise AttnevalError(f"layer {layer} is not captured", hint=f"captured are {_listed(self.layers)}")
        if layer not in self._weights:
            raise AttnevalError(
                f"layer {layer} was not run within this capture", hint="call the model inside the `with` block"
            )
        return self._weights[layer]

    def __iter__(self) -> Iterator[int]:
        return iter(layer for layer in self.layers if layer in self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def __contains__(self, layer: object) -> bool:
        return layer in self._weights

    def put(self, layer: int, weights: Tensor) -> None:
        """Keep the weights of a layer."""
        self._weights[layer] = weights if self._keep is None else self._keep(layer, weights)
        if self._stop and len(self._weights) == len(self.layers):
            raise _EnoughError


class _EnoughError(Exception):
    """All wanted layers were captured, and the rest of the forward pass is not needed."""


class _Recorder:
    """What is wanted of some attention modules, and where it goes."""

    def __init__(self, maps: Maps, rows: Tensor | None, columns: Tensor | None) -> None:
        self.maps, self.rows, self.columns = maps, rows, columns


_RECORDERS: WeakKeyDictionary[nn.Module, tuple[int, _Recorder]] = WeakKeyDictionary()
_FORMER: dict[int, str] = {}
"""The implementation that a configuration (by identity) has outside the capture."""


def attention_modules(model: nn.Module) -> dict[int, nn.Module]:
    """Find the softmax attention modules of a model's text decoder by their layer numbers.

    A module counts if it has a `layer_idx` and a query projection, whatever its class; linear attention and
    convolutions of hybrid models do not.

    Raises:
        AttnevalError: There are none.
    """
    decoder = decoder_of(model)
    found: dict[int, nn.Module] = {}
    for name, module in decoder.named_modules():
        layer = getattr(module, "layer_idx", None)
        if not isinstance(layer, int) or not any(hasattr(module, projection) for projection in PROJECTIONS):
            continue
        if "cross" in name.rsplit(".", 1)[-1].lower() or layer in found:
            continue
        found[layer] = module
    if not found:
        raise AttnevalError(
            f"{type(model).__name__} has no attention modules that can be captured",
            hint=f"a module needs layer_idx and one of {', '.join(PROJECTIONS)}; name them with modules=",
        )
    return dict(sorted(found.items()))


def decoder_of(model: nn.Module) -> nn.Module:
    """Find the part of a model that runs over the text, the model itself if nothing in it does so."""
    finder = getattr(model, "get_decoder", None)
    decoder = finder() if callable(finder) else None
    if isinstance(decoder, torch.nn.Module):
        inner = getattr(decoder, "get_decoder", None)
        deeper = inner() if callable(inner) and decoder is not model else None
        return deeper if isinstance(deeper, torch.nn.Module) else decoder
    base = getattr(model, "model", model)
    for name in ("language_model", "text_model", "decoder"):
        part = getattr(base, name, None)
        if isinstance(part, torch.nn.Module):
            return part
    return model


@contextmanager
def capture(
    model: nn.Module,
    *,
    rows: Any = None,
    columns: Any = None,
    layers: Iterable[int] | None = None,
    modules: Mapping[int, nn.Module] | None = None,
    keep: Callable[[int, Tensor], Tensor] | None = None,
    stop: bool = False,
) -> Iterator[Maps]:
    """Capture attention weights of the forward passes inside a `with` block.

    The model's own implementation is restored whatever happens. Weights are computed without dropout and without
    gradient, after the softmax over all keys. A second forward pass replaces the maps of the first.

    Args:
        model: Any model of transformers, in evaluation mode.
        rows: Positions of the attending tokens: int[n] for all samples, int[B, n] for each (-1 is padding, its weights
            are zeros), bool[B, S], or None for all.
        columns: Positions attended to, in the same forms.
        layers: Layer numbers; all by default.
        modules: The attention modules by layer, where the text decoder's are not what is wanted.
        keep: Called with a layer and its weights as they are computed; what it returns is kept in their place, the mean
            over heads for instance.
        stop: Leave the block when all wanted layers are captured: later layers are not run, and the model's call does
            not return.

    Yields:
        Maps: weights by layer, float32[B, H, rows, columns].

    Raises:
        AttnevalError: The model has no such modules or layers, is captured already, or an attention function is called
            with a keyword that is not understood.
    """
    every = attention_modules(model) if modules is None else dict(modules)
    wanted = tuple(every) if layers is None else tuple(dict.fromkeys(layers))
    if unknown := [layer for layer in wanted if layer not in every]:
        raise AttnevalError(
            f"{type(model).__name__} has no attention of layers {_listed(unknown)}",
            hint=f"its layers with softmax attention are {_listed(every)}",
        )
    chosen = {layer: every[layer] for layer in wanted}
    if any(module in _RECORDERS for module in chosen.values()):
        raise AttnevalError(f"{type(model).__name__} is being captured already")
    maps = Maps(wanted, keep, stop=stop)
    recorder = _Recorder(maps, positions(rows, "rows"), positions(columns, "columns"))
    with ExitStack() as stack:
        owner = _owner(model, list(every.values()))
        if owner is not None:
            stack.enter_context(_standing_in(model, owner, list(every.values())))
            for layer, module in chosen.items():
                _RECORDERS[module] = (layer, recorder)
                stack.callback(_RECORDERS.pop, module, None)
        else:
            for layer, module in chosen.items():
                for handle in _hooked(module, layer, recorder):
                    stack.callback(handle.remove)
        with suppress(_EnoughError):
            yield maps


def positions(given: Any, what: str) -> Tensor | None:
    """Turn positions in any form into int64[n] or int64[B, n], -1 for padding.

    Raises:
        AttnevalError: They are no positions.
    """
    if given is None:
        return None
    index = torch.as_tensor(list(given) if isinstance(given, range) else given)
    if index.dtype == torch.bool and index.ndim == 2:
        count = index.sum(1)
        padded = torch.full((len(index), int(count.max()) if len(index) else 0), -1, dtype=torch.int64)
        for sample, marks in enumerate(index):
            places = marks.nonzero()[:, 0]
            padded[sample, : len(places)] = places.cpu()
        return padded
    if index.is_floating_point() or index.dtype == torch.bool or index.ndim not in {1, 2}:
        raise AttnevalError(
            f"{what} are {index.dtype} of shape {tuple(index.shape)}",
            hint="give int[n], int[B, n] with -1 for padding, or bool[B, S]",
        )
    return index.long()


def implementation_of(model: nn.Module) -> str:
    """Name the attention implementation of a model's text decoder (`sdpa`, `eager`, ...)."""
    config = getattr(decoder_of(model), "config", getattr(model, "config", None))
    return str(getattr(config, "_attn_implementation", None) or "eager")


def _listed(numbers: Iterable[int]) -> str:
    values = list(numbers)
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values)) or "none"


def _owner(model: nn.Module, modules: list[nn.Module]) -> Any:
    """The smallest part of the model that holds all the modules and can be given another implementation, or None."""
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
def _standing_in(model: nn.Module, owner: Any, modules: list[nn.Module]) -> Iterator[None]:
    """Let the owner's modules call `_attend`; every configuration gets its own implementation back."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
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
    own: list[int] = []
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
                _FORMER[key] = before if before in {"sdpa", "eager"} else "sdpa"
                own.append(key)
        yield
    finally:
        for key, config in configs.items():
            if former[key] != getattr(config, "_attn_implementation", None):
                config._attn_implementation_internal = former[key]  # noqa: SLF001 - see above
        for key in own:
            _FORMER.pop(key, None)


def _attend(  # noqa: PLR0917 - the interface's own signature
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
    """Attend as the model would, and record what is wanted of the weights."""
    layer, recorder = _RECORDERS.get(module, (-1, None))
    causal = bool(is_causal if is_causal is not None else getattr(module, "is_causal", True))
    given = {name: value_ for name, value_ in kwargs.items() if value_ is not None}
    if recorder is not None and (unknown := sorted(set(given) - NEUTRAL - set(EAGER_ONLY))):
        raise AttnevalError(
            f"layer {layer} ({type(module).__name__}) attends with {', '.join(unknown)}, which is not understood",
            hint="its weights would be wrong; load the model with attn_implementation='eager' and hook its modules",
        )
    former = _FORMER.get(id(getattr(module, "config", None)), "sdpa")
    if former == "eager" or any(name in given for name in EAGER_ONLY):
        mask = additive_mask(attention_mask, query, key, causal=causal)
        if position_bias is not None:
            kwargs["position_bias"] = position_bias
        output, weights = _eager_function(module)(
            module, query, key, value, mask, scaling=scaling, dropout=dropout, **kwargs
        )
        if recorder is not None:
            _record_whole(recorder, layer, weights)
        return output, weights
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if position_bias is not None:
        kwargs["position_bias"] = position_bias
    result: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
    )
    if recorder is not None:
        _refuse_other_keys(layer, query, key, recorder)
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


def additive_mask(mask: Tensor | None, query: Tensor, key: Tensor, *, causal: bool) -> Tensor | None:
    """Write a mask of any form as numbers to add: eager functions would add True and False as 1 and 0."""
    lowest = torch.finfo(query.dtype).min
    if mask is None:
        if not causal or query.shape[2] == 1:
            return None
        places = torch.arange(max(query.shape[2], key.shape[2]), device=query.device)
        mask = (places[None, : key.shape[2]] <= places[: query.shape[2], None])[None, None]
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill(~mask, lowest)


def _refuse_other_keys(layer: int, query: Tensor, key: Tensor, recorder: _Recorder) -> None:
    length = key.shape[2]
    for name, index, size in (("rows", recorder.rows, query.shape[2]), ("columns", recorder.columns, length)):
        if index is not None and index.numel() and int(index.max()) >= size:
            raise AttnevalError(
                f"layer {layer} has {size} {name}, and the position {int(index.max())} is wanted",
                hint="positions are those of the whole sequence in one forward pass without a filled cache",
            )
        if index is not None and index.ndim == 2 and len(index) != len(query):
            raise AttnevalError(f"{name} are given for {len(index)} samples, and the batch has {len(query)}")


def cut_weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    *,
    rows: Tensor | None,
    columns: Tensor | None,
    scaling: float,
    causal: bool,
    position_bias: Tensor | None = None,
) -> Tensor:
    """Compute softmax weights for some rows over all keys, cut to some columns.

    Args:
        query: [B, H, S, d].
        key: [B, H_kv, K, d]; each key head serves H / H_kv query heads.
        mask: None, bool (True may be attended to) or additive, [B or 1, 1 or H, S, >= K].
        rows: int64[n] or int64[B, n], -1 for padding; None for all.
        columns: The same for keys.
        scaling: Factor of the scores.
        causal: A row sees no later key, where there is no mask.
        position_bias: Added to the scores, [B or 1, H, S, K].

    Returns:
        float32[B, H, rows, columns].
    """
    groups = query.shape[1] // key.shape[1]
    count = query.shape[2] if rows is None else rows.shape[-1]
    whole = len(query) * query.shape[1] * count * key.shape[2]
    step = max(1, key.shape[1] * SCORES_AT_ONCE // max(whole, 1))
    parts = [
        _cut_heads(
            query[:, start * groups : (start + step) * groups],
            key[:, start : start + step],
            _heads(mask, start * groups, (start + step) * groups),
            rows=rows,
            columns=columns,
            scaling=scaling,
            causal=causal,
            position_bias=_heads(position_bias, start * groups, (start + step) * groups),
        )
        for start in range(0, key.shape[1], step)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _heads(mask: Tensor | None, start: int, stop: int) -> Tensor | None:
    return mask if mask is None or mask.shape[1] == 1 else mask[:, start:stop]


def _cut_heads(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    *,
    rows: Tensor | None,
    columns: Tensor | None,
    scaling: float,
    causal: bool,
    position_bias: Tensor | None,
) -> Tensor:
    batch, heads, _, size = query.shape
    keys, length = key.shape[1], key.shape[2]
    wanted = take(query, rows, 2).float()
    count = wanted.shape[2]
    scores = wanted.reshape(batch, keys, heads // keys * count, size) @ key.float().transpose(2, 3)
    scores = scores.view(batch, heads, count, length).mul_(scaling)
    if position_bias is not None:
        scores += take(position_bias[..., :length], rows, 2).float()
    lowest = torch.finfo(torch.float32).min
    if mask is not None:
        cut = take(mask[..., :length].expand(batch, -1, -1, -1), rows, 2)
        scores = scores.masked_fill_(~cut, lowest) if cut.dtype == torch.bool else scores.add_(cut)
    elif causal and query.shape[2] > 1:
        place = torch.arange(count, device=query.device) if rows is None else rows.to(query.device).clamp(min=0)
        later = torch.arange(length, device=query.device) > place[..., None]
        scores.masked_fill_(later if later.ndim == 2 else later[:, None], lowest)
    weights = take(scores.softmax(-1), columns, 3)
    return _blank(_blank(weights, rows, 2), columns, 3)


def take(values: Tensor, index: Tensor | None, axis: int) -> Tensor:
    """Take entries along an axis, the same or others for each sample; -1 takes the first one."""
    if index is None:
        return values
    index = index.to(values.device).clamp(min=0)
    if index.ndim == 1:
        return values.index_select(axis, index)
    shape = [1] * values.ndim
    shape[0], shape[axis] = index.shape
    target = list(values.shape)
    target[0], target[axis] = index.shape
    return values.expand(len(index), *values.shape[1:]).gather(axis, index.view(shape).expand(target))


def _blank(weights: Tensor, index: Tensor | None, axis: int) -> Tensor:
    """Put zeros where the index is padding."""
    if index is None or not bool((index < 0).any()):
        return weights
    keep = (index >= 0).to(weights.device)
    shape = [1] * weights.ndim
    shape[axis] = keep.shape[-1]
    shape[0] = 1 if keep.ndim == 1 else len(keep)
    return weights * keep.view(shape)


def _record_whole(recorder: _Recorder, layer: int, weights: Tensor | None) -> None:
    """Cut weights that a class has computed itself."""
    if weights is None or weights.ndim != 4:
        raise AttnevalError(
            f"layer {layer} gives no attention weights",
            hint="its class computes none that can be read; call it with output_attentions=True if it takes that",
        )
    _refuse_other_keys(layer, weights[..., :1], weights.transpose(2, 3)[..., :1], recorder)
    with torch.no_grad():
        cut = take(take(weights.detach(), recorder.rows, 2), recorder.columns, 3).float()
        recorder.maps.put(layer, _blank(_blank(cut, recorder.rows, 2), recorder.columns, 3))


def _hooked(module: nn.Module, layer: int, recorder: _Recorder) -> list[Any]:
    """Read the weights that a module returns beside its output; one that returns them on request alone is asked."""
    parameters = inspect.signature(module.forward).parameters
    asked = "output_attentions" in parameters

    def ask(
        _module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        bound = inspect.signature(module.forward).bind(*given, **named)
        bound.arguments["output_attentions"] = True
        return bound.args, bound.kwargs

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        weights = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        _record_whole(recorder, layer, weights if isinstance(weights, torch.Tensor) else None)

    handles = [module.register_forward_hook(keep)]
    if asked:
        handles.insert(0, module.register_forward_pre_hook(ask, with_kwargs=True))
    return handles
