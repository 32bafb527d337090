"""Models to exports: checkpoints of the base models, and models of the transformers library.

Nothing is imported before it is used: checkpoints need torch (the extra `train`), `attneval.extraction.transformers`
needs the transformers library as well (the extra `hf`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attneval.extraction.checkpoints import export_models, load_trained

__all__ = ["export_models", "load_trained"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'attneval.extraction' has no attribute {name!r}")
    from attneval.extraction import checkpoints

    return getattr(checkpoints, name)


def __dir__() -> list[str]:
    return sorted(__all__)
