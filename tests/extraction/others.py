"""Tiny models of the families that are no causal models, with their real processors."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .kit import seeded, tokenizer, transformers, vision_config


def _encoder(**given: Any) -> dict[str, Any]:
    """Sizes of a BERT-like encoder."""
    return {
        "vocab_size": 420,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 96,
        "pad_token_id": 0,
        **given,
    }


def _towers(name: str, **given: Any) -> Any:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2}
    return getattr(transformers, f"{name}Config")(
        text_config={**sizes, "vocab_size": 420, "max_position_embeddings": 77, "pad_token_id": 0, "eos_token_id": 2},
        vision_config={**sizes, "image_size": 56, "patch_size": 14, **given.pop("vision", {})},
        **given,
    )


@functools.cache
def clip() -> tuple[Any, Any]:
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})
    words = tokenizer("clip", begin=True, end=True, padding_side="right")
    return seeded(transformers.CLIPModel, _towers("CLIP", projection_dim=24)), transformers.CLIPProcessor(images, words)


@functools.cache
def siglip() -> tuple[Any, Any]:
    images = transformers.SiglipImageProcessorPil(size={"height": 56, "width": 56})
    words = tokenizer("unigram", end=True, padding_side="right", model_input_names=["input_ids"], model_max_length=77)
    return seeded(transformers.SiglipModel, _towers("Siglip")), transformers.SiglipProcessor(images, words)


@functools.cache
def siglip2() -> tuple[Any, Any]:
    images = transformers.Siglip2ImageProcessorPil(patch_size=16, max_num_patches=24)
    words = tokenizer("unigram", end=True, padding_side="left", model_input_names=["input_ids"], model_max_length=77)
    config = _towers("Siglip2", vision={"num_patches": 16, "patch_size": 16})
    return seeded(transformers.Siglip2Model, config), transformers.Siglip2Processor(images, words)


@functools.cache
def blip() -> tuple[Any, Any]:
    images = transformers.BlipImageProcessorPil(size={"height": 56, "width": 56})
    words = tokenizer("wordpiece", begin=True, end=True, padding_side="right")
    config = transformers.BlipConfig(
        text_config=_encoder(encoder_hidden_size=16, bos_token_id=1, eos_token_id=2),
        vision_config=vision_config("BlipVision").to_dict(),
        image_text_hidden_size=16,
    )
    return seeded(transformers.BlipForImageTextRetrieval, config, scale=1.0, spread=0.3), transformers.BlipProcessor(
        images, words
    )


@functools.cache
def blip_caption() -> tuple[Any, Any]:
    _, processor = blip()
    config = transformers.BlipConfig(
        text_config=_encoder(encoder_hidden_size=16, bos_token_id=1, eos_token_id=2, sep_token_id=2),
        vision_config=vision_config("BlipVision").to_dict(),
    )
    return seeded(transformers.BlipForConditionalGeneration, config, scale=1.0, spread=0.3), processor


@functools.cache
def vilt() -> tuple[Any, Any]:
    images = transformers.ViltImageProcessorPil(size={"shortest_edge": 64}, size_divisor=16)
    words = tokenizer("wordpiece", begin=True, end=True, padding_side="right")
    config = transformers.ViltConfig(
        **_encoder(), image_size=64, patch_size=16, max_image_length=-1, modality_type_vocab_size=2
    )
    return seeded(transformers.ViltModel, config), transformers.ViltProcessor(images, words)


@functools.cache
def flava() -> tuple[Any, Any]:
    from transformers.models.flava.image_processing_pil_flava import FlavaImageProcessorPil

    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2}
    config = transformers.FlavaConfig(
        image_config={**sizes, "image_size": 56, "patch_size": 14},
        text_config=_encoder(),
        multimodal_config=sizes,
        hidden_size=32,
        projection_dim=32,
    )
    images = FlavaImageProcessorPil(size={"height": 56, "width": 56}, crop_size={"height": 56, "width": 56})
    words = tokenizer("wordpiece", begin=True, end=True, padding_side="right")
    return seeded(transformers.FlavaModel, config), transformers.FlavaProcessor(images, words)


def regions(count: int = 6, size: int = 12, *, width: int = 90, height: int = 60) -> dict[str, Any]:
    """Boxes and features of an image, as a detector leaves them."""
    rng = np.random.default_rng(3)
    low = rng.uniform(0, 0.5, (count, 2))
    high = low + rng.uniform(0.2, 0.5, (count, 2))
    box = np.concatenate([low, high], 1) * [width, height, width, height]
    return {"box": box.astype(np.float32), "features": rng.normal(size=(count, size)).astype(np.float32)}


@functools.cache
def lxmert(features: int = 12) -> tuple[Any, Any]:
    config = transformers.LxmertConfig(
        **{key: value for key, value in _encoder().items() if key not in {"num_hidden_layers", "pad_token_id"}},
        l_layers=1,
        x_layers=2,
        r_layers=1,
        visual_feat_dim=features,
        visual_pos_dim=4,
    )
    return seeded(transformers.LxmertModel, config), tokenizer("wordpiece", begin=True, end=True, padding_side="right")


@functools.cache
def visual_bert() -> tuple[Any, Any]:
    config = transformers.VisualBertConfig(**_encoder(), visual_embedding_dim=12)
    words = tokenizer("wordpiece", begin=True, end=True, padding_side="right")
    return seeded(transformers.VisualBertModel, config), words


@functools.cache
def grounding_dino(name: str = "GroundingDino") -> tuple[Any, Any]:
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

    backbone = transformers.SwinConfig(
        image_size=64,
        patch_size=4,
        embed_dim=16,
        depths=[1, 1, 1],
        num_heads=[2, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3"],
    )
    config = getattr(transformers, f"{name}Config")(
        backbone_config=backbone,
        text_config=transformers.BertConfig(**_encoder(max_position_embeddings=300)),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        num_queries=9,
        num_feature_levels=3,
        encoder_n_points=2,
        decoder_n_points=2,
    )
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 110})
    words = tokenizer("wordpiece", begin=True, end=True, padding_side="right")
    model = seeded(getattr(transformers, f"{name}ForObjectDetection"), config, scale=1.0, spread=0.2)
    return model, transformers.GroundingDinoProcessor(images, words)


@functools.cache
def owl(name: str = "OwlViT") -> tuple[Any, Any]:
    module = name.lower()
    images = getattr(
        __import__(f"transformers.models.{module}.image_processing_pil_{module}", fromlist=["x"]),
        f"{name}ImageProcessorPil",
    )(size={"height": 56, "width": 56})
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2}
    config = getattr(transformers, f"{name}Config")(
        text_config={**sizes, "vocab_size": 420, "max_position_embeddings": 64, "pad_token_id": 0},
        vision_config={**sizes, "image_size": 56, "patch_size": 14},
        projection_dim=32,
    )
    words = tokenizer("clip", begin=True, end=True, padding_side="right")
    model = seeded(getattr(transformers, f"{name}ForObjectDetection"), config, scale=2.0)
    return model, getattr(transformers, f"{name}Processor")(images, words)
