"""Cross-attention: a text model looks at the states of a vision model, or at regions that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.errors import AttnevalError, ProtocolError
from attneval.extraction.transformers.boxfiles import region_of
from attneval.extraction.transformers.capture import capture
from attneval.extraction.transformers.crossing import crossing_modules, text_part
from attneval.extraction.transformers.families.base import Adapter, Prepared, Trait
from attneval.extraction.transformers.families.inputs import (
    encode_captions,
    encode_image,
    longest_text,
    on_device,
    repeated,
    rows_of,
    takes,
)
from attneval.extraction.transformers.gradcam import gradcam
from attneval.extraction.transformers.maps import listed
from attneval.extraction.transformers.regions import Boxes
from attneval.extraction.transformers.weights import take

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from attneval.extraction.transformers.choices import Choices
    from attneval.extraction.transformers.regions import Regions


class CaptionAdapter(Adapter):
    """Families whose text is the caption alone, or in a few words of a prompt."""

    def check_captions(self, captions: Sequence[str]) -> None:
        """Refuse captions that are longer than the text model."""
        encode_captions(self.processor, captions, self.template(), longest=longest_text(self.model))

    def template(self) -> str | None:
        """Return the prompt with `{caption}` in it, None for the caption alone."""
        return self.choices.prompt or self.prompt

    def about(self) -> dict[str, Any]:
        """Say the prompt."""
        return {"prompt": self.template() or "{caption}"}


class Cross(CaptionAdapter):
    """A text encoder or decoder with cross-attention to the patches of a vision tower (BLIP and its like).

    The class token of the tower is no region: its share is what is missing from the mass of a row. With
    `weights="gradcam"` the weights are multiplied by the positive part of the gradient of the matching score.
    """

    family = "cross-attention model"
    weights_known = ("attention", "gradcam")

    def __init__(self, model: Any, processor: Any, choices: Choices | None = None, boxes: Any = None) -> None:
        super().__init__(model, processor, choices, boxes)
        if self.choices.weights == "gradcam":
            self.kind, self.normalised_over, self.dtype = "relevance", "none", "float32"

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs: a vision tower, and cross-attention in a text encoder or decoder."""
        return [
            Trait("vision_model", hasattr(model, "vision_model")),
            Trait("crossattention modules in text_encoder or text_decoder", bool(crossing_modules(model))),
            Trait("a processor with image_processor", getattr(processor, "image_processor", None) is not None),
        ]

    def check_choices(self) -> None:
        """Refuse what the family does not have, and Grad-CAM without a score to take the gradient of."""
        super().check_choices()
        if self.choices.weights == "gradcam" and not hasattr(self.model, "itm_head"):
            raise AttnevalError(
                f"{type(self.model).__name__} has no itm_head, whose score Grad-CAM takes the gradient of",
                hint="load the class for image-text retrieval",
            )

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the captions and process the image once."""
        encoded, tokens = encode_captions(self.processor, captions, self.template(), longest=longest_text(self.model))
        inputs = on_device(self.model, {**encoded, **encode_image(self.processor, image)})
        return Prepared(inputs, tokens, image, image_id)

    def states(self, inputs: Mapping[str, Any]) -> tuple[Tensor, int]:
        """Run the vision tower.

        Returns:
            Its states for every caption, and how many of them come before the patches.
        """
        tower = self.model.vision_model
        states = tower(pixel_values=inputs["pixel_values"]).last_hidden_state
        extra = int(hasattr(getattr(tower, "embeddings", None), "class_embedding"))
        return states.expand(len(inputs["input_ids"]), -1, -1), extra

    def attend(self, prepared: Prepared) -> Tensor:
        """Run both towers and keep the captions' rows on the patches."""
        if self.choices.weights == "gradcam":
            return gradcam(self, prepared)
        states, extra = self.states(prepared.inputs)
        with capture(
            text_part(self.model),
            rows=rows_of(prepared.tokens),
            columns=range(extra, states.shape[1]),
            layers=self.choices.wanted_layers,
            modules=crossing_modules(self.model),
            keep=self.reduced,
        ) as maps:
            self.read(prepared.inputs, states)
            return self.joined(maps)

    def read(self, inputs: Mapping[str, Any], states: Tensor) -> Any:
        """Run the text part over the states [B, S, D] of the vision tower."""
        part = text_part(self.model)
        named: dict[str, Any] = {
            "input_ids": inputs["input_ids"],
            "attention_mask": inputs["attention_mask"],
            "encoder_hidden_states": states,
            "encoder_attention_mask": torch.ones(states.shape[:2], dtype=torch.long, device=states.device),
        }
        if takes(part.forward, "use_cache"):
            named["use_cache"] = False
        return part(**named)

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:  # noqa: ARG002 - the size is enough
        """Place the patches on the image."""
        return self.finder().find(image).regions


class CrossRegions(CaptionAdapter):
    """Text that looks at regions with features, which were computed elsewhere (LXMERT).

    The features and boxes are in a file: the processor does not know them.
    """

    family = "cross-attention model over given regions"

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:  # noqa: ARG003 - the tokenizer is enough
        """List what the family needs: a forward pass that is given features and places of regions."""
        return [
            Trait("visual_feats in forward", takes(model.forward, "visual_feats")),
            Trait("visual_pos in forward", takes(model.forward, "visual_pos")),
        ]

    def check_image(self, image_id: str) -> None:
        """Refuse an image without boxes."""
        region_of(self.boxes, image_id, self.model)

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the captions and look the regions up."""
        encoded, tokens = encode_captions(self.processor, captions, self.template(), longest=longest_text(self.model))
        box, features = region_of(self.boxes, image_id, self.model)
        scale = np.array([*image.size, *image.size], np.float32)
        visual = {
            "visual_feats": torch.from_numpy(features)[None],
            "visual_pos": torch.from_numpy(box / scale)[None],
        }
        inputs = on_device(self.model, {**encoded, **repeated(visual, len(captions))})
        return Prepared(inputs, tokens, image, image_id)

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model, whose two directions share modules: the weights from text to regions come from its output."""
        base = self.model.base_model
        outputs = base(**prepared.inputs, output_attentions=True)
        every = dict(enumerate(outputs.cross_encoder_attentions or ()))
        wanted = self.choices.wanted_layers or tuple(every)
        if unknown := [layer for layer in wanted if layer not in every]:
            raise ProtocolError(
                f"{type(self.model).__name__} has no cross-attention of layers {listed(unknown)}",
                hint=f"its layers with cross-attention are {listed(every)}",
            )
        rows = rows_of(prepared.tokens)
        return self.joined({layer: self.reduced(layer, take(every[layer].float(), rows, 2)) for layer in wanted})

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:
        """Return the boxes that the model was given."""
        width, height = image.size
        scale = np.array([width, height, width, height], np.float32)
        return Boxes(inputs["visual_pos"][0].float().cpu().numpy() * scale)
