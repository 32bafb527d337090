"""The kind of a model that somebody names: a checkpoint file, or something that transformers loads."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_FILES = frozenset({".bin", ".npz", ".pkl", ".pt", ".pth", ".safetensors", ".tar"})


def is_transformers(name: str | Path) -> bool:
    """Tell if something is a folder with a model of transformers, or may be the name of one on a hub."""
    path = Path(name)
    if path.is_dir():
        return (path / "config.json").is_file()
    return not path.exists() and _NAME.fullmatch(str(name)) is not None and path.suffix not in _FILES
