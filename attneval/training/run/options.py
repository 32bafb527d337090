"""The option names of the originals' command lines, which their checkpoints carry, beside those of this package."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from attneval.errors import ConfigError, DataError
from attneval.training.models.table import model_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from attneval.training.run.config import ModelConfig, TrainConfig


def to_options(config: TrainConfig) -> Namespace:
    """The originals' options for a run."""
    model = config.model
    family, _, variant = model.name.partition("-")
    return Namespace(
        data_path=config.data,
        vocab_size=model.vocab_size,
        img_dim=model.image_dim,
        embed_size=model.embed_dim,
        word_dim=model.word_dim,
        num_layers=model.layers,
        bi_gru=model.bidirectional,
        no_imgnorm=not model.normalise_images,
        no_txtnorm=not model.normalise_captions,
        precomp_enc_type="weight_norm" if model.weight_norm else "basic",
        raw_feature_norm=model.raw_norm,
        lambda_softmax=model.temperature,
        agg_func=model.pooling,
        lambda_lse=model.pooling_temperature,
        num_epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_update=config.decay_epochs,
        grad_clip=config.grad_clip,
        margin=config.margin,
        max_violation=config.negatives == "hardest",
        **({"cross_attn": variant} if family in ("scan", "pfan") else {}),
        **({"focal_type": variant} if family == "bfan" else {}),
        **({"module_name": model.name.upper()} if family in ("sgr", "saf") else {}),
        **({"sim_dim": model.sim_dim, "sgr_step": model.sgr_steps} if family in ("sgr", "saf") else {}),
    )


def from_options(
    options: Namespace | None, states: Sequence[Mapping[str, Tensor]], source: str, name: str = ""
) -> ModelConfig:
    """The configuration of an author's checkpoint: choices from its options, sizes from its tensors.

    Args:
        options: As pickled by the originals, or None.
        states: State dicts, tensors of any shape, of the image, the text and, in SGRAF, the similarity encoder.
        source: The file, named in errors.
        name: A key of `models.MODELS`; empty finds it out.

    Raises:
        DataError: The model is not named or does not exist, a tensor is missing, or an option is not allowed.
    """
    given: dict[str, Any] = {} if options is None else vars(options)
    name = name or _name(given, states)
    if not name:
        raise DataError(f"{source}: does not say which model it is", hint="name the model, for instance scan-t2i")
    try:
        image, text, *rest = states
        rnn = "cap_rnn" if any(key.startswith("cap_rnn.") for key in text) else "rnn"
        weight = image["fc.weight_v"] if "fc.weight_v" in image else image["fc.weight"]
        position = image["position_embedding.weight"].shape[1] if "position_embedding.weight" in image else 0
        vocab_size, word_dim = text["embed.weight"].shape
        sizes: dict[str, Any] = {
            "image_dim": weight.shape[1] - position,
            "embed_dim": weight.shape[0],
            "word_dim": word_dim,
            "layers": sum(key.startswith(f"{rnn}.weight_ih_l") and "reverse" not in key for key in text),
            "bidirectional": f"{rnn}.weight_ih_l0_reverse" in text,
            "weight_norm": "fc.weight_v" in image,
        }
        for similarity in rest:
            sizes["sim_dim"] = similarity["sim_tranloc_w.weight"].shape[0]
            sizes["regions"] = len(similarity["v_global_w.embedding_local.1.weight"])
            steps = {key.split(".")[1] for key in similarity if key.startswith("SGR_module.")}
            sizes["sgr_steps"] = len(steps) or 3
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"{source}: is no checkpoint of {name}: {error} is missing or damaged") from error
    choices = {
        "normalise_images": not given.get("no_imgnorm", False),
        "normalise_captions": not given.get("no_txtnorm", False),
    }
    if not name.startswith(("bfan", "sgr", "saf")):  # those fix what SCAN and PFAN leave open
        renamed = {
            "raw_norm": "raw_feature_norm",
            "pooling": "agg_func",
            "pooling_temperature": "lambda_lse",
        }
        choices.update({field: given[option] for field, option in renamed.items() if option in given})
    if not name.startswith(("sgr", "saf")) and "lambda_softmax" in given:
        choices["temperature"] = given["lambda_softmax"]
    try:
        return model_config(name, vocab_size, **sizes, **choices)
    except ConfigError as error:
        raise DataError(f"{source}: {error.message}", hint=error.hint) from error


def _name(options: Mapping[str, Any], states: Sequence[Mapping[str, Tensor]]) -> str:
    """The model's name, or nothing if the file does not say it."""
    if len(states) == 3:
        kinds = {key.split(".")[0] for key in states[2]}
        return "sgr" if "SGR_module" in kinds else "saf" if "SAF_module" in kinds else ""
    if "focal_type" in options:
        return f"bfan-{options['focal_type']}"
    if "cross_attn" not in options or not states:
        return ""
    family = "pfan" if "position_embedding.weight" in states[0] else "scan"
    return f"{family}-{options['cross_attn']}"
