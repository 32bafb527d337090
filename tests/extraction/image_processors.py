"""Real image processors of the PIL backend, one for each way of placing an image."""

from __future__ import annotations

from typing import Any

from .vlms import pil

PAN = {
    "do_pan_and_scan": True,
    "pan_and_scan_min_crop_size": 128,
    "pan_and_scan_max_num_crops": 4,
    "pan_and_scan_min_ratio_to_activate": 1.2,
}
PROCESSORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "clip": ("clip", "CLIPImageProcessorPil", {}),
    "clip of a longest edge": ("clip", "CLIPImageProcessorPil", {"size": {"shortest_edge": 224, "longest_edge": 280}}),
    "siglip": ("siglip", "SiglipImageProcessorPil", {}),
    "siglip2": ("siglip2", "Siglip2ImageProcessorPil", {}),
    "blip": ("blip", "BlipImageProcessorPil", {}),
    "vilt": ("vilt", "ViltImageProcessorPil", {}),
    "flava": ("flava", "FlavaImageProcessorPil", {}),
    "owlvit": ("owlvit", "OwlViTImageProcessorPil", {"size": {"height": 224, "width": 224}}),
    "owlv2": ("owlv2", "Owlv2ImageProcessorPil", {"size": {"height": 240, "width": 240}}),
    "pixtral": ("pixtral", "PixtralImageProcessorPil", {"size": {"longest_edge": 400}}),
    "llava": ("clip", "CLIPImageProcessorPil", {"size": {"shortest_edge": 336}, "crop_size": 336}),
    "llava, letterboxed": (
        "llava",
        "LlavaImageProcessorPil",
        {"size": {"shortest_edge": 336}, "crop_size": 336, "do_pad": True},
    ),
    "llava_next": ("llava_next", "LlavaNextImageProcessorPil", {"size": {"shortest_edge": 336}, "crop_size": 336}),
    "llava_onevision": ("llava_onevision", "LlavaOnevisionImageProcessorPil", {}),
    "qwen2_vl": ("qwen2_vl", "Qwen2VLImageProcessorPil", {}),
    "qwen2_vl, few cells": (
        "qwen2_vl",
        "Qwen2VLImageProcessorPil",
        {"size": {"shortest_edge": 3136, "longest_edge": 60_000}},
    ),
    "qwen3_vl": ("qwen2_vl", "Qwen2VLImageProcessorPil", {"patch_size": 16}),
    "idefics3": ("idefics3", "Idefics3ImageProcessorPil", {"size": {"longest_edge": 728}}),
    "idefics3, not split": ("idefics3", "Idefics3ImageProcessorPil", {"do_image_splitting": False}),
    "smolvlm": (
        "smolvlm",
        "SmolVLMImageProcessorPil",
        {"size": {"longest_edge": 768}, "max_image_size": {"longest_edge": 256}},
    ),
    "gemma3": ("gemma3", "Gemma3ImageProcessorPil", {}),
    "gemma3, pan and scan": ("gemma3", "Gemma3ImageProcessorPil", PAN),
    "internvl": (
        "got_ocr2",
        "GotOcr2ImageProcessorPil",
        {"size": {"height": 224, "width": 224}, "crop_to_patches": True},
    ),
    "internvl, one tile": ("got_ocr2", "GotOcr2ImageProcessorPil", {"size": {"height": 224, "width": 224}}),
}
SIZES = [(500, 375), (500, 333), (332, 500), (640, 427), (301, 97)]


def image_processor(name: str) -> Any:
    family, class_name, settings = PROCESSORS[name]
    return pil(family, class_name, **settings)
