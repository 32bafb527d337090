"""Every choice of a training run, as frozen dataclasses that turn into plain dicts and back.

A checkpoint records them, so a run can be repeated from its checkpoint alone. Fields made by `_option` are the flags of
`attneval train`, with the help that stands here.
"""

from __future__ import annotations

import math
import operator
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from attneval.errors import ConfigError
from attneval.training.choices import (  # noqa: TC001 (read by `from_dict`)
    Constraint,
    Fit,
    ModelName,
    Negatives,
    Pooling,
    RawNorm,
    Reversal,
    Select,
    Swap,
    Through,
    Tokens,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# ruff: noqa: RUF009 (`_option` makes a new field each time)


def _option(
    default: Any,
    help: str,  # noqa: A002 (the command line's word)
    *,
    least: int | None = None,
    above: int | None = None,
    most: int | None = None,
    by_model: bool = False,
    constraint: Constraint | None = None,
) -> Any:
    """A field that is a flag.

    Args:
        default: Its value where nothing is said.
        help: Of the flag.
        least: Its smallest allowed value.
        above: What it must be larger than.
        most: Its largest allowed value.
        by_model: Each model has a default of its own.
        constraint: The only one that reads it.
    """
    bounds = {"at least": least, "above": above, "at most": most}
    return field(
        default=default, metadata={"help": help, "bounds": bounds, "by_model": by_model, "constraint": constraint}
    )


_KEEPS: Mapping[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "above": operator.gt,
    "at most": operator.le,
}


def _check_numbers(config: ModelConfig | ConstraintConfig | TrainConfig) -> None:
    """Refuse what is NaN, infinite or outside a field's bounds."""
    for item in fields(config):
        value = getattr(config, item.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{item.name} must be a finite number, not {value}")
        for words, bound in item.metadata.get("bounds", {}).items():
            if bound is not None and not _KEEPS[words](value, bound):
                raise ConfigError(f"{item.name} must be {words} {bound}, not {value}")


@dataclass(frozen=True)
class ModelConfig:
    """Choices that make a model; `models.model_config` fills in the defaults of each model.

    Args:
        name: A name of `models.MODELS`.
        vocab_size: Number of words; a run takes it from its data, as the next two.
        image_dim: Size of a region feature.
        regions: Regions per image; only SGRAF depends on it.
    """

    name: ModelName
    vocab_size: int
    image_dim: int = 2048
    regions: int = 36
    embed_dim: int = _option(1024, "size of the common space", least=1)
    word_dim: int = _option(300, "size of a word embedding", least=1)
    layers: int = _option(1, "GRU layers", least=1)
    bidirectional: bool = _option(default=True, help="read captions both ways")
    normalise_images: bool = _option(default=True, help="region vectors of unit length")
    normalise_captions: bool = _option(default=True, help="word vectors of unit length")
    weight_norm: bool = _option(default=False, help="weight normalisation of the image map")
    raw_norm: RawNorm = _option("clipped_l2norm", "normalisation of raw scores over the queries")
    temperature: float = _option(9.0, "inverse temperature of the attention softmax", least=0, by_model=True)
    pooling: Pooling = _option("LogSumExp", "how similarities of fragments become one (SCAN, PFAN)", by_model=True)
    pooling_temperature: float = _option(6.0, "inverse temperature of LogSumExp", above=0, by_model=True)
    sim_dim: int = _option(256, "size of SGRAF's similarity vectors", least=1)
    sgr_steps: int = _option(3, "graph steps of SGR", least=1)

    def __post_init__(self) -> None:
        _check_numbers(self)


@dataclass(frozen=True)
class ConstraintConfig:
    """The constraints of a run. All numbers are this project's parameters: the paper's could not be checked.

    Weights, margins and reach are those that helped, or harmed least, in docs/experiments.md.

    Args:
        use: Names of the losses on attention; none by default.
    """

    use: tuple[Constraint, ...] = ()
    margin_ccr: float = _option(0.2, "margin of CCR", least=0, constraint="ccr")
    margin_ccs: float = _option(0.2, "margin of CCS", least=0, constraint="ccs")
    weight_ccr: float = _option(1.0, "weight of CCR, relative to the matching loss per pair", least=0, constraint="ccr")
    weight_ccs: float = _option(0.3, "weight of CCS, relative to the matching loss per pair", least=0, constraint="ccs")
    weight_supervised: float = _option(
        0.1,
        "weight of the loss on annotated regions, relative to the matching loss per pair",
        least=0,
        constraint="supervised",
    )
    reversal: Reversal = _option("complement", "form of CCR's reversed weights", constraint="ccr")
    swap: Swap = _option(
        "random",
        "the query that CCS swaps in: any of other items, the most similar of them, or another of the same item",
        constraint="ccs",
    )
    fit: Fit = _option(
        "cosine", "similarity of a query and what it attends to: the cosine, or the model's own (SGR, SAF)"
    )
    tokens: Tokens = _option("words", "words that are queries of the constraints: all, or without function words")
    through: Through = _option("weights", "what the constraints change: the attention weights alone, or everything")
    start: float = _option(0.0, "epoch, fractions allowed, up to which the constraints are off", least=0)
    warmup: float = _option(0.0, "epochs over which the constraints then grow linearly to full size", least=0)

    def __post_init__(self) -> None:
        _check_numbers(self)

    def strength(self, epoch: float) -> float:
        """The factor in 0..1 that the schedule puts on both weights at a (fractional) epoch."""
        if epoch < self.start:
            return 0.0
        return min(1.0, (epoch - self.start) / self.warmup) if self.warmup else 1.0


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Args:
        model: The model.
        data: Folder with `{split}_ims.npy`, `{split}_caps.txt` and so on.
        constraints: CCR, CCS, supervision.
        gt: Annotations that the attention of dev was scored against and that supervised attention; empty if there are
            none. Only the command line reads it: the library is given `attention_scores` and `relevant_regions`.
    """

    model: ModelConfig
    data: str
    constraints: ConstraintConfig = field(default_factory=ConstraintConfig)
    gt: str = ""
    epochs: int = _option(30, "passes over the training captions", least=1)
    batch_size: int = _option(128, "pairs per step", least=2)
    learning_rate: float = _option(2e-4, "of Adam", above=0)
    decay_epochs: int = _option(15, "the learning rate is multiplied by --decay every so many epochs; 0 never", least=0)
    decay: float = _option(0.1, "see --decay-epochs", above=0, most=1)
    grad_clip: float = _option(2.0, "largest norm of the gradient; 0 switches clipping off", least=0)
    margin: float = _option(0.2, "of the matching loss", least=0)
    negatives: Negatives = _option("hardest", "what a pair is held against: the hardest of the batch, or all")
    easy_epochs: float = _option(
        0.0,
        "epochs, fractions allowed, that begin the run with all negatives: from scratch the hardest alone can hold a "
        "model at its start for long",
        least=0,
    )
    seed: int = _option(0, "of initialisation, data order, dropout and swaps", least=0, most=2**64 - 1)
    train_images: int = _option(0, "use only the first so many images of train; 0 uses all", least=0)
    val_images: int = _option(0, "validate on the first so many images of dev; 0 uses all", least=0)
    max_tokens: int = _option(
        0,
        "cut training captions to so many tokens, <start> and <end> included; 0 never cuts, and dev and test are "
        "never cut",
        least=0,
    )
    min_count: int = _option(4, "words seen less often in the training captions become <unk>", least=1)
    vocabulary: str = _option("", "a published vocabulary JSON to use instead of building one")
    bottom_up: tuple[str, ...] = _option(
        (), "TSV file with boxes and, without {split}_ims.npy, features of both splits; repeatable"
    )
    select: Select = _option("rsum", "what decides the best epoch: the sum of recalls, or attention F1 (needs --gt)")
    amp: bool = _option(default=False, help="mixed precision; CUDA only")
    device: str = _option("auto", "auto, cpu, cuda, cuda:1, ...")
    log_steps: int = _option(50, "log every so many steps", least=0)
    checkpoint_steps: int = _option(
        500, "save every so many steps, beside the end of each epoch; 0 saves there only", least=0
    )

    def __post_init__(self) -> None:
        _check_numbers(self)
        if 0 < self.max_tokens < 3:
            raise ConfigError(f"max_tokens must be 0 or leave a word between <start> and <end>, not {self.max_tokens}")


_Config = TypeVar("_Config", ModelConfig, ConstraintConfig, TrainConfig)


def to_dict(config: ModelConfig | ConstraintConfig | TrainConfig) -> dict[str, Any]:
    """Nested dicts of plain values, for JSON and checkpoints."""
    return asdict(config)


def from_dict(kind: type[_Config], values: Mapping[str, Any], source: str = "configuration") -> _Config:
    """The inverse of `to_dict`, also for decoded JSON.

    Args:
        kind: The dataclass to make.
        values: Its fields; missing ones get their defaults.
        source: Named in errors.

    Raises:
        ConfigError: A field does not exist, is missing, or has a value of the wrong type or outside the choices.
    """
    known = {item.name: item for item in fields(kind)}
    if unknown := sorted(set(values) - set(known)):
        raise ConfigError(f"{source}: {kind.__name__} has no {', '.join(unknown)}")
    required = {item.name for item in known.values() if item.default is MISSING and item.default_factory is MISSING}
    if missing := sorted(required - set(values)):
        raise ConfigError(f"{source}: {kind.__name__} needs {', '.join(missing)}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], value, f"{source}: {name}") for name, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """`value` as a field of type `hint`, or a ConfigError."""
    if isinstance(hint, type) and is_dataclass(hint):
        return from_dict(hint, value, where)  # type: ignore[type-var]
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, not {value!r}")
        return tuple(_value(get_args(hint)[0], item, where) for item in value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where} must be one of {', '.join(get_args(hint))}, not {value!r}")
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{where} must be {hint.__name__}, not {value!r}")
    return value
