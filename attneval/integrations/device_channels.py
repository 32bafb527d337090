"""Scores of many channels on the device that their weights are on: torch forms of array passes over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attneval.metrics.fast_channels import NEARLY_EVEN, ChannelCounts, nearly_all
from attneval.metrics.rankings import EVEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from attneval.config.thresholds import Threshold


def count_on_device(weight: Tensor, sets: Mapping[str, Tensor], rule: Threshold, normalize: str) -> ChannelCounts:
    """Read the rows of m items in A channels: equals `attneval.metrics.fast_channels.count_channels`.

    What is read of the weights is read where they are; a few numbers of each row come back.

    Args:
        weight: float64[m, A, n], not yet normalised.
        sets: float64[m, n] by kind of set, 1 for the keys of the item's set; under `area` the share of each key inside.
        rule: A threshold that is `by_weight`.
        normalize: `Protocol.normalize`.
    """
    weight = normalised_on_device(weight, normalize)
    relevant = sets["relevant"]
    weighed = [torch.ones_like(relevant), relevant, *([sets["area"]] if "area" in sets else [])]
    total, inside, *area = (weight @ torch.stack(weighed, dim=-1)).unbind(-1)
    largest = weight.amax(-1)
    attended = weight > rule.cutoff(weight.shape[-1])
    even = largest * weight.shape[-1] <= total + NEARLY_EVEN * total.abs()
    # In an even row no weight is above the mean, which few rows need be asked for.
    even = even & (largest - weight.amin(-1) <= EVEN * largest.abs())
    attended = attended | even[..., None]
    hits, attends = _counts(attended, relevant)
    top, tied = _counts(weight == largest[..., None], sets["pointing"])
    near = torch.from_numpy(nearly_all(inside.cpu().numpy(), total.cpu().numpy())).to(weight.device)
    outside = torch.zeros_like(near)
    if bool(near.any()):
        item, channel = near.nonzero(as_tuple=True)
        outside[item, channel] = (weight[item, channel] * (relevant[item] == 0)).any(-1)
    return ChannelCounts(
        total=total.cpu().numpy(),
        inside=inside.cpu().numpy(),
        outside=outside.cpu().numpy(),
        area=area[0].cpu().numpy() if area else None,
        hits=hits.cpu().numpy(),
        attends=attends.long().cpu().numpy(),
        top=top.cpu().numpy(),
        tied=tied.long().cpu().numpy(),
        size=relevant.sum(-1).cpu().numpy(),
    )


def normalised_on_device(weight: Tensor, method: str) -> Tensor:
    """Normalise rows float64[..., n] as `Protocol.normalize` says: equals `attneval.metrics.rankings.normalised`."""
    if method == "sum":
        return _quotient(weight, weight.sum(-1, keepdim=True))
    if method == "softmax":
        power = (weight - weight.amax(-1, keepdim=True)).exp()
        return power / power.sum(-1, keepdim=True)
    if method == "minmax":
        low = weight.amin(-1, keepdim=True)
        return _quotient(weight - low, weight.amax(-1, keepdim=True) - low)
    return weight


def _quotient(part: Tensor, whole: Tensor) -> Tensor:
    """Divide where the divisor is positive; 0 elsewhere."""
    positive = whole > 0
    return torch.where(positive, part / torch.where(positive, whole, 1.0), 0.0)


def _counts(marked: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Count marked keys bool[m, A, n] of an item's set float64[m, n], and all of them: float64[m, A] each.

    In double precision, since single precision may be cut shorter on a GPU.
    """
    both = torch.stack([keys, torch.ones_like(keys)], dim=-1)
    hits, every = (marked.double() @ both).unbind(-1)
    return hits, every
