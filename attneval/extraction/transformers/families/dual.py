"""Dual encoders: text and patches meet in one space, and their cosines are the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.families.base import Adapter, Prepared, Trait, memory_enough
from attneval.extraction.transformers.families.inputs import (
    encode_captions,
    encode_image,
    longest_text,
    on_device,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from attneval.extraction.transformers.regions import Regions


class Dual(Adapter):
    """A text tower and a vision tower: cosines of every token with every patch, signed, as they are.

    Towers with projections (CLIP) are compared behind them; patches go through the last normalisation by hand, which
    the model applies to its class token alone. Towers without (SigLIP) are compared as they come out.
    """

    family = "dual encoder"
    kind = "similarity"
    normalised_over = "none"
    dtype = "float32"
    weights_known = ("similarity",)
    has_layers = False
    score = "similarity of the whole image and the whole caption, as the model scales it"

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs: two towers, a temperature and an image processor."""
        return [
            Trait("text_model", hasattr(model, "text_model")),
            Trait("vision_model", hasattr(model, "vision_model")),
            Trait("logit_scale", hasattr(model, "logit_scale")),
            Trait("a processor with image_processor", getattr(processor, "image_processor", None) is not None),
        ]

    def check_captions(self, captions: Sequence[str]) -> None:
        """Refuse captions that are longer than the text tower."""
        encode_captions(self.processor, captions, self._template(), longest=longest_text(self.model))

    def _template(self) -> str | None:
        return self.choices.prompt or self.prompt

    def about(self) -> dict[str, Any]:
        """Say that the maps are signed, and how their rows are read as attention."""
        return {
            "prompt": self._template() or "{caption}",
            "similarity": "cosine",
            "signed": True,
            "normalize": "minmax",
        }

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the captions and process the image once."""
        encoded, tokens = encode_captions(self.processor, captions, self._template(), longest=longest_text(self.model))
        inputs = on_device(self.model, {**encoded, **encode_image(self.processor, image)})
        return Prepared(inputs, tokens, image, image_id)

    def attend(self, prepared: Prepared) -> Tensor:
        """Compare tokens with patches."""
        inputs = prepared.inputs
        text = self.model.text_model(
            **{name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
        ).last_hidden_state
        patches = self._patches(inputs)
        if hasattr(self.model, "text_projection"):
            text = self.model.text_projection(text)
        text, patches = (states.float() / states.float().norm(dim=-1, keepdim=True) for states in (text, patches))
        cosines = text @ patches.transpose(1, 2)
        longest = max(map(len, prepared.tokens))
        maps = torch.zeros(len(prepared.tokens), 1, longest, patches.shape[1], device=cosines.device)
        for sample, of_sample in enumerate(prepared.tokens):
            maps[sample, 0, : len(of_sample)] = cosines[sample, torch.from_numpy(of_sample.position).to(cosines.device)]
        self._channels = [(-1, -1)]
        return maps

    def scores(self, images: Sequence[Image], caption: str, image_id: str = "") -> list[float]:
        """Compare the caption as a whole with each image as a whole."""
        encoded, _ = encode_captions(self.processor, [caption], self._template(), longest=longest_text(self.model))
        parts = [encode_image(self.processor, image) for image in images]
        together = {name: torch.cat([torch.as_tensor(part[name]) for part in parts]) for name in parts[0]}
        with torch.inference_mode(), memory_enough(1):
            compared = self.model(**on_device(self.model, {**encoded, **together})).logits_per_text
        if compared.shape != (1, len(images)):
            raise AttnevalError(f"image {image_id}: one caption and {len(images)} images have {compared.shape} scores")
        scores: list[float] = compared[0].float().tolist()
        return scores

    def _patches(self, inputs: Mapping[str, Any]) -> Any:
        tower = self.model.vision_model
        if "spatial_shapes" in inputs:
            mask = inputs["pixel_attention_mask"]
            states = tower(inputs["pixel_values"], mask, inputs["spatial_shapes"]).last_hidden_state
            rows, cols = inputs["spatial_shapes"][0].tolist()
            return states[:, : rows * cols]
        states = tower(pixel_values=inputs["pixel_values"]).last_hidden_state
        if hasattr(getattr(tower, "embeddings", None), "class_embedding"):
            states = states[:, 1:]
        if not hasattr(self.model, "visual_projection"):
            return states
        return self.model.visual_projection(tower.post_layernorm(states))

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:  # noqa: ARG002 - the size is enough
        """Place the patches on the image."""
        return self.finder().find(image).regions
