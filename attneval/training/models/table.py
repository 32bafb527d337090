"""The table of models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attneval.errors import ConfigError
from attneval.training.models.bfan import BfanEqual, BfanProb
from attneval.training.models.pfan import PfanI2T, PfanT2I
from attneval.training.models.scan import ScanI2T, ScanT2I
from attneval.training.models.sgraf import Saf, Sgr
from attneval.training.run.config import ModelConfig, from_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attneval.training.models.matching import MatchingModel


@dataclass(frozen=True)
class ModelKind:
    """A row of the table.

    Args:
        build: The class.
        directions: Attention maps that it has.
        paper: Where it comes from.
        defaults: Fields of `ModelConfig` that its paper or code sets.
    """

    build: type[MatchingModel]
    directions: tuple[str, ...]
    paper: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


_SCAN, _BFAN = "Lee et al., ECCV 2018", "Liu et al., ACM MM 2019"
_PFAN, _SGRAF = "Wang et al., IJCAI 2019", "Diao et al., AAAI 2021"

MODELS: Mapping[str, ModelKind] = {
    "scan-t2i": ModelKind(
        ScanT2I, ("t2i",), _SCAN, {"temperature": 9.0, "pooling": "LogSumExp", "pooling_temperature": 6.0}
    ),
    "scan-i2t": ModelKind(
        ScanI2T, ("i2t",), _SCAN, {"temperature": 4.0, "pooling": "LogSumExp", "pooling_temperature": 5.0}
    ),
    "bfan-equal": ModelKind(BfanEqual, ("t2i", "i2t"), _BFAN, {"temperature": 20.0, "pooling": "Mean"}),
    "bfan-prob": ModelKind(BfanProb, ("t2i", "i2t"), _BFAN, {"temperature": 20.0, "pooling": "Mean"}),
    "pfan-t2i": ModelKind(PfanT2I, ("t2i",), _PFAN, {"temperature": 9.0, "pooling": "Mean"}),
    "pfan-i2t": ModelKind(PfanI2T, ("i2t",), _PFAN, {"temperature": 4.0, "pooling": "Mean"}),
    "sgr": ModelKind(Sgr, ("t2i",), _SGRAF, {"temperature": 9.0}),
    "saf": ModelKind(Saf, ("t2i",), _SGRAF, {"temperature": 9.0}),
}


def model_config(name: str, vocab_size: int, **overrides: Any) -> ModelConfig:
    """The configuration of a model of the table.

    Args:
        name: A key of `MODELS`.
        vocab_size: Number of words.
        **overrides: Other fields of `ModelConfig`.

    Raises:
        ConfigError: There is no such model or field, or a value is not allowed.
    """
    kind = _kind(name)
    return from_dict(ModelConfig, {"name": name, "vocab_size": vocab_size, **kind.defaults, **overrides}, name)


def build_model(config: ModelConfig) -> MatchingModel:
    """A freshly initialised model; the state of torch's global random generator decides its weights."""
    return _kind(config.name).build(config)


def _kind(name: str) -> ModelKind:
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}", hint=f"choose from {', '.join(MODELS)}")
    return MODELS[name]
