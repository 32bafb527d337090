"""Files at addresses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


def located(path: str | os.PathLike[str]) -> Path:
    """The path."""
    return Path(path)
