"""Models to exports: checkpoints of the base models, and models of the transformers library.

Nothing is imported before it is used: checkpoints need torch (the extra `train`), `attneval.extraction.transformers`
needs the transformers library as well (the extra `hf`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attneval.extraction.checkpoints import export_models
    from attneval.extraction.trained import load_trained

_HOMES = {"export_models": "checkpoints", "load_trained": "trained"}
"""By public name, the module that has it."""

__all__ = ["export_models", "load_trained"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attneval.extraction' has no attribute {name!r}")
    return getattr(importlib.import_module(f"attneval.extraction.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
