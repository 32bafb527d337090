"""Tiny causal vision-language models with random weights and their real processors, put together without a hub."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

torch: Any = pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")
pytest.importorskip("PIL")
tokenizers: Any = import_module("tokenizers")
processing: Any = import_module("transformers.processing_utils")

WORDS = (
    "a",
    "an",
    "the",
    "man",
    "woman",
    "dog",
    "in",
    "on",
    "with",
    "red",
    "blue",
    "shirt",
    "stands",
    "sits",
    "runs",
    "street",
    "grass",
    ".",
    ",",
    "describe",
    "image",
)
SPECIALS = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "image_token": "<image>",
    "video_token": "<video>",
    "boi_token": "<boi>",
    "eoi_token": "<eoi>",
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<context>",
    "fake_image_token": "<fake_token_around_image>",
    "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
}
VOCABULARY = 256


def tokenizer() -> Any:
    """A word tokenizer that has every special token which any of the processors asks for."""
    rows = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    words = [*SPECIALS.values(), *rows, "\n", "\n\n", *WORDS]
    ids = {word: index for index, word in enumerate(words)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, SPECIALS["unk_token"]))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    named = {name: SPECIALS[name] for name in ("pad_token", "unk_token", "bos_token", "eos_token")}
    extra = {name: token for name, token in SPECIALS.items() if name not in named}
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, extra_special_tokens=extra, model_max_length=100_000, **named
    )
    made.add_tokens(rows, special_tokens=True)
    return made


def text(**more: Any) -> dict[str, Any]:
    """A decoder of two layers and two heads."""
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 32_768,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        **more,
    }


def vision(size: int, patch: int, **more: Any) -> dict[str, Any]:
    """A vision tower of two layers and two heads."""
    return {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": size,
        "patch_size": patch,
        **more,
    }


@dataclass(frozen=True)
class Made:
    """A model and its processor."""

    model: Any
    processor: Any
    prompt: str = "<image>\ndescribe the image . {caption}"


def token(tokens: Any, name: str) -> int:
    return int(tokens.convert_tokens_to_ids(SPECIALS[name]))


class _Unchecked:
    """Processors of videos cannot be made without torchvision; their check is left out while one is put together."""

    def __enter__(self) -> None:
        self.check = processing.ProcessorMixin.check_argument_for_proper_class
        processing.ProcessorMixin.check_argument_for_proper_class = lambda *_arguments, **_more: None

    def __exit__(self, *_error: object) -> None:
        processing.ProcessorMixin.check_argument_for_proper_class = self.check


def pil(family: str, name: str, **settings: Any) -> Any:
    """An image processor of the PIL backend."""
    module = import_module(f"transformers.models.{family}.image_processing_pil_{family}")
    return getattr(module, name)(**settings)


def ready(model: Any) -> Any:
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model.eval()


def llava() -> Made:
    tokens = tokenizer()
    images = pil("clip", "CLIPImageProcessorPil", size={"shortest_edge": 112}, crop_size=112)
    config = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**vision(112, 14)),
        text_config=transformers.LlamaConfig(**text()),
        image_token_index=token(tokens, "image_token"),
        image_seq_length=64,
    )
    processor = transformers.LlavaProcessor(
        images, tokens, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1
    )
    return Made(transformers.LlavaForConditionalGeneration(config), processor)


def llava_letterbox() -> Made:
    made = llava()
    images = pil("llava", "LlavaImageProcessorPil", size={"shortest_edge": 112}, crop_size=112, do_pad=True)
    made.processor.image_processor = images
    return made


def llava_next() -> Made:
    tokens = tokenizer()
    pinpoints = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]
    images = pil(
        "llava_next",
        "LlavaNextImageProcessorPil",
        size={"shortest_edge": 56},
        crop_size=56,
        image_grid_pinpoints=pinpoints,
    )
    config = transformers.LlavaNextConfig(
        vision_config=transformers.CLIPVisionConfig(**vision(56, 7)),
        text_config=transformers.LlamaConfig(**text()),
        image_token_index=token(tokens, "image_token"),
        image_grid_pinpoints=pinpoints,
    )
    processor = transformers.LlavaNextProcessor(
        images, tokens, patch_size=7, vision_feature_select_strategy="default", num_additional_image_tokens=1
    )
    return Made(transformers.LlavaNextForConditionalGeneration(config), processor)


def llava_onevision(patch: int = 8, most: int = 9) -> Made:
    tokens = tokenizer()
    pinpoints = [[rows * 64, cols * 64] for rows in range(1, 4) for cols in range(1, 4)]
    images = pil(
        "llava_onevision",
        "LlavaOnevisionImageProcessorPil",
        size={"height": 64, "width": 64},
        image_grid_pinpoints=pinpoints,
    )
    ratio = f"anyres_max_{most}"
    config = transformers.LlavaOnevisionConfig(
        vision_config=transformers.SiglipVisionConfig(**vision(64, patch)),
        text_config=transformers.Qwen2Config(**text()),
        image_token_index=token(tokens, "image_token"),
        video_token_index=token(tokens, "video_token"),
        image_grid_pinpoints=pinpoints,
        vision_aspect_ratio=ratio,
    )
    with _Unchecked():
        processor = transformers.LlavaOnevisionProcessor(
            images,
            tokens,
            None,
            num_image_tokens=(64 // patch) ** 2,
            vision_feature_select_strategy="full",
            vision_aspect_ratio=ratio,
        )
    return Made(transformers.LlavaOnevisionForConditionalGeneration(config), processor)


def _qwen(config_name: str, model_name: str, processor_name: str, patch: int, tower: dict[str, Any]) -> Made:
    tokens = tokenizer()
    images = pil(
        "qwen2_vl",
        "Qwen2VLImageProcessorPil",
        patch_size=patch,
        size={"shortest_edge": 4 * (2 * patch) ** 2, "longest_edge": 100 * (2 * patch) ** 2},
    )
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
    if config_name.startswith("Qwen3"):
        rope["mrope_interleaved"] = True
    config = getattr(transformers, config_name)(
        vision_config={
            "patch_size": patch,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_heads": 2,
            "depth": 2,
            **tower,
        },
        text_config=text(rope_parameters=rope),
        image_token_id=token(tokens, "image_token"),
        video_token_id=token(tokens, "video_token"),
        vision_start_token_id=token(tokens, "start_image_token"),
        vision_end_token_id=token(tokens, "end_image_token"),
    )
    with _Unchecked():
        processor = getattr(transformers, processor_name)(images, tokens, None)
    model = getattr(transformers, model_name)(config)
    return Made(model, processor, "<img> <image> </img> describe the image . {caption}")


def qwen2_vl() -> Made:
    return _qwen(
        "Qwen2VLConfig",
        "Qwen2VLForConditionalGeneration",
        "Qwen2VLProcessor",
        14,
        {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2},
    )


def qwen2_5_vl() -> Made:
    tower = {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": 32, "fullatt_block_indexes": [1]}
    return _qwen("Qwen2_5_VLConfig", "Qwen2_5_VLForConditionalGeneration", "Qwen2_5_VLProcessor", 14, tower)


def qwen3_vl() -> Made:
    tower = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "out_hidden_size": 32,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    }
    return _qwen("Qwen3VLConfig", "Qwen3VLForConditionalGeneration", "Qwen3VLProcessor", 16, tower)


def _idefics(family: str, stem: str, tile: int, patch: int, scale: int) -> Made:
    tokens = tokenizer()
    images = pil(
        family,
        f"{stem}ImageProcessorPil",
        size={"longest_edge": 3 * tile},
        max_image_size={"longest_edge": tile},
    )
    config = getattr(transformers, f"{stem}Config")(
        vision_config=vision(tile, patch),
        text_config=transformers.LlamaConfig(**text()),
        image_token_id=token(tokens, "image_token"),
        scale_factor=scale,
    )
    with _Unchecked():
        extra = (None,) if stem == "SmolVLM" else ()
        if stem == "SmolVLM":
            module: Any = import_module("transformers.models.smolvlm.processing_smolvlm")
            # The class asks for num2words, which only videos need.
            module.num2words = module.num2words or str
        processor = getattr(transformers, f"{stem}Processor")(
            images, tokens, *extra, image_seq_len=(tile // patch // scale) ** 2
        )
    model = getattr(transformers, f"{stem}ForConditionalGeneration")(config)
    return Made(model, processor)


def idefics3() -> Made:
    return _idefics("idefics3", "Idefics3", 84, 7, 2)


def smolvlm() -> Made:
    return _idefics("smolvlm", "SmolVLM", 64, 8, 2)


def paligemma() -> Made:
    tokens = tokenizer()
    images = pil("siglip", "SiglipImageProcessorPil", size={"height": 112, "width": 112})
    images.image_seq_length = 64
    config = transformers.PaliGemmaConfig(
        vision_config=vision(112, 14, model_type="siglip_vision_model", projection_dim=32, vision_use_head=False),
        text_config=text(model_type="gemma"),
        image_token_index=token(tokens, "image_token"),
        projection_dim=32,
        hidden_size=32,
        vocab_size=2048,
    )
    config.text_config.vocab_size = 2048
    return Made(
        transformers.PaliGemmaForConditionalGeneration(config),
        transformers.PaliGemmaProcessor(images, tokens),
        "<image>describe the image . {caption}",
    )


def gemma3() -> Made:
    tokens = tokenizer()
    images = pil("gemma3", "Gemma3ImageProcessorPil", size={"height": 112, "width": 112})
    config = transformers.Gemma3Config(
        vision_config=vision(112, 7, model_type="siglip_vision_model", vision_use_head=False),
        text_config=text(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=4096),
        mm_tokens_per_image=64,
        boi_token_index=token(tokens, "boi_token"),
        eoi_token_index=token(tokens, "eoi_token"),
        image_token_index=token(tokens, "image_token"),
    )
    return Made(
        transformers.Gemma3ForConditionalGeneration(config),
        transformers.Gemma3Processor(images, tokens, image_seq_length=64),
        "<boi> describe the image . {caption}",
    )


def internvl() -> Made:
    tokens = tokenizer()
    images = pil("got_ocr2", "GotOcr2ImageProcessorPil", size={"height": 64, "width": 64}, max_patches=6)
    config = transformers.InternVLConfig(
        vision_config=vision(64, 8),
        text_config=transformers.Qwen2Config(**text()),
        image_token_id=token(tokens, "context_image_token"),
        image_seq_length=16,
    )
    with _Unchecked():
        processor = transformers.InternVLProcessor(images, tokens, None, image_seq_length=16)
    return Made(
        transformers.InternVLForConditionalGeneration(config),
        processor,
        "<context> describe the image . {caption}",
    )


CAUSAL: dict[str, Callable[[], Made]] = {
    "llava": llava,
    "llava_letterbox": llava_letterbox,
    "llava_next": llava_next,
    "llava_onevision": llava_onevision,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "idefics3": idefics3,
    "smolvlm": smolvlm,
    "paligemma": paligemma,
    "gemma3": gemma3,
    "internvl": internvl,
}


def aya_vision() -> Made:
    tokens = tokenizer()
    named = ["<|IMG_PATCH|>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "TILE", "TILE_GLOBAL"]
    tokens.add_tokens([*named, *(f"_{tile}" for tile in range(9))], special_tokens=True)
    images = pil("got_ocr2", "GotOcr2ImageProcessorPil", size={"height": 56, "width": 56}, max_patches=6)
    config = transformers.AyaVisionConfig(
        vision_config=transformers.SiglipVisionConfig(**vision(56, 7)),
        text_config=transformers.Cohere2Config(**text()),
        image_token_index=tokens.convert_tokens_to_ids(named[0]),
        downsample_factor=2,
    )
    processor = transformers.AyaVisionProcessor(images, tokens, patch_size=7, img_size=56, downsample_factor=2)
    return Made(transformers.AyaVisionForConditionalGeneration(config), processor)


def glm4v() -> Made:
    tokens = tokenizer()
    images = pil("glm4v", "Glm4vImageProcessorPil", size={"shortest_edge": 112 * 112, "longest_edge": 200 * 28 * 28})
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3], "partial_rotary_factor": 1.0}
    tower = vision(336, 14, depth=2, num_heads=2, out_hidden_size=32)
    for name in ("num_hidden_layers", "num_attention_heads"):
        del tower[name]
    config = transformers.Glm4vConfig(
        vision_config=tower,
        text_config=text(rope_parameters=rope),
        image_token_id=token(tokens, "image_token"),
        video_token_id=token(tokens, "video_token"),
        image_start_token_id=token(tokens, "start_image_token"),
        image_end_token_id=token(tokens, "end_image_token"),
    )
    with _Unchecked():
        processor = transformers.Glm4vProcessor(images, tokens, None)
    model = transformers.Glm4vForConditionalGeneration(config)
    return Made(model, processor, "<img> <image> </img> describe the image . {caption}")


UNNAMED: dict[str, Callable[[], Made]] = {"aya_vision": aya_vision, "glm4v": glm4v}
"""Families of which the package knows nothing."""


@cache
def made(name: str) -> Made:
    """Make a model with the same random weights whenever it is asked for."""
    torch.manual_seed(0)
    result = {**CAUSAL, **UNNAMED}[name]()
    ready(result.model)
    return result
