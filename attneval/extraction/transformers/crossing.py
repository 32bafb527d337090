"""The modules of a model in which text looks at an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def text_part(model: Any) -> Any:
    """Return the part of a model that looks at the image's states: its text encoder, or else its text decoder."""
    return getattr(model, "text_encoder", None) or getattr(model, "text_decoder", None)


def crossing_modules(model: Any) -> dict[int, nn.Module]:
    """Find the modules that compute cross-attention, in the order of the layers."""
    part = text_part(model)
    if part is None:
        return {}
    modules = [
        getattr(module, "self", module)
        for name, module in part.named_modules()
        if name.rsplit(".", 1)[-1] == "crossattention"
    ]
    return dict(enumerate(modules))
