"""Single stream: text and image in one sequence of an encoder that sees all of itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.boxfiles import region_of
from attneval.extraction.transformers.capture import capture
from attneval.extraction.transformers.families.base import Prepared, Trait
from attneval.extraction.transformers.families.cross import CaptionAdapter
from attneval.extraction.transformers.families.inputs import (
    encode_captions,
    encode_image,
    longest_text,
    on_device,
    projecting_modules,
    repeated,
    rows_of,
    takes,
)
from attneval.extraction.transformers.geometry import CellFinder
from attneval.extraction.transformers.regions import Boxes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from attneval.extraction.transformers.regions import Regions


class Joint(CaptionAdapter):
    """Text, then the image's class token, then its patches (ViLT).

    The model shuffles the patches in every forward pass and says how: they are put back in order.
    """

    family = "single-stream encoder"

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs: embeddings that put patches behind the text."""
        embeddings = getattr(getattr(model, "base_model", None), "embeddings", None)
        return [
            Trait("embeddings.visual_embed", callable(getattr(embeddings, "visual_embed", None))),
            Trait("a processor with image_processor", getattr(processor, "image_processor", None) is not None),
        ]

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the captions and process the image once."""
        encoded, tokens = encode_captions(self.processor, captions, self.template(), longest=longest_text(self.model))
        shown = repeated(encode_image(self.processor, image), len(captions))
        return Prepared(on_device(self.model, {**encoded, **shown}), tokens, image, image_id)

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model and put the patches in order."""
        base = self.model.base_model
        length = prepared.inputs["input_ids"].shape[1]
        with _orders(base.embeddings) as orders:
            # How many patches there are is known in the forward pass alone: all columns are taken and then cut.
            with capture(
                base,
                rows=rows_of(prepared.tokens),
                layers=self.choices.wanted_layers,
                modules=projecting_modules(base),
                keep=lambda layer, weights: self.reduced(layer, weights[..., length + 1 :]),
            ) as maps:
                base(**prepared.inputs)
            joined = self.joined(maps)
        places, shape = orders[-1]
        rows, cols = shape
        cell = places[..., 0] * cols + places[..., 1]
        expected = torch.arange(rows * cols, device=cell.device)
        if cell.shape[1] != rows * cols or not bool((cell.sort(1).values == expected).all()):
            raise AttnevalError(
                f"image {prepared.image_id}: the model drops or repeats patches, {cell.shape[1]} of {rows} x {cols}",
                hint="set config.max_image_length to -1",
            )
        place = cell.argsort(1).to(joined.device)
        return joined.gather(3, place[:, None, None].expand(-1, *joined.shape[1:3], -1))

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:  # noqa: ARG002 - the size is enough
        """Place the patches on the image."""
        return self.finder().find(image).regions


@contextmanager
def _orders(embeddings: Any) -> Iterator[list[tuple[Tensor, tuple[int, int]]]]:
    """Listen to `visual_embed`, which is a method and no module, for the order of the patches and their grid."""
    kept: list[tuple[Tensor, tuple[int, int]]] = []
    original = embeddings.visual_embed

    def listening(*given: Any, **named: Any) -> Any:
        result = original(*given, **named)
        rows, cols = (int(number) for number in torch.as_tensor(result[2][1]).reshape(-1, 2)[0])
        kept.append((result[2][0].long(), (rows, cols)))
        return result

    embeddings.visual_embed = listening
    try:
        yield kept
    finally:
        del embeddings.visual_embed


class JointRegions(CaptionAdapter):
    """Text, then regions with features, which were computed elsewhere (VisualBERT).

    The boxes are no input of the model; they come from the file that has the features.
    """

    family = "single-stream encoder over given regions"

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:  # noqa: ARG003 - the tokenizer is enough
        """List what the family needs: a forward pass that is given states of regions."""
        return [Trait("visual_embeds in forward", takes(model.forward, "visual_embeds"))]

    def check_image(self, image_id: str) -> None:
        """Refuse an image without boxes."""
        region_of(self.boxes, image_id, self.model)

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the captions and look the regions up."""
        encoded, tokens = encode_captions(self.processor, captions, self.template(), longest=longest_text(self.model))
        self._box, features = region_of(self.boxes, image_id, self.model)
        ones = torch.ones(1, len(self._box), dtype=torch.long)
        visual = {
            "visual_embeds": torch.from_numpy(features)[None],
            "visual_attention_mask": ones,
            "visual_token_type_ids": ones,
        }
        inputs = on_device(self.model, {**encoded, **repeated(visual, len(captions))})
        return Prepared(inputs, tokens, image, image_id)

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model; regions stand behind the text."""
        base = self.model.base_model
        length = prepared.inputs["input_ids"].shape[1]
        regions = prepared.inputs["visual_embeds"].shape[1]
        with capture(
            base,
            rows=rows_of(prepared.tokens),
            columns=range(length, length + regions),
            layers=self.choices.wanted_layers,
            modules=projecting_modules(base),
            keep=self.reduced,
        ) as maps:
            base(**prepared.inputs)
            return self.joined(maps)

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:  # noqa: ARG002 - the boxes are no input
        """Return the boxes of the regions of the image that was prepared last."""
        return Boxes(self._box)


class JointTowers(CaptionAdapter):
    """The states of an image tower, then those of a text tower, in a multimodal encoder (FLAVA)."""

    family = "multimodal encoder over two towers"

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs: a multimodal encoder behind an image tower and a text tower."""
        return [
            Trait("multimodal_model", hasattr(model, "multimodal_model")),
            Trait("image_model", hasattr(model, "image_model")),
            Trait("text_model", hasattr(model, "text_model")),
            Trait("a processor with image_processor", getattr(processor, "image_processor", None) is not None),
        ]

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Tokenise the captions and process the image once."""
        encoded, tokens = encode_captions(self.processor, captions, self.template(), longest=longest_text(self.model))
        shown = repeated(encode_image(self.processor, image), len(captions))
        return Prepared(on_device(self.model, {**encoded, **shown}), tokens, image, image_id)

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model; before the patches stand the encoder's class token and the image tower's."""
        encoder = self.model.multimodal_model
        start = int(bool(getattr(encoder, "use_cls_token", False)))
        side = self.model.image_model.embeddings.patch_embeddings
        patches = int(getattr(side, "num_patches", 0))
        if not patches:
            raise AttnevalError(f"{type(self.model).__name__} does not say how many patches an image has")
        with capture(
            encoder,
            rows=rows_of(prepared.tokens, shift=-(start + 1 + patches)),
            columns=range(start + 1, start + 1 + patches),
            layers=self.choices.wanted_layers,
            modules=projecting_modules(encoder),
            keep=self.reduced,
        ) as maps:
            self.model(**prepared.inputs)
            return self.joined(maps)

    def finder(self) -> CellFinder:
        """Return what derives the cells; the patch size stands with the image tower."""
        if self._cells is None:
            self._cells = CellFinder(self.processor, self.model, patch=self.model.config.image_config.patch_size)
        return self._cells

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:  # noqa: ARG002 - the size is enough
        """Place the patches on the image."""
        return self.finder().find(image).regions
