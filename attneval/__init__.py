"""Measure what image-text models attend to: Attention Precision, Recall and F1, and retrieval Recall@K.

>>> import attneval
>>> result = attneval.score("fixtures/good.npz", gt="fixtures/entities")
>>> round(result["f1"], 3) > 0.5
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attneval._version import __version__ as __version__

if TYPE_CHECKING:
    # For tools that read types; a test holds these names to the table below.
    from attneval.config.options import Options as Options
    from attneval.config.protocol import Protocol as Protocol
    from attneval.config.thresholds import Threshold as Threshold
    from attneval.errors import AttnevalError as AttnevalError
    from attneval.evaluation.parts import merge as merge
    from attneval.evaluation.score import score as score
    from attneval.export.read.content import AttentionExport as AttentionExport
    from attneval.export.read.reader import open_export as open_export
    from attneval.export.write.writer import ExportWriter as ExportWriter
    from attneval.groundtruth import open_ground_truth as open_ground_truth
    from attneval.groundtruth.captions import captions as captions
    from attneval.groundtruth.columns import GroundTruth as GroundTruth
    from attneval.metrics.registry import list_metrics as list_metrics
    from attneval.results.compare import compare as compare
    from attneval.results.comparison import Comparison as Comparison
    from attneval.results.comparison import System as System
    from attneval.results.gate import Verdict as Verdict
    from attneval.results.gate import gate as gate
    from attneval.results.result import Result as Result

_HOMES = {
    "score": "attneval.evaluation.score",
    "compare": "attneval.results.compare",
    "merge": "attneval.evaluation.parts",
    "gate": "attneval.results.gate",
    "Protocol": "attneval.config.protocol",
    "Threshold": "attneval.config.thresholds",
    "Options": "attneval.config.options",
    "Result": "attneval.results.result",
    "System": "attneval.results.comparison",
    "Comparison": "attneval.results.comparison",
    "Verdict": "attneval.results.gate",
    "open_export": "attneval.export.read.reader",
    "open_ground_truth": "attneval.groundtruth",
    "AttentionExport": "attneval.export.read.content",
    "GroundTruth": "attneval.groundtruth.columns",
    "ExportWriter": "attneval.export.write.writer",
    "captions": "attneval.groundtruth.captions",
    "list_metrics": "attneval.metrics.registry",
    "AttnevalError": "attneval.errors",
}
"""The public names, each with the module it is defined in: the whole of what is promised."""

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - all of them are texts


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import attneval` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attneval' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
