"""Checkpoints as the authors' code wrote them: keys and shapes as literals, not taken from the models here."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import torch

V = 60  # words; 8,481 in f30k_precomp

OPTIONS: dict[str, Any] = {
    "data_name": "f30k_precomp",
    "margin": 0.2,
    "num_epochs": 30,
    "batch_size": 128,
    "word_dim": 300,
    "embed_size": 1024,
    "grad_clip": 2.0,
    "num_layers": 1,
    "learning_rate": 0.0002,
    "lr_update": 15,
    "max_violation": True,
    "img_dim": 2048,
    "no_imgnorm": False,
    "no_txtnorm": False,
    "precomp_enc_type": "basic",
    "vocab_size": V,
}
SCAN_OPTIONS = {"raw_feature_norm": "clipped_l2norm", "bi_gru": True}

IMAGE = {"fc.weight": (1024, 2048), "fc.bias": (1024,)}
IMAGE_WEIGHT_NORM = {"fc.bias": (1024,), "fc.weight_g": (1,), "fc.weight_v": (1024, 2048)}
IMAGE_PFAN = {
    "fc.weight": (1024, 2248),
    "fc.bias": (1024,),
    "fc_att.weight": (200, 2048),
    "fc_att.bias": (200,),
    "position_embedding.weight": (257, 200),
}


def text(rnn: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"embed.weight": (V, 300)}
    for suffix in ("l0", "l0_reverse"):
        shapes[f"{rnn}.weight_ih_{suffix}"] = (3072, 300)
        shapes[f"{rnn}.weight_hh_{suffix}"] = (3072, 1024)
        shapes[f"{rnn}.bias_ih_{suffix}"] = (3072,)
        shapes[f"{rnn}.bias_hh_{suffix}"] = (3072,)
    return shapes


def norm(name: str, size: int) -> dict[str, tuple[int, ...]]:
    keys = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{key}": (size,) for key in keys}, f"{name}.num_batches_tracked": ()}


def linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


SIMILARITY = {
    **linear("v_global_w.embedding_local.0", 1024, 1024),
    **norm("v_global_w.embedding_local.1", 36),
    **linear("v_global_w.embedding_global.0", 1024, 1024),
    **norm("v_global_w.embedding_global.1", 1024),
    **linear("v_global_w.embedding_common.0", 1, 1024),
    **linear("t_global_w.embedding_local.0", 1024, 1024),
    **linear("t_global_w.embedding_global.0", 1024, 1024),
    **linear("t_global_w.embedding_common.0", 1, 1024),
    **linear("sim_tranloc_w", 256, 1024),
    **linear("sim_tranglo_w", 256, 1024),
    **linear("sim_eval_w", 1, 256),
}
SGR = {
    **SIMILARITY,
    **{
        key: shape
        for step in range(3)
        for part in ("graph_query_w", "graph_key_w", "sim_graph_w")
        for key, shape in linear(f"SGR_module.{step}.{part}", 256, 256).items()
    },
}
SAF = {**SIMILARITY, **linear("SAF_module.attn_sim_w", 1, 256), **norm("SAF_module.bn", 1)}

PARTS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "scan-t2i": (
        [IMAGE, text("rnn")],
        {**SCAN_OPTIONS, "cross_attn": "t2i", "agg_func": "LogSumExp", "lambda_lse": 6.0, "lambda_softmax": 9.0},
    ),
    "scan-i2t": (
        [IMAGE_WEIGHT_NORM, text("rnn")],
        {**SCAN_OPTIONS, "cross_attn": "i2t", "agg_func": "Mean", "lambda_lse": 20.0, "lambda_softmax": 4.0},
    ),
    "bfan-equal": ([IMAGE, text("rnn")], {"focal_type": "equal", "lambda_softmax": 20.0}),
    "bfan-prob": ([IMAGE, text("rnn")], {"focal_type": "prob", "lambda_softmax": 20.0}),
    "pfan-t2i": (
        [IMAGE_PFAN, text("rnn")],
        {**SCAN_OPTIONS, "cross_attn": "t2i", "agg_func": "Mean", "lambda_lse": 6.0, "lambda_softmax": 9.0},
    ),
    "pfan-i2t": (
        [IMAGE_PFAN, text("rnn")],
        {**SCAN_OPTIONS, "cross_attn": "i2t", "agg_func": "Mean", "lambda_lse": 6.0, "lambda_softmax": 4.0},
    ),
    "sgr": ([IMAGE, text("cap_rnn"), SGR], {"module_name": "SGR", "sgr_step": 3, "sim_dim": 256, "bi_gru": True}),
    "saf": ([IMAGE, text("cap_rnn"), SAF], {"module_name": "SAF", "sgr_step": 3, "sim_dim": 256, "bi_gru": True}),
}


def author_checkpoint(name: str) -> dict[str, Any]:
    """What `torch.save` of the original wrote for a model of ours."""
    parts, options = PARTS[name]
    random = torch.Generator().manual_seed(0)
    states = [
        {
            key: torch.tensor(7) if key.endswith("tracked") else torch.rand(shape, generator=random) * 0.05
            for key, shape in part.items()
        }
        for part in parts
    ]
    opt = Namespace(**{**OPTIONS, **options})
    return {"epoch": 12, "model": states, "best_rsum": 487.5, "opt": opt, "Eiters": 3400}
