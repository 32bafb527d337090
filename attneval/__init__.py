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
    from attneval.config.options import Options
    from attneval.config.protocol import Protocol
    from attneval.errors import AttnevalError
    from attneval.evaluation.score import score
    from attneval.export.read.content import AttentionExport
    from attneval.export.read.reader import open_export as load_export
    from attneval.export.write.writer import ExportWriter
    from attneval.groundtruth import open_ground_truth as load_ground_truth
    from attneval.results.compare import System, compare
    from attneval.results.result import Result

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
    "AttentionExport": ("attneval.export.read.content", "AttentionExport"),
    "AttnevalError": ("attneval.errors", "AttnevalError"),
    "ExportWriter": ("attneval.export.write.writer", "ExportWriter"),
    "Options": ("attneval.config.options", "Options"),
    "Protocol": ("attneval.config.protocol", "Protocol"),
    "Result": ("attneval.results.result", "Result"),
    "System": ("attneval.results.compare", "System"),
    "compare": ("attneval.results.compare", "compare"),
    "load_export": ("attneval.export.read.reader", "open_export"),
    "load_ground_truth": ("attneval.groundtruth", "open_ground_truth"),
    "score": ("attneval.evaluation.score", "score"),
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
