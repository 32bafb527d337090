"""Captured weights against those of eager attention, and what a capture leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("transformers")

from attneval.errors import AttnevalError
from attneval.extraction import transformers as hf
from attneval.extraction.transformers import weights
from attneval.extraction.transformers.decoders import attention_modules, implementation_of

from .kit import LENGTH, batch, eager, language, llava, picture, some_captions, torch

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = [[5, 9, 19], [4, 17, -1]]
COLUMNS = [[0, 3, 19, 7], [4, 5, 6, -1]]


BACKBONES: dict[str, Callable[[], Any]] = {
    "grouped heads": lambda: language("Llama"),
    "sliding window": lambda: language("Mistral", sliding_window=5),
    "softcap, sliding window": lambda: language("Gemma2", sliding_window=6, attn_logit_softcapping=2.0),
    "sliding layers beside full ones": lambda: language(
        "Gemma3", sliding_window=6, layer_types=["sliding_attention", "full_attention"], max_position_embeddings=64
    ),
    "sinks": lambda: language(
        "GptOss",
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
    ),
    "norms of queries and keys": lambda: language("Qwen3"),
    "one projection for all": lambda: language("Phi3"),
    "latent heads": lambda: language(
        "DeepseekV3",
        num_key_value_heads=4,
        head_dim=4,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=2,
        topk_group=1,
        q_lora_rank=8,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=4,
        v_head_dim=8,
        moe_intermediate_size=16,
        first_k_dense_replace=1,
    ),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_captured_weights_are_those_of_eager_attention(name: str) -> None:
    model, inputs = BACKBONES[name](), batch()
    with torch.no_grad():
        plain = model(**inputs).logits
        with hf.capture(model, rows=torch.tensor(ROWS), columns=torch.tensor(COLUMNS)) as maps:
            logits = model(**inputs).logits
    reference = eager(model, inputs)
    assert torch.equal(logits[0], plain[0])
    assert torch.equal(logits[1, 4:], plain[1, 4:])
    assert len(maps) == len(reference) == 2
    for layer, whole in enumerate(reference):
        assert maps[layer].dtype == torch.float32
        for sample in range(2):
            for r, row in enumerate(ROWS[sample]):
                for c, column in enumerate(COLUMNS[sample]):
                    expected = whole[sample, :, row, column] if row >= 0 and column >= 0 else torch.zeros(4)
                    assert torch.allclose(maps[layer][sample, :, r, c], expected, atol=3e-7)


def test_weights_of_all_rows_and_columns_sum_to_one() -> None:
    model = language("Llama")
    with torch.no_grad(), hf.capture(model) as maps:
        model(**batch())
    assert maps[0].shape == (2, 4, LENGTH, LENGTH)
    assert torch.allclose(maps[0].sum(-1), torch.ones(2, 4, LENGTH), atol=1e-5)


def test_positions_are_given_in_several_forms() -> None:
    model, inputs = language("Llama"), batch()
    marks = torch.zeros(2, LENGTH, dtype=torch.bool)
    marks[0, [3, 8]] = True
    marks[1, 5] = True
    forms: list[tuple[Any, Any]] = [(range(3, 9), [1, 2]), (marks, marks), (torch.tensor([[3, 8], [5, -1]]),) * 2]
    found = []
    for rows, columns in forms:
        with torch.no_grad(), hf.capture(model, rows=rows, columns=columns) as maps:
            model(**inputs)
        found.append(maps[1])
    assert found[0].shape == (2, 4, 6, 2)
    assert torch.equal(found[1], found[2])
    with pytest.raises(AttnevalError, match=r"rows are torch\.float32"), hf.capture(model, rows=torch.ones(3)):
        pass


def test_half_precision_gives_float32_close_to_eager() -> None:
    model, inputs = language("Llama").to(torch.bfloat16), batch()
    with torch.no_grad(), hf.capture(model, rows=range(10, 20)) as maps:
        model(**inputs)
    for layer, whole in enumerate(eager(model, inputs)):
        assert maps[layer].dtype == torch.float32
        assert torch.allclose(maps[layer][0], whole[0, :, 10:20].float(), atol=2e-2)
        assert torch.allclose(maps[layer].sum(-1), torch.ones(2, 4, 10), atol=1e-5)


def test_only_what_is_wanted_is_kept() -> None:
    model = language("Llama")
    with torch.no_grad(), hf.capture(model, rows=[7], columns=[1, 2, 3], layers=[1]) as maps:
        model(**batch())
    assert list(maps) == [1]
    assert maps[1].untyped_storage().nbytes() == 2 * 4 * 1 * 3 * 4
    with pytest.raises(AttnevalError, match="layer 0 is not captured"):
        maps[0]
    with torch.no_grad(), hf.capture(model, rows=[7], keep=lambda _, weights: weights.mean(1, keepdim=True)) as means:
        model(**batch())
    assert means[1].shape == (2, 1, 1, LENGTH)


@pytest.mark.parametrize("layers", [[0], [1], None])
def test_a_forward_pass_ends_with_the_last_wanted_layer(layers: list[int] | None) -> None:
    model, inputs = language("Llama"), batch()
    with torch.no_grad():
        plain = model(**inputs).logits
        with hf.capture(model, layers=layers) as whole:
            model(**inputs)
        ran = []
        handle = model.model.layers[1].register_forward_pre_hook(lambda *_: ran.append(1))
        with hf.capture(model, layers=layers, stop=True) as maps:
            model(**inputs)
            raise AssertionError
        handle.remove()
        assert ran == ([] if layers == [0] else [1])
        assert list(maps) == list(whole)
        assert all(torch.equal(maps[layer], whole[layer]) for layer in maps)
        assert torch.equal(model(**inputs).logits, plain)
    assert implementation_of(model) == "sdpa"


def test_scores_are_computed_for_groups_of_heads_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = language("Llama"), batch()
    with torch.no_grad(), hf.capture(model, rows=range(8)) as whole:
        model(**inputs)
    monkeypatch.setattr(weights, "SCORES_AT_ONCE", 100)
    with torch.no_grad(), hf.capture(model, rows=range(8)) as parts:
        model(**inputs)
    assert torch.allclose(whole[0], parts[0], atol=1e-7)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_the_implementation_is_restored_whatever_happens(implementation: str) -> None:
    model, processor = llava()
    before = {id(part): part.config._attn_implementation for part in model.modules() if hasattr(part, "config")}
    model.set_attn_implementation({"text_config": implementation})
    expected = {id(part): part.config._attn_implementation for part in model.modules() if hasattr(part, "config")}
    try:
        with pytest.raises(ZeroDivisionError), hf.capture(model):
            raise ZeroDivisionError
        now = {id(part): part.config._attn_implementation for part in model.modules() if hasattr(part, "config")}
        assert now == expected
        assert implementation_of(model) == implementation
    finally:
        model.set_attn_implementation({"text_config": "sdpa"})
    assert before == {id(part): part.config._attn_implementation for part in model.modules() if hasattr(part, "config")}
    assert processor is not None


def test_eager_models_stay_eager_and_are_read_as_they_are() -> None:
    model, inputs = language("Llama"), batch()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        plain = model(**inputs, output_attentions=True)
        with hf.capture(model, columns=range(5)) as maps:
            logits = model(**inputs).logits
    assert torch.equal(logits[0], plain.logits[0])
    assert torch.equal(maps[1][0], plain.attentions[1][0, :, :, :5])
    assert implementation_of(model) == "eager"


def test_an_unknown_keyword_is_refused() -> None:
    from attneval.extraction.transformers.interface import RECORDERS, attend
    from attneval.extraction.transformers.maps import Maps, Recorder

    model = language("Llama")
    module = attention_modules(model)[0]
    RECORDERS[module] = (0, Recorder(Maps([0]), None, None))
    try:
        states = torch.zeros(1, 4, 3, 8)
        with pytest.raises(AttnevalError, match=r"layer 0 .* attends with block_indices"):
            attend(module, states, states, states, None, block_indices=states)
    finally:
        del RECORDERS[module]


def test_layers_that_do_not_exist_and_second_captures_are_refused() -> None:
    model = language("Llama")
    missing = r"no attention of layers 2, 7; its layers .* 0, 1"
    with pytest.raises(AttnevalError, match=missing), hf.capture(model, layers=[2, 7]):
        pass
    with hf.capture(model), pytest.raises(AttnevalError, match="is being captured already"), hf.capture(model):
        pass
    with (
        torch.no_grad(),
        hf.capture(model, rows=[LENGTH]),
        pytest.raises(AttnevalError, match="has 20 rows, and the position 20"),
    ):
        model(**batch())
    with pytest.raises(AttnevalError, match="no attention modules"), hf.capture(torch.nn.Linear(2, 2)):
        pass


def test_layers_of_linear_attention_have_no_maps() -> None:
    model = language("Lfm2", num_hidden_layers=3, layer_types=["conv", "full_attention", "conv"])
    with torch.no_grad(), hf.capture(model, rows=[3]) as maps:
        model(**batch())
    assert list(maps) == [1]


def test_a_vision_tower_is_left_alone() -> None:
    model, processor = llava()
    seen = []
    tower = model.model.vision_tower if hasattr(model.model, "vision_tower") else model.vision_tower
    handle = tower.register_forward_pre_hook(lambda *_: seen.append(tower.config._attn_implementation))
    inputs = processor(text=["<image> a"], images=[picture()], return_tensors="pt")
    try:
        with torch.no_grad(), hf.capture(model) as maps:
            model(**inputs)
    finally:
        handle.remove()
    assert seen == ["sdpa"]
    assert len(maps) == 2
    assert some_captions()
