"""Weights of text decoders that the package does not know by name, against their own eager attention."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")

from attneval.errors import AttnevalError
from attneval.extraction import transformers as hf
from attneval.extraction.transformers.decoders import implementation_of

from .kit import LENGTH, PADDING, batch, eager, language, torch

SLIDING = {"sliding_window": 6}
HALF_SLIDING = {"sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}
MIXED = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "num_local_experts": 4}
ROTARY = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}

DECODERS: dict[str, dict[str, Any]] = {
    "Apertus": {},
    "Arcee": {},
    "BioGpt": {},
    "BitNet": {},
    "CodeGen": {"rotary_dim": 4},
    "Cohere": {},
    "Cohere2": HALF_SLIDING,
    "DeepseekV3": {
        "num_key_value_heads": 4,
        "head_dim": 4,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "q_lora_rank": 8,
        "kv_lora_rank": 8,
        "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 4,
        "v_head_dim": 8,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
    },
    "DiffLlama": {},
    "Doge": {},
    "Ernie4_5": {},
    "Exaone4": {},
    "GPT2LMHeadModel": {},
    "GPTBigCode": {},
    "GPTJ": {"rotary_dim": 4},
    "GPTNeoX": {},
    "Gemma": {},
    "Gemma2": {**HALF_SLIDING, "attn_logit_softcapping": 2.0},
    "Gemma3": HALF_SLIDING,
    "Glm": {},
    "Glm4": {},
    "GptOss": {**MIXED, **HALF_SLIDING, **ROTARY},
    "Granite": {"attention_multiplier": 0.3},
    "GraniteMoe": MIXED,
    "Helium": {},
    "HunYuanDenseV1": {},
    "Jais2": {},
    "JetMoe": {"kv_channels": 8, **MIXED},
    "Lfm2": {"layer_types": ["conv", "full_attention"]},
    "Llama": {},
    "MiniMax": {**MIXED, "layer_types": ["linear_attention", "full_attention"]},
    "Ministral": HALF_SLIDING,
    "Mistral": SLIDING,
    "Mixtral": {**MIXED, **SLIDING},
    "ModernBertDecoder": {"local_attention": 6, "layer_types": ["sliding_attention", "full_attention"]},
    "Nemotron": {},
    "OPT": {},
    "Olmo": {},
    "Olmo2": {},
    "Olmo3": HALF_SLIDING,
    "OlmoHybrid": {"layer_types": ["linear_attention", "full_attention"]},
    "Olmoe": MIXED,
    "Persimmon": {},
    "Phi": {},
    "Phi3": SLIDING,
    "Phimoe": {**MIXED, **SLIDING},
    "Qwen2": {"use_sliding_window": True, "max_window_layers": 1, **SLIDING},
    "Qwen2Moe": {**MIXED, "shared_expert_intermediate_size": 16},
    "Qwen3": {},
    "Qwen3Moe": MIXED,
    "Qwen3_5": {"layer_types": ["linear_attention", "full_attention"]},
    "SeedOss": {},
    "SmolLM3": {"no_rope_layers": [1, 0]},
    "StableLm": {},
    "Starcoder2": SLIDING,
    "VaultGemma": HALF_SLIDING,
}
"""What configurations are given beside two layers, four heads and two key heads."""

HOOKED: dict[str, dict[str, Any]] = {
    "Bloom": {},
    "Falcon": {"head_dim": None},
    "Flint": {},
    "GPTNeoXJapanese": {},
    "Mpt": {},
    "XGLM": {},
}
"""Classes that do not take their attention from the interface."""
EAGER_BY_DEFAULT = {"Gemma2", "GptOss", "VaultGemma"}
"""Those whose attention has a softcap or sinks."""
MORE_THAN_SOFTMAX = {"MiniMax": 1}
"""How many of the matrices that the class gives are none of softmax attention; they come first."""


def largest_difference(maps: Any, reference: list[Any]) -> float:
    """The largest difference of whole matrices, rows of padding aside."""
    assert len(maps) == len(reference) > 0
    differences = []
    for weights, whole in zip(maps.values(), reference, strict=True):
        assert weights.shape == whole.shape
        away = (weights - whole).abs()
        differences += [float(away[0].max()), float(away[1, :, PADDING:].max())]
    return max(differences)


def same_logits(one: Any, other: Any) -> bool:
    """Whether logits are equal to the bit, rows of padding aside."""
    return bool(torch.equal(one[0], other[0]) and torch.equal(one[1, PADDING:], other[1, PADDING:]))


@pytest.mark.parametrize("name", DECODERS)
def test_captured_through_the_interface(name: str) -> None:
    model, inputs = language(name, **DECODERS[name]), batch()
    implementation = implementation_of(model)
    assert implementation == ("eager" if name in EAGER_BY_DEFAULT else "sdpa")
    rows, columns = torch.tensor([[5, 9, LENGTH - 1], [PADDING, 17, -1]]), torch.tensor([0, 6, 7, 11, LENGTH - 1])
    with torch.no_grad():
        plain = model(**inputs).logits
        with hf.capture(model) as maps:
            logits = model(**inputs).logits
        with hf.capture(model, rows=rows, columns=columns) as cut:
            model(**inputs)
    assert implementation_of(model) == implementation
    assert same_logits(logits, plain)
    reference = eager(model, inputs)[MORE_THAN_SOFTMAX.get(name, 0) :]
    assert largest_difference(maps, reference) <= 3e-7
    for layer, weights in cut.items():
        for sample in range(2):
            wanted = maps[layer][sample][:, rows[sample].clamp(min=0)][:, :, columns] * (rows[sample] >= 0)[:, None]
            assert torch.allclose(weights[sample], wanted, atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", HOOKED)
def test_captured_by_hooks(name: str) -> None:
    model, inputs = language(name, **HOOKED[name]), batch()
    reference = language(name, **HOOKED[name], attn_implementation="eager")
    implementation = implementation_of(model)
    with torch.no_grad():
        plain = model(**inputs).logits
        expected = reference(**inputs, output_attentions=True)
        with hf.capture(model) as maps:
            logits = model(**inputs).logits
        again = model(**inputs).logits
    assert largest_difference(maps, list(expected.attentions)) == 0
    assert same_logits(logits, expected.logits)
    assert torch.allclose(logits[0], plain[0], atol=1e-5)
    assert not maps[0][0].triu(1).any()
    assert same_logits(again, plain)
    assert implementation_of(model) == implementation


def test_captured_by_hooks_without_padding() -> None:
    """The sdpa branch of this class is given no mask then, and its eager branch needs one."""
    model, inputs = language("Falcon", head_dim=None), {"input_ids": batch()["input_ids"][:1]}
    reference = language("Falcon", head_dim=None, attn_implementation="eager")
    with torch.no_grad(), hf.capture(model) as maps:
        model(**inputs)
    with torch.no_grad():
        expected = reference(**inputs, output_attentions=True).attentions
    assert all(torch.equal(weights, whole) for weights, whole in zip(maps.values(), expected, strict=True))


@pytest.mark.parametrize(
    ("name", "given"), [("Mamba", {}), ("FalconMamba", {}), ("Rwkv", {}), ("CpmAnt", {"head_dim": None})]
)
def test_refused_where_there_is_no_attention_that_is_known(name: str, given: dict[str, Any]) -> None:
    model = language(name, **given)
    expected = rf"{name}ForCausalLM has no attention modules that can be captured"
    with pytest.raises(AttnevalError, match=expected), hf.capture(model):
        pass


def test_refused_where_layers_are_numbered_twice() -> None:
    model = language("HrmText")
    with pytest.raises(AttnevalError, match=r"two attention modules of layer 0, .* and ") as refused, hf.capture(model):
        pass
    assert refused.value.hint == "name the modules that are wanted with modules="


def test_modules_can_be_named() -> None:
    model, inputs = language("HrmText"), batch()
    wanted = {layer: block.self_attn for layer, block in enumerate(model.model.H_module.layers)}
    with torch.no_grad(), hf.capture(model, modules=wanted) as maps:
        model(**inputs)
    # The class numbers what it returns by runs: the last ones are those of the stack that runs last.
    assert largest_difference(maps, eager(model, inputs)[-len(wanted) :]) <= 3e-7
