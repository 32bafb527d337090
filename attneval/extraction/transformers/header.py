"""The header of an export: a model, its processor and what was taken from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from attneval.extraction.transformers.decoders import implementation_of

if TYPE_CHECKING:
    from attneval.extraction.transformers.families.base import Adapter

UNTOLD = ("auto_map", "image_processor_type", "processor_class", "feature_extractor_type", "_processor_class")
"""Settings of image processors that say nothing of what is done to images."""


def header_of(adapter: Adapter, reason: str) -> dict[str, Any]:
    """Describe an export.

    Args:
        adapter: What serves the model.
        reason: Why it is this one.
    """
    import transformers

    model, config = adapter.model, getattr(adapter.model, "config", None)
    parameters = next(model.parameters())
    return {
        "model": str(getattr(config, "_name_or_path", "") or type(model).__name__),
        "class": type(model).__name__,
        "revision": getattr(config, "_commit_hash", None),
        "family": adapter.family,
        "adapter": f"{type(adapter).__module__}:{type(adapter).__name__}",
        "adapter_reason": reason,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "implementation": implementation_of(model),
        "model_dtype": str(parameters.dtype).removeprefix("torch."),
        "device": parameters.device.type,
        "weights": adapter.choices.weights or adapter.weights_known[0],
        **adapter.choices.described(),
        "aggregation": aggregation(adapter),
        "preprocess": f"{type(_image_processor(adapter)).__name__}, images as RGB without EXIF turns",
        "processor": type(adapter.processor).__name__,
        "processor_settings": settings_of(_image_processor(adapter)),
        **adapter.about(),
    }


def _image_processor(adapter: Adapter) -> Any:
    return getattr(adapter.processor, "image_processor", adapter.processor)


def aggregation(adapter: Adapter) -> str:
    """Say in words how one map came about from layers and heads."""
    choices = adapter.choices
    if adapter.kind != "attention":
        return "none"
    heads = {"mean": "mean over heads", "max": "largest over heads", "all": "heads apart"}
    said = heads[choices.heads] if isinstance(choices.heads, str) else "heads named one by one"
    layers = "then mean over layers" if choices.over_layers == "mean" else "layers apart"
    after = ", then normalised over regions" if adapter.normalised_over == "regions" else ""
    return f"{said}, {layers}{after}"


def settings_of(processor: Any) -> dict[str, Any]:
    """List an image processor's settings that JSON can say, in their order of names."""
    given = processor.to_dict() if callable(getattr(processor, "to_dict", None)) else {}
    kept: dict[str, Any] = {}
    for name in sorted(given):
        if name in UNTOLD or given[name] is None:
            continue
        try:
            kept[name] = json.loads(json.dumps(given[name]))
        except (TypeError, ValueError):
            continue
    return kept
