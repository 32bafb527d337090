"""The training side: CCR and CCS for any attention model, four base models, and what it takes to train them.

Needs torch: the extra `train`. Nothing else in the package imports torch, and this module imports it only
when something is used, so that the command line can list its choices without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attneval.training.data.captions import EncodedCaptions
    from attneval.training.data.precomputed import open_split
    from attneval.training.data.vocabulary import Vocabulary
    from attneval.training.losses.constraints import ContrastiveConstraints, ccr_loss, ccs_loss
    from attneval.training.models.similarity import MatchedMaps, mean_maps, similarity_matrix
    from attneval.training.models.table import MODELS, build_model, model_config
    from attneval.training.run.checkpoint import read_checkpoint
    from attneval.training.run.config import ConstraintConfig, ModelConfig, TrainConfig
    from attneval.training.run.loop import train
    from attneval.training.run.retrieval import mean_recall, recall

__all__ = [
    "MODELS",
    "ConstraintConfig",
    "ContrastiveConstraints",
    "EncodedCaptions",
    "MatchedMaps",
    "ModelConfig",
    "TrainConfig",
    "Vocabulary",
    "build_model",
    "ccr_loss",
    "ccs_loss",
    "mean_maps",
    "mean_recall",
    "model_config",
    "open_split",
    "read_checkpoint",
    "recall",
    "similarity_matrix",
    "train",
]

_HOMES = {
    "data.captions": ("EncodedCaptions",),
    "data.precomputed": ("open_split",),
    "data.vocabulary": ("Vocabulary",),
    "losses.constraints": ("ContrastiveConstraints", "ccr_loss", "ccs_loss"),
    "models.similarity": ("MatchedMaps", "mean_maps", "similarity_matrix"),
    "models.table": ("MODELS", "build_model", "model_config"),
    "run.checkpoint": ("read_checkpoint",),
    "run.config": ("ConstraintConfig", "ModelConfig", "TrainConfig"),
    "run.loop": ("train",),
    "run.retrieval": ("mean_recall", "recall"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'attneval.training' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"attneval.training.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
