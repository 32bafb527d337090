"""The training side: CCR and CCS for any attention model, four base models, and what it takes to train them.

Needs torch: `pip install 'attneval[train]'`. Nothing else in the package imports torch, and this module imports it only
when something is used, so that the command line can list its choices without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attneval.training.captions import EncodedCaptions
    from attneval.training.checkpoint import read_checkpoint
    from attneval.training.config import ConstraintConfig, ModelConfig, TrainConfig
    from attneval.training.constraints import ContrastiveConstraints, ccr_loss, ccs_loss
    from attneval.training.data import open_split
    from attneval.training.export import export_models, load_trained
    from attneval.training.loop import train
    from attneval.training.models import MODELS, build_model, model_config
    from attneval.training.retrieval import mean_recall, recall
    from attneval.training.similarity import MatchedMaps, mean_maps, similarity_matrix
    from attneval.training.vocabulary import Vocabulary

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
    "export_models",
    "load_trained",
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
    "captions": ("EncodedCaptions",),
    "checkpoint": ("read_checkpoint",),
    "config": ("ConstraintConfig", "ModelConfig", "TrainConfig"),
    "constraints": ("ContrastiveConstraints", "ccr_loss", "ccs_loss"),
    "data": ("open_split",),
    "export": ("export_models", "load_trained"),
    "loop": ("train",),
    "models": ("MODELS", "build_model", "model_config"),
    "retrieval": ("mean_recall", "recall"),
    "similarity": ("MatchedMaps", "mean_maps", "similarity_matrix"),
    "vocabulary": ("Vocabulary",),
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
