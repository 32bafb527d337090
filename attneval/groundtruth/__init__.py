"""People's side: a file per annotation format, a registry, one set of columns.

Importing it loads no numpy, so that the command line can read the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attneval.groundtruth.reading import Reading
from attneval.groundtruth.registry import FORMATS, open_ground_truth

if TYPE_CHECKING:
    from attneval.groundtruth.columns import GroundTruth, Source

__all__ = ["FORMATS", "GroundTruth", "Reading", "Source", "open_ground_truth"]


def __getattr__(name: str) -> object:
    if name in {"GroundTruth", "Source"}:
        from attneval.groundtruth import columns

        return getattr(columns, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
