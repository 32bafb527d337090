"""One training step: encode a batch, compare all with all, add the constraints, update the weights."""

from __future__ import annotations

import math
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from attneval.errors import ConfigError
from attneval.training.data.vocabulary import query_words
from attneval.training.losses.objective import AttentionObjective
from attneval.training.losses.sparse_matching import batch_matching_loss
from attneval.training.models.attention import Pairs
from attneval.training.models.table import build_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from attneval.training.choices import Negatives
    from attneval.training.data.rundata import RunData
    from attneval.training.run.config import TrainConfig


def resolve_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one.

    Raises:
        ConfigError: There is no such device, or torch cannot use it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        # Torch knows names of many devices that it cannot compute on, or not on this machine.
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise ConfigError(f"there is no device {name!r} that torch can use here ({reason})") from error
    return device


@contextmanager
def _without_trace() -> Iterator[None]:
    """Compute without gradients, and leave the random numbers to others."""
    with torch.no_grad(), torch.random.fork_rng():
        yield


class Updater:
    """A model with its optimizer.

    Args:
        config: The run; its sizes of vocabulary, features and regions are those of the data.
        data: What it reads.

    Raises:
        ConfigError: The device cannot be had, or not with mixed precision.
    """

    def __init__(self, config: TrainConfig, data: RunData) -> None:
        self.config = config
        self.data = data
        self.device = resolve_device(config.device)
        if config.amp and self.device.type != "cuda":
            raise ConfigError(f"mixed precision needs CUDA, not {self.device.type}")
        torch.manual_seed(config.seed)
        self.model = build_model(config.model).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate, fused=True)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.amp)
        self.objective = AttentionObjective(config.constraints, self.model)
        takes_part = query_words(data.vocabulary, content_only=config.constraints.tokens == "content")
        self.query_words = torch.from_numpy(takes_part).to(self.device)

    def set_rate(self, rate: float) -> None:
        """Change the learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def step(
        self, captions: NDArray[np.int64], negatives: Negatives, strength: float, *, observe: bool = False
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Update the weights on a batch.

        Args:
            captions: i[B] training captions.
            negatives: The negatives that count.
            strength: Factor on the weights of the losses on attention.
            observe: Look at attention, hinges and gradients, too. The update is the same.

        Returns:
            The losses per pair by name, with the norm of the gradient before it was clipped; and what was observed by
            name, see `attneval.training.losses.observations`.
        """
        losses, seen = self._losses(captions, negatives, strength, observe=observe)
        self.optimizer.zero_grad(set_to_none=True)
        # The originals sum over the batch, and clip the gradient of that sum.
        torch.autograd.backward(self.scaler.scale(losses["loss"] * len(captions)))
        self.scaler.unscale_(self.optimizer)
        limit = self.config.grad_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        values = {name: loss.item() for name, loss in losses.items()}
        # With mixed precision an infinite gradient is no failure: the scaler skips that step.
        return (values if self.config.amp else {**values, "gradient": norm.item()}), seen

    def _losses(
        self, captions: NDArray[np.int64], negatives: Negatives, strength: float, *, observe: bool
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        config, model, data = self.config, self.model, self.data
        images = data.train.caption_image[captions]
        image_batch = data.train.batch(images, positions=model.needs_positions).to(self.device)
        caption_batch = data.train_captions.batch(captions).to(self.device)
        shown = torch.from_numpy(images).to(self.device)
        with torch.autocast(self.device.type, enabled=config.amp):
            regions = model.encode_images(image_batch)
            words = model.encode_captions(caption_batch)
        matching = batch_matching_loss(model, regions, words, shown, margin=config.margin, negatives=negatives)
        constrained = bool(config.constraints.use) and strength > 0
        if not constrained and not observe:
            return {"loss": matching, "matching": matching}, {}
        matched = Pairs(regions, words, matched=True)
        with nullcontext() if constrained else _without_trace():
            on_attention = self.objective.losses(
                matched,
                model.attend(matched),
                ids=caption_batch.ids,
                images=shown,
                query_words=self.query_words,
                relevant=self._relevant(captions, caption_batch.ids.shape[1], regions.mask.shape[1]),
            )
        seen = self.objective.observe(on_attention) if observe else {}
        if not constrained:
            return {"loss": matching, "matching": matching}, seen
        weighted = strength * self.objective.total(on_attention)
        if observe:
            seen |= self.objective.observe_gradients(matching, weighted, on_attention, matched)
        return {"loss": matching + weighted, "matching": matching, **on_attention.terms}, seen

    def _relevant(self, captions: NDArray[np.int64], words: int, regions: int) -> Tensor | None:
        if self.data.relevant is None:
            return None
        return self.data.relevant.batch(captions, words, regions).to(self.device)

    def state(self) -> dict[str, Any]:
        """State that decides the next steps, beside the weights."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": torch.get_rng_state(),
            "cuda_random": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and len(state["cuda_random"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda_random"])
