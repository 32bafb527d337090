"""Maps of a model in the middle of a loop: batch by batch as metrics take them, nothing written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from attneval.arrays.records import record
from attneval.extraction.transformers.adapters import choose_adapter
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.families.base import memory_enough
from attneval.extraction.transformers.pairs import Pair, Pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from attneval.extraction.transformers.choices import Channel
    from attneval.extraction.transformers.families.base import Adapter
    from attneval.extraction.transformers.regions import Regions
    from attneval.extraction.transformers.text import Tokens


@record
class Batch(Mapping[str, Any]):
    """Some captions of one image and what the model did on them; `AttentionChannels.update(**batch)` takes it.

    Attributes:
        attention: float32[B, A, T, R] on the model's device, not normalised; behind a caption's tokens zeros.
        tokens: The tokens of each caption.
        caption_ids: `<image id>#<number>` of each.
        regions: What the R columns stand for.
        texts: The captions.
        channels: Layer and head of each of the A channels, -1 where reduced over.
        header: `kind` and `normalised_over`, and what the family says of its maps.
        dtype: The type in which an export would hold the weights.
    """

    attention: Tensor
    tokens: list[Any]
    caption_ids: list[str]
    regions: Regions
    texts: list[str]
    channels: list[Channel]
    header: Mapping[str, Any]
    dtype: str

    def __getitem__(self, name: str) -> Any:
        return vars(self)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(vars(self))

    def __len__(self) -> int:
        return len(vars(self))


def batches(
    model: Any,
    processor: Any,
    pairs: Pairs | Iterable[Pair],
    *,
    prompt: str | None = None,
    rows: str = "token",
    layers: str | Iterable[int] = "all",
    heads: str | Iterable[Sequence[int]] = "all",
    over_layers: str = "none",
    weights: str | None = None,
    boxes: Any = None,
    adapter: Any = None,
    batch_size: int = 8,
    part: int = 0,
    parts: int = 1,
) -> Iterator[Batch]:
    """Run a model on captions of images, and give what it attends to batch by batch.

    The model is in evaluation mode while it runs and as it was in between; no gradient is kept.

    Args:
        model: See `hf.export`, as for all that is not named here.
        processor: See `model`.
        pairs: See `model`.
        prompt: See `model`.
        rows: See `model`.
        layers: See `model`.
        heads: See `model`; all of them here.
        over_layers: See `model`.
        weights: See `model`.
        boxes: See `model`.
        adapter: See `model`.
        batch_size: See `model`.
        part: Which share of the images, of `parts`; a process takes its rank.
        parts: How many shares there are.

    Raises:
        AttnevalError: Nothing serves the model, or an image or caption cannot be used.
    """
    choices = Choices.checked(
        prompt=prompt, rows=rows, layers=layers, heads=heads, over_layers=over_layers, weights=weights
    )
    serving, _ = choose_adapter(model, processor, choices, adapter=adapter, boxes=boxes)
    given = pairs if isinstance(pairs, Pairs) else Pairs(pairs)
    if serving.asks_phrases:
        serving.phrases = given.phrases()
    header = {"kind": serving.kind, "normalised_over": serving.normalised_over, **serving.about()}
    for pair in given[part::parts]:
        serving.check_image(pair.image_id)
        image = pair.open()
        # Regions that depend on the caption are those of one caption.
        step = 1 if serving.regions_per_caption else batch_size
        for start in range(0, len(pair.captions), step):
            chosen = pair.captions[start : start + step]
            texts = [text for _, text in chosen]
            serving.check_captions(texts)
            with evaluating(model):
                attention, tokens, regions = _attended(serving, image, texts, pair.image_id)
            yield Batch(
                attention,
                tokens,
                [f"{pair.image_id}#{number}" for number, _ in chosen],
                regions,
                texts,
                list(serving.channels),
                header,
                serving.dtype,
            )


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Put a model into evaluation mode, and back."""
    before = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in before:
            module.training = True


def _attended(adapter: Adapter, image: Any, texts: list[str], image_id: str) -> tuple[Tensor, list[Tokens], Regions]:
    """The maps of some captions, their tokens, and the regions."""
    prepared = adapter.prepare(image, texts, image_id)
    if adapter.regions_per_caption:
        [made] = adapter.maps(image, texts, image_id)
        return torch.from_numpy(made.weights)[None], prepared.tokens, made.regions
    with torch.no_grad(), memory_enough(len(texts)):
        attention = adapter.attend(prepared).detach()
    return attention, prepared.tokens, adapter.regions(image, prepared.inputs)
