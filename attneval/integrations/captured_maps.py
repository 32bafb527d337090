"""Maps in a device's memory, read as the file would be read that they are never written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.arrays.records import record
from attneval.errors import ExportError, ProtocolError
from attneval.evaluation.channel_passes import dense_sets, steps
from attneval.evaluation.weight_reader import pooled_entries
from attneval.integrations.device_channels import count_on_device
from attneval.matching.mismatches import name_of_caption
from attneval.metrics.fast_channels import joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from attneval.config.protocol import Protocol
    from attneval.evaluation.caption_block import CaptionBlock
    from attneval.matching.items import Items
    from attneval.metrics.totals import Table

AT_ONCE = {"cpu": 2**16}
"""Weights that are worked on together where the cache is small."""
AT_ONCE_ELSE = 2**24
"""The same on other devices: 128 MB in double precision."""


@record
class CapturedMaps:
    """The maps of a batch of captions.

    Attributes:
        layers: float[B, H, T, R] each, channels one layer after the other; what is behind a caption's tokens is not
            looked at.
        normalised: Rows are divided by their sums, as they are when they are written; a row without any is undefined.
        dtype: The type in which weights would be written; None for their own.
    """

    layers: tuple[Tensor, ...]
    normalised: bool
    dtype: torch.dtype | None

    @property
    def device(self) -> torch.device:
        """The device that they are worked on."""
        return self.layers[0].device

    @property
    def channels(self) -> int:
        """A, the number of channels."""
        return sum(layer.shape[1] for layer in self.layers)

    def masses(self) -> NDArray[np.float32]:
        """f4[B, A, T], what each row sums to."""
        return np.concatenate([layer.sum(-1, dtype=torch.float64).float().cpu().numpy() for layer in self.layers], 1)

    def rows(self, caption: Tensor, token: Tensor, low: int, high: int) -> Tensor:
        """Read the rows of some tokens as they would be read from a file.

        Args:
            caption: int64[k], the caption of each token within the batch.
            token: int64[k], the token within its caption.
            low: The first channel.
            high: The channel behind the last.

        Returns:
            float64[k, high - low, R].
        """
        parts = [self._stored(part[caption, :, token]) for part in self._layers(low, high)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def summed_rows(self, caption: Tensor, token: Tensor) -> Tensor:
        """Add the rows of some tokens over all channels: float64[k, R]."""
        total = torch.zeros(len(token), self.layers[0].shape[-1], dtype=torch.float64, device=self.device)
        for layer in self.layers:
            total += self._stored(layer[caption, :, token]).sum(1)
        return total

    def _layers(self, low: int, high: int) -> Iterator[Tensor]:
        """The layers that some channels are in, cut to these."""
        first = 0
        for layer in self.layers:
            here = slice(max(low - first, 0), max(high - first, 0))
            first += layer.shape[1]
            if here.start < layer.shape[1] and here.stop > here.start:
                yield layer[:, here]

    def _stored(self, rows: Tensor) -> Tensor:
        """Rows [..., R] in double precision after what writing does to them."""
        rows = rows.float()
        if self.normalised:
            mass = rows.sum(-1, keepdim=True, dtype=torch.float64).float()
            rows = torch.where(mass > 0, rows / torch.where(mass > 0, mass, 1.0), 0.0)
        return (rows if self.dtype is None else rows.to(self.dtype)).double()


def layers_of(
    attention: Mapping[int, torch.Tensor] | torch.Tensor, channels: Sequence[tuple[int, int]] | None
) -> tuple[tuple[torch.Tensor, ...], list[tuple[int, int]]]:
    """Put the maps of all layers on one device.

    Args:
        attention: float[B, H, T, R] by layer, or float[B, A, T, R] of all channels.
        channels: (layer, head) of each channel; by default layers are called as they are, and heads counted.

    Returns:
        The layers, and (layer, head) of each channel.

    Raises:
        ExportError: There is none, or not as many as channels.
    """
    if isinstance(attention, torch.Tensor):
        layers: tuple[torch.Tensor, ...] = (attention.detach(),)
        count = attention.shape[1] if attention.ndim == 4 else 1
        places = [(-1, -1 if count == 1 else head) for head in range(count)] if channels is None else list(channels)
    else:
        layers = tuple(layer.detach() for layer in attention.values())
        places = [(int(number), head) for number, layer in attention.items() for head in range(layer.shape[1])]
        if channels is not None:
            places = list(channels)
        count = sum(layer.shape[1] for layer in layers)
    if not layers:
        raise ExportError("no layer was captured", hint="call the model inside the capture, before the update")
    if len(places) != count:
        raise ExportError(f"{len(places)} channels are named, and the maps have {count}")
    # Not every device has double precision, and layers may lie on several.
    device = torch.device("cpu") if layers[0].device.type == "mps" else layers[0].device
    return tuple(layer.to(device) for layer in layers), [(int(layer), int(head)) for layer, head in places]


def refuse_unfit(layers: Sequence[Tensor], tokens: Sequence[int], kind: str) -> None:
    """Refuse maps that do not fit together, or hold what no weight may be.

    Args:
        layers: float[B, H, T, R] each.
        tokens: How many tokens each caption has.
        kind: `attention` may not be negative.

    Raises:
        ExportError: One is no such maps, has no numbers, or negative ones.
    """
    shapes = {(layer.shape[0], *layer.shape[2:]) for layer in layers if layer.ndim == 4}
    if any(layer.ndim != 4 for layer in layers) or len(shapes) != 1:
        said = ", ".join(str(tuple(layer.shape)) for layer in layers)
        raise ExportError(f"maps have the shapes {said or '(none)'}", hint="give float[B, H, T, R] of each layer")
    batch, rows, _ = shapes.pop()
    longest = max(tokens, default=0)
    if batch != len(tokens) or rows < longest:
        raise ExportError(
            f"maps are of {batch} captions and {rows} tokens, and there are {len(tokens)} captions of up to {longest}"
        )
    inside = torch.arange(rows)[None] < torch.tensor(list(tokens), dtype=torch.int64)[:, None]
    for number, layer in enumerate(layers):
        used = layer.permute(0, 2, 1, 3)[inside.to(layer.device)]
        if not bool(torch.isfinite(used).all()):
            raise ExportError(f"maps: NaN or infinite weights in layer {number} of those given")
        if kind == "attention" and bool((used < 0).any()):
            raise ExportError(f"maps: negative weights in layer {number} of those given, but kind is attention")


class DevicePasses:
    """Scores of items whose weights are on a device; see `attneval.evaluation.channel_passes.Passes`.

    Args:
        maps: The maps of the batch.
        captions: The captions.
        items: Their items, in direction t2i.
        protocol: How they are scored.
        mean: Whether there is one channel, the mean of all.
    """

    def __init__(
        self, maps: CapturedMaps, captions: CaptionBlock, items: Items, protocol: Protocol, *, mean: bool = False
    ) -> None:
        self._maps, self._captions, self._items, self._protocol, self._mean = maps, captions, items, protocol, mean
        self.at_once = AT_ONCE.get(maps.device.type, AT_ONCE_ELSE)
        self._caption_of_token = np.repeat(np.arange(len(captions.rows)), np.diff(captions.tokens.offset))

    def score(self, chunk: NDArray[np.int64], channels: NDArray[np.int64]) -> Table:
        """The columns f8[m, A] of items in channels i8[A]."""
        sets = {name: self._here(values) for name, values in dense_sets(self._items, chunk).items()}
        rule, method = self._protocol.rule, self._protocol.normalize
        return joined(
            [
                count_on_device(self._weights(chunk, some), sets, rule, method)
                for some in steps(self._items, chunk, channels, self.at_once)
            ]
        ).columns()

    def _weights(self, chunk: NDArray[np.int64], channels: NDArray[np.int64]) -> Tensor:
        """The rows float64[m, A, n] of items, refused where they are negative and may not be."""
        weight = self._pooled(chunk, channels)
        if self._protocol.normalize in {"sum", "none"} and bool((weight < 0).any()):
            item = int((weight < 0).flatten(1).any(1).nonzero()[0, 0])
            caption = name_of_caption(self._captions.truth, int(self._items.caption[int(chunk[item])]))
            raise ProtocolError(
                f"caption {caption} has negative weights, which normalize={self._protocol.normalize} cannot read as "
                "attention",
                hint="use Protocol(normalize='softmax') or 'minmax'",
            )
        return weight

    def _pooled(self, chunk: NDArray[np.int64], channels: NDArray[np.int64]) -> Tensor:
        """The rows float64[m, A, n] of items, tokens pooled; see `WeightReader`."""
        items, captions = self._items, self._captions
        entry, count = pooled_entries(items, self._protocol, chunk)
        token = items.entry[entry]
        caption = self._caption_of_token[token]
        place = self._here(captions.rows[caption]), self._here(token - captions.tokens.offset[caption])
        divisor = items.divisor[chunk]
        if self._mean:
            rows = self._maps.summed_rows(*place)[:, None]
            if captions.defined is None:
                divisor = divisor * self._maps.channels
            else:
                # The mean over channels is that of the defined rows; undefined ones are zeros.
                rows = rows / self._here(captions.defined[:, token].sum(axis=0))[:, None, None]
        else:
            rows = self._of_channels(place, channels)
        if captions.regions.padded:
            column = captions.regions.column[
                captions.regions.offset[items.group[chunk]][:, None] + np.arange(int(items.key_count[chunk[0]]))
            ]
            index = self._here(np.repeat(column, count, axis=0))[:, None].expand(-1, rows.shape[1], -1)
            rows = rows.gather(2, index)
        rows = self._by_item(rows, entry, count)
        return rows if (divisor == 1).all() else rows / self._here(divisor)[:, None, None]

    def _of_channels(self, place: tuple[Tensor, Tensor], channels: NDArray[np.int64]) -> Tensor:
        low, high = int(channels[0]), int(channels[-1]) + 1
        rows = self._maps.rows(*place, low, high)
        return rows if high - low == len(channels) else rows[:, self._here(channels - low)]

    def _by_item(self, rows: Tensor, entry: NDArray[np.int64], count: NDArray[np.int64]) -> Tensor:
        """Rows [k, A, n] of entries, put together for items [m, A, n]: added in their order, or the largest."""
        if len(rows) == len(count):
            return rows
        first = np.cumsum(count) - count
        largest = self._protocol.pool == "max"
        if not largest:
            rows = rows * self._here(self._items.share[entry])[:, None, None]
        pooled = rows[self._here(first)]
        for further in range(1, int(count.max())):
            item = np.flatnonzero(count > further)
            chosen, added = self._here(item), rows[self._here(first[item] + further)]
            pooled[chosen] = torch.maximum(pooled[chosen], added) if largest else pooled[chosen] + added
        return pooled

    def _here(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._maps.device)
