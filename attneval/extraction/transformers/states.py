"""States of the image's cells, as the text meets them: what follows a change of the image first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.decoders import attention_modules, decoder_of
from attneval.extraction.transformers.families.causal import Causal
from attneval.extraction.transformers.families.cross import Cross

if TYPE_CHECKING:
    import numpy.typing as npt

    from attneval.extraction.transformers.families.base import Adapter, Prepared


def cell_states(adapter: Adapter, prepared: Prepared) -> npt.NDArray[Any]:
    """Run a model as far as needed and return one vector a cell.

    Args:
        adapter: A family whose regions are cells of the image.
        prepared: One caption and image.

    Returns:
        float[cells, D], in the order of the regions.
    """
    if isinstance(adapter, Causal):
        return entering(adapter, prepared)
    return attended(adapter, prepared) if isinstance(adapter, Cross) else reaction(adapter, prepared)


class _Entered(Exception):  # noqa: N818 - it ends a forward pass and is no error
    """The first layer is reached, and the rest of the forward pass is not needed."""


def entering(adapter: Causal, prepared: Prepared) -> npt.NDArray[Any]:
    """Run a model up to its decoder's first layer.

    Returns:
        float32[cells, D], what enters the first layer at the cells, in the order of the regions.
    """
    decoder = decoder_of(adapter.model)
    layers = getattr(decoder, "layers", None)
    first = layers[0] if layers is not None and len(layers) else next(iter(attention_modules(adapter.model).values()))
    kept: list[torch.Tensor] = []

    def stop(_module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        kept.append(given[0] if given else named["hidden_states"])
        raise _Entered

    handle = first.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.no_grad():
            adapter.model(**prepared.inputs)
    except _Entered:
        pass
    finally:
        handle.remove()
    if not kept:
        raise AttnevalError(f"{type(adapter.model).__name__} never ran the first layer of {type(decoder).__name__}")
    cells = adapter.cells(prepared)[0].to(kept[0].device)
    states: npt.NDArray[Any] = kept[0][0, cells].float().cpu().numpy()
    return states


def attended(adapter: Cross, prepared: Prepared) -> npt.NDArray[Any]:
    """Run the vision tower; float32[cells, D], what the text looks at."""
    with torch.no_grad():
        shown, extra = adapter.states(prepared.inputs)
    states: npt.NDArray[Any] = shown[0, extra:].float().cpu().numpy()
    return states


def reaction(adapter: Adapter, prepared: Prepared) -> npt.NDArray[Any]:
    """Run a model and see its maps as states of the cells, float64[cells, channels * tokens].

    Weights of attention are compared by their logarithms: what one cell takes from all others is the same for all of
    them, and the mean takes it off.
    """
    with torch.no_grad():
        weights = adapter.attend(prepared)[0].double().cpu().numpy()
    columns: npt.NDArray[Any] = weights.reshape(-1, weights.shape[-1]).T
    if adapter.kind == "attention":
        columns = np.log(np.maximum(columns, 1e-30))
        columns -= columns.mean(axis=0)
    return columns
