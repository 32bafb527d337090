"""One scoring of a model in the middle of its training: every process its share, one dictionary for the loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from typing import Protocol as TypingProtocol

from attneval.integrations.channels import AttentionChannels, logged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import torch


class Run(TypingProtocol):
    """A source of the maps of a model as it is now: `hf.batches` with all arguments but the last two."""

    def __call__(self, *, part: int, parts: int) -> Iterable[Mapping[str, Any]]:
        """The batches of one share of the images, of `parts`, by the names of `AttentionChannels.update`."""


def score_run(
    metric: AttentionChannels,
    run: Run,
    *,
    part: int = 0,
    parts: int = 1,
    device: torch.device | str | None = None,
    prefix: str = "attention/",
) -> dict[str, float]:
    """Score a model as it is now.

    Args:
        metric: What scores it; it is empty before and afterwards.
        run: What gives the maps.
        part: This process's share of the images; its rank.
        parts: How many shares there are.
        device: Where sums are kept, which processes exchange.
        prefix: What stands before each name.

    Returns:
        Numbers by name, the same in every process.
    """
    metric.reset()
    if device is not None:
        metric.to(device)
    for batch in run(part=part, parts=parts):
        metric.update(**batch)
    values = logged(metric.compute(), prefix)
    metric.reset()
    return values
