"""Maps that were captured of a forward pass, and the recorder that they pass through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.weights import blank, take

if TYPE_CHECKING:
    from torch import Tensor


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
            raise AttnevalError(f"layer {layer} is not captured", hint=f"captured are {listed(self.layers)}")
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
        """Keep the weights [B, H, Q, K] of a layer."""
        self._weights[layer] = weights if self._keep is None else self._keep(layer, weights)
        if self._stop and len(self._weights) == len(self.layers):
            raise EnoughError


class EnoughError(Exception):
    """All wanted layers were captured, and the rest of the forward pass is not needed."""


class Recorder:
    """The weights that are wanted of some attention modules, and the place that they go to.

    Args:
        maps: Where it goes.
        rows: int64[n] or int64[B, n], -1 for padding; None for all.
        columns: The same.
    """

    def __init__(self, maps: Maps, rows: Tensor | None, columns: Tensor | None) -> None:
        self.maps, self.rows, self.columns = maps, rows, columns

    def refuse_unfit(self, layer: int, batch: int, queries: int, keys: int) -> None:
        """Refuse positions that a layer does not have.

        Raises:
            AttnevalError: A row or column lies beyond, or they are given for another number of samples.
        """
        for name, index, size in (("rows", self.rows, queries), ("columns", self.columns, keys)):
            if index is not None and index.numel() and int(index.max()) >= size:
                raise AttnevalError(
                    f"layer {layer} has {size} {name}, and the position {int(index.max())} is wanted",
                    hint="positions are those of the whole sequence in one forward pass without a filled cache",
                )
            if index is not None and index.ndim == 2 and len(index) != batch:
                raise AttnevalError(f"{name} are given for {len(index)} samples, and the batch has {batch}")

    def cut(self, layer: int, weights: Tensor | None) -> None:
        """Keep what is wanted of float[B, H, S, K] that a class has computed itself.

        Raises:
            AttnevalError: There are none.
        """
        if weights is None or weights.ndim != 4:
            raise AttnevalError(
                f"layer {layer} gives no attention weights",
                hint="its class computes none that can be read; call it with output_attentions=True if it takes that",
            )
        self.refuse_unfit(layer, len(weights), weights.shape[2], weights.shape[3])
        with torch.no_grad():
            cut = take(take(weights.detach(), self.rows, 2), self.columns, 3).float()
            self.maps.put(layer, blank(blank(cut, self.rows, 2), self.columns, 3))


def listed(numbers: Iterable[int]) -> str:
    """Write layer numbers for people: `0 to 31`, or one by one."""
    values = list(numbers)
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values)) or "none"
