"""Measure what image-text models attend to: Attention Precision, Recall and F1, and retrieval Recall@K.

>>> import attneval
>>> result = attneval.score("fixtures/good.npz", gt="fixtures/entities")
>>> round(result["f1"], 3) > 0.5
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attneval._version import __version__

if TYPE_CHECKING:
    from attneval.compare import System, compare
    from attneval.errors import AttnevalError
    from attneval.evaluate import score
    from attneval.export.content import AttentionExport
    from attneval.export.reader import open_export as load_export
    from attneval.export.writer import ExportWriter
    from attneval.groundtruth import open_ground_truth as load_ground_truth
    from attneval.options import Options
    from attneval.protocol import Protocol
    from attneval.result import Result

__all__ = [
    "AttentionExport",
    "AttnevalError",
    "ExportWriter",
    "Options",
    "Protocol",
    "Result",
    "System",
    "__version__",
    "compare",
    "load_export",
    "load_ground_truth",
    "score",
]

_HOMES = {
    "AttentionExport": ("attneval.export.content", "AttentionExport"),
    "AttnevalError": ("attneval.errors", "AttnevalError"),
    "ExportWriter": ("attneval.export.writer", "ExportWriter"),
    "Options": ("attneval.options", "Options"),
    "Protocol": ("attneval.protocol", "Protocol"),
    "Result": ("attneval.result", "Result"),
    "System": ("attneval.compare", "System"),
    "compare": ("attneval.compare", "compare"),
    "load_export": ("attneval.export.reader", "open_export"),
    "load_ground_truth": ("attneval.groundtruth", "open_ground_truth"),
    "score": ("attneval.evaluate", "score"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import attneval` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attneval' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
