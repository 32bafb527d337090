"""The inputs of models: captions tokenised, images processed, all on the model's device."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.text import Prompt, fill, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor, nn

    from attneval.extraction.transformers.text import Tokens

NOT_FOR_MODELS = ("offset_mapping", "text_replacement_offsets", "labels", "overflow_to_sample_mapping", "num_crops")
"""What processors return and models do not take."""


def tokenizer_of(processor: Any) -> Any:
    """Return the tokenizer of a processor, or the tokenizer itself."""
    return getattr(processor, "tokenizer", None) or processor


def takes(function: Callable[..., Any], name: str) -> bool:
    """Tell if a function has a parameter of that name."""
    return name in inspect.signature(function).parameters


def on_device(model: nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """Move inputs to the model's device, numbers with a point in its dtype, and drop what models do not take."""
    device = next(model.parameters()).device
    # Quantised weights are whole numbers; what they are computed with is not.
    dtype = next((one.dtype for one in model.parameters() if one.is_floating_point()), torch.float32)
    moved = {}
    for name, value in given.items():
        if name not in NOT_FOR_MODELS:
            tensor = isinstance(value, torch.Tensor)
            moved[name] = value.to(device, dtype if value.is_floating_point() else None) if tensor else value
    return moved


def encode_captions(
    processor: Any,
    captions: Sequence[str],
    template: str | None = None,
    *,
    longest: int | None = None,
    pad_to_longest: bool = False,
) -> tuple[dict[str, Any], list[Tokens]]:
    """Tokenise captions that stand alone or in a short text, for models whose text has no image in it.

    Args:
        processor: A processor, or a tokenizer.
        captions: The captions.
        template: Text with `{caption}`, or None.
        longest: How many positions the model has, None if not limited.
        pad_to_longest: Pad every text to that length, whatever the tokenizer says.

    Returns:
        What the tokenizer gives, and each caption's tokens.

    Raises:
        AttnevalError: The tokenizer has no offsets, or a caption is too long.
    """
    prompts = [Prompt(text, 0, text) if template is None else fill(template, text) for text in captions]
    return encode_prompts(processor, prompts, longest=longest, pad_to_longest=pad_to_longest)


def encode_prompts(
    processor: Any, prompts: Sequence[Prompt], *, longest: int | None = None, pad_to_longest: bool = False
) -> tuple[dict[str, Any], list[Tokens]]:
    """Tokenise captions within texts; see `encode_captions`."""
    tokenizer = tokenizer_of(processor)
    if not getattr(tokenizer, "is_fast", False):
        raise AttnevalError(
            f"{type(tokenizer).__name__} cannot say where its tokens lie in the text", hint="load the fast tokenizer"
        )
    # Such models saw full padding in training: their processor says so, or their tokenizer gives no mask (SigLIP).
    defaults = getattr(processor, "text_kwargs", None)
    masked = "attention_mask" in getattr(tokenizer, "model_input_names", ["attention_mask"])
    if not masked or (isinstance(defaults, dict) and defaults.get("padding") == "max_length"):
        pad_to_longest = True
    encoded = tokenizer(
        text=[prompt.text for prompt in prompts],
        padding="max_length" if longest is not None and pad_to_longest else True,
        truncation=longest is not None,
        max_length=longest,
        return_offsets_mapping=True,
        return_tensors="pt",
    )
    offsets = encoded["offset_mapping"]
    return dict(encoded), [tokens_of(span, prompt) for span, prompt in zip(offsets, prompts, strict=True)]


def encode_image(processor: Any, image: Image) -> dict[str, Any]:
    """Process one image alone."""
    made = getattr(processor, "image_processor", processor)(images=image, return_tensors="pt")
    return dict(made)


def repeated(given: Mapping[str, Any], times: int) -> dict[str, Any]:
    """Repeat the tensors of one sample for each caption."""
    return {
        name: value.expand(times, *value.shape[1:]) if isinstance(value, torch.Tensor) else value
        for name, value in given.items()
    }


def longest_text(model: Any) -> int | None:
    """Return how many positions a model's text has, None where its configuration names none."""
    config = getattr(model, "config", None)
    for holder in (getattr(config, "text_config", None), config):
        for name in ("max_position_embeddings", "max_text_len"):
            value = getattr(holder, name, None)
            if isinstance(value, int):
                return value
    return None


def projecting_modules(model: nn.Module) -> dict[int, nn.Module]:
    """Find the modules with a query, a key and a value projection of a BERT-like encoder, in their order."""
    projecting = [
        module
        for module in model.modules()
        if all(isinstance(getattr(module, name, None), torch.nn.Linear) for name in ("query", "key", "value"))
    ]
    return dict(enumerate(projecting))


def rows_of(tokens: Sequence[Tokens], shift: int = 0) -> Tensor:
    """Write the tokens' positions as int64[B, T], -1 for padding.

    Raises:
        AttnevalError: A token at the very beginning has no position before it.
    """
    longest = max(map(len, tokens), default=0)
    rows = torch.full((len(tokens), longest), -1, dtype=torch.int64)
    for sample, of_sample in enumerate(tokens):
        rows[sample, : len(of_sample)] = torch.from_numpy(of_sample.position) - shift
        if len(of_sample) and of_sample.position[0] < shift:
            raise AttnevalError("the first token of the sequence is predicted by none", hint="use rows='token'")
    return rows
