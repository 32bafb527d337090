"""Grounding detectors: regions are the boxes that a model predicts, weights are its scores of boxes by text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.families.base import Adapter, CaptionMap, Prepared, Trait, memory_enough
from attneval.extraction.transformers.families.inputs import (
    encode_captions,
    encode_image,
    encode_prompts,
    on_device,
    repeated,
    rows_of,
)
from attneval.extraction.transformers.regions import Boxes
from attneval.extraction.transformers.text import PLACE, Prompt, Tokens, fill

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from attneval.extraction.transformers.regions import Regions

DOTTED = f"{PLACE} ."
"""Grounding DINO was trained on texts that end with a dot; one that a caption has is enough."""


class _Scores(Adapter):
    """What detectors share: scores between 0 and 1 that sum to nothing."""

    kind = "relevance"
    normalised_over = "none"
    dtype = "float32"
    weights_known = ("detector",)
    has_layers = False
    regions_are_cells = False


class Detector(_Scores):
    """Tokens against predicted boxes, which depend on the caption (Grounding DINO).

    A box's weight for a token is the probability that the model gives. Full stops in a caption cut it into blocks that
    do not see one another.
    """

    family = "grounding detector"
    regions_per_caption = True
    prompt = DOTTED

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs: a text backbone, predicted boxes and an image processor."""
        base = getattr(model, "model", None)
        return [
            Trait("text_backbone", hasattr(base, "text_backbone")),
            Trait("bbox_embed", hasattr(model, "bbox_embed")),
            Trait("a processor with image_processor", getattr(processor, "image_processor", None) is not None),
        ]

    def _encoded(self, captions: Sequence[str]) -> tuple[dict[str, Any], list[Tokens]]:
        chosen = self.choices.prompt
        prompts = [
            Prompt(text, 0, text)
            if chosen is None and text.rstrip().endswith(".")
            else fill(chosen or self.prompt or DOTTED, text)
            for text in captions
        ]
        # The processor would merge a list of texts into one; the tokenizer does not.
        longest = getattr(self.model.config, "max_text_len", None)
        return encode_prompts(self.processor, prompts, longest=longest)

    def check_captions(self, captions: Sequence[str]) -> None:
        """Refuse captions that are longer than the text backbone."""
        self._encoded(captions)

    def about(self) -> dict[str, Any]:
        """Say the prompt, and what the regions are."""
        return {"prompt": self.choices.prompt or self.prompt, "regions": "boxes predicted for each caption"}

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the captions and process the image once."""
        encoded, tokens = self._encoded(captions)
        shown = repeated(encode_image(self.processor, image), len(captions))
        return Prepared(on_device(self.model, {**encoded, **shown}), tokens, image, image_id)

    def _run(self, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """Return scores float32[B, 1, T, Q] and boxes float32[B, Q, 4], centre and size relative to the image."""
        outputs = self.model(**prepared.inputs)
        scores = outputs.logits.float().sigmoid()
        rows = rows_of(prepared.tokens).to(scores.device)
        index = rows.clamp(min=0)[:, None].expand(-1, scores.shape[1], -1)
        chosen = scores.gather(2, index) * (rows >= 0)[:, None]
        self._channels = [(-1, -1)]
        return chosen.transpose(1, 2)[:, None], outputs.pred_boxes.float()

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model; columns are the boxes of each caption."""
        return self._run(prepared)[0]

    def maps(self, image: Image, captions: Sequence[str], image_id: str = "") -> list[CaptionMap]:
        """Run the model on captions of one image, each with its own boxes."""
        prepared = self.prepare(image, captions, image_id)
        with torch.inference_mode(), memory_enough(len(captions)):
            scores, boxes = self._run(prepared)
        return [
            self.stored(scores[row], tokens, Boxes(_corners(boxes[row], *image.size)))
            for row, tokens in enumerate(prepared.tokens)
        ]


def _corners(boxes: Tensor, width: float, height: float) -> NDArray[np.float32]:
    """Turn relative centres and sizes into x1 y1 x2 y2 in pixels."""
    x, y, w, h = boxes.cpu().double().unbind(-1)
    corners = torch.stack([(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height], -1)
    return corners.numpy().astype(np.float32)


class PhraseDetector(_Scores):
    """Whole phrases against predicted boxes, which are the same for all captions (OWL-ViT, OWLv2).

    The queries are the phrases of the annotations, one token each; a caption without annotated phrases is one query.
    """

    family = "open-vocabulary detector of phrases"
    asks_phrases = True

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs: heads for boxes and classes, and an image processor."""
        return [
            Trait("box_head", hasattr(model, "box_head")),
            Trait("class_head", hasattr(model, "class_head")),
            Trait("a processor with image_processor", getattr(processor, "image_processor", None) is not None),
        ]

    def about(self) -> dict[str, Any]:
        """Say what the queries are, and what the regions are."""
        return {
            "prompt": self.choices.prompt or self.prompt or PLACE,
            "queries": "annotated phrases, or whole captions where none are annotated",
            "regions": "boxes predicted for each image",
        }

    def _queries(self, image_id: str, caption: str) -> list[tuple[int, int]]:
        known = self.phrases.get((image_id, caption))
        return sorted(set(known)) if known else [(0, len(caption))]

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the phrases of the captions and process the image once."""
        spans = [self._queries(image_id, caption) for caption in captions]
        texts = [caption[a:b] for caption, of_caption in zip(captions, spans, strict=True) for a, b in of_caption]
        longest = getattr(getattr(self.model.config, "text_config", None), "max_position_embeddings", None)
        encoded, _ = encode_captions(
            self.processor, texts, self.choices.prompt or self.prompt, longest=longest, pad_to_longest=True
        )
        if bool((encoded["input_ids"][:, 0] == 0).any()):
            raise AttnevalError(
                f"image {image_id}: the first token of a query has the id 0, which the model takes for padding",
                hint="use the tokenizer that belongs to the model",
            )
        tokens, start = [], 0
        for of_caption in spans:
            tokens.append(Tokens(np.arange(start, start + len(of_caption)), np.array(of_caption, np.int64)))
            start += len(of_caption)
        inputs = on_device(self.model, {**encoded, **encode_image(self.processor, image)})
        return Prepared(inputs, tokens, image, image_id)

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model once for all phrases."""
        outputs = self.model(**prepared.inputs)
        self._boxes = outputs.pred_boxes[0].float()
        scores = outputs.logits[0].float().sigmoid().T
        longest = max(map(len, prepared.tokens))
        maps = torch.zeros(len(prepared.tokens), 1, longest, scores.shape[1], device=scores.device)
        for sample, of_caption in enumerate(prepared.tokens):
            maps[sample, 0, : len(of_caption)] = scores[torch.from_numpy(of_caption.position).to(scores.device)]
        self._channels = [(-1, -1)]
        return maps

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:
        """Place the boxes of the latest run on the image, through what the processor did to it."""
        if getattr(self, "_boxes", None) is None:
            with torch.inference_mode():
                self._boxes = self.model(**inputs).pred_boxes[0].float()
        [view] = self.finder().views(*image.size)[0]
        sx, sy, tx, ty = view.affine
        boxes = _corners(self._boxes, view.width * sx, view.height * sy)
        return Boxes(boxes + np.array([tx, ty, tx, ty], np.float32))
