"""Attention weights of a forward pass, cut to the wanted rows and columns while the model runs.

Where a class takes its attention from transformers' attention interface, a function of that interface stands in for the
model's own: the forward pass stays what it was (sdpa as a rule), and for the wanted layers the softmax over all keys is
computed once more for the wanted rows alone and cut to the wanted columns. Classes that always compute their weights
themselves are read by forward hooks. Whole matrices of weights are never kept.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch

from attneval.errors import AttnevalError, ProtocolError
from attneval.extraction.transformers.decoders import attention_modules
from attneval.extraction.transformers.interface import RECORDERS, computing_eagerly, owner_of, standing_in
from attneval.extraction.transformers.maps import EnoughError, Maps, Recorder, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import Tensor, nn


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
        ProtocolError: The model has no such layers.
        AttnevalError: It has no such modules, is captured already, or an attention function is called
            with a keyword that is not understood.
    """
    every = attention_modules(model) if modules is None else dict(modules)
    wanted = tuple(every) if layers is None else tuple(dict.fromkeys(layers))
    if unknown := [layer for layer in wanted if layer not in every]:
        raise ProtocolError(
            f"{type(model).__name__} has no attention of layers {listed(unknown)}",
            hint=f"its layers with softmax attention are {listed(every)}",
        )
    chosen = {layer: every[layer] for layer in wanted}
    if any(module in RECORDERS for module in chosen.values()):
        raise AttnevalError(f"{type(model).__name__} is being captured already")
    maps = Maps(wanted, keep, stop=stop)
    recorder = Recorder(maps, positions(rows, "rows"), positions(columns, "columns"))
    with ExitStack() as stack:
        owner = owner_of(model, list(every.values()))
        if owner is not None:
            stack.enter_context(standing_in(model, owner, list(every.values())))
            for layer, module in chosen.items():
                RECORDERS[module] = (layer, recorder)
                stack.callback(RECORDERS.pop, module, None)
        else:
            stack.enter_context(computing_eagerly(chosen.values()))
            for layer, module in chosen.items():
                for handle in _hooked(module, layer, recorder):
                    stack.callback(handle.remove)
        with suppress(EnoughError):
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


def _hooked(module: nn.Module, layer: int, recorder: Recorder) -> list[Any]:
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
        recorder.cut(layer, weights if isinstance(weights, torch.Tensor) else None)

    handles = [module.register_forward_hook(keep)]
    if asked:
        handles.insert(0, module.register_forward_pre_hook(ask, with_kwargs=True))
    return handles
