"""The work of every family of models: captions of one image in, their maps out."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from attneval.arrays.records import record
from attneval.errors import AttnevalError, ProtocolError
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.geometry import CellFinder
from attneval.extraction.transformers.regions import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from attneval.extraction.transformers.choices import Channel
    from attneval.extraction.transformers.regions import Regions
    from attneval.extraction.transformers.text import Tokens


class Trait(NamedTuple):
    """Something that a family needs of a model, and whether this model has it."""

    name: str
    present: bool


@record
class CaptionMap:
    """The map of one caption.

    Attributes:
        weights: float32[A, T, R], as they are stored.
        mass: float32[A, T], what each row summed to on the regions before it was normalised over them; None where rows
            are not normalised.
        span: int64[T, 2], half-open code points in the caption.
        regions: What the R columns stand for.
        curves: float32[K+1] by name, the scores of perturbed images; None where none were asked for.
    """

    weights: NDArray[np.float32]
    mass: NDArray[np.float32] | None
    span: NDArray[np.int64]
    regions: Regions
    curves: Mapping[str, NDArray[np.float32]] | None = None


NumberedMap = tuple[int, str, CaptionMap]
"""A caption's number within its image, its text and its map."""


@record
class Prepared:
    """Captions of one image as a model takes them.

    Attributes:
        inputs: What the model is called with, on its device.
        tokens: The tokens of each caption.
        image: The image.
        image_id: Its id, for families that look something up by it.
    """

    inputs: dict[str, Any]
    tokens: list[Tokens]
    image: Image
    image_id: str = ""


class Adapter:
    """A model and its processor, and what is taken from them.

    Subclasses say in `traits` what a model must have.

    Attributes:
        family: What the family is called.
        kind: Of the export.
        normalised_over: Of the export.
        dtype: In which weights are stored.
        regions_per_caption: Captions of an image have regions of their own.
        has_layers: Maps are of layers and heads, which are chosen.
        regions_are_cells: Regions are parts of the image that the model is given, and no boxes that it predicts.
        prompt: Text with `{caption}` in it, None for the family's default.
        weights_known: Kinds of weights that the family has, the default first.
        asks_phrases: The family looks for the phrases of the annotations.
        phrases: Spans of the annotated phrases by image id and caption, where they are known.
        score: What the model's own score of an image and a caption is; empty where it has none that is known.

    Args:
        model: The model.
        processor: Its processor, or its tokenizer alone.
        choices: What is taken.
        boxes: Region boxes and features by image id, for models that are given regions.
    """

    family: str = ""
    kind: str = "attention"
    normalised_over: str = "regions"
    dtype: str = "float16"
    regions_per_caption: bool = False
    has_layers: bool = True
    regions_are_cells: bool = True
    prompt: str | None = None
    weights_known: tuple[str, ...] = ("attention",)
    asks_phrases: bool = False
    score: str = ""

    def __init__(self, model: Any, processor: Any, choices: Choices | None = None, boxes: Any = None) -> None:
        self.model, self.processor, self.boxes = model, processor, boxes
        self.choices = Choices() if choices is None else choices
        self.phrases: Mapping[tuple[str, str], Sequence[tuple[int, int]]] = {}
        self._channels: list[Channel] = []
        self._cells: CellFinder | None = None

    @classmethod
    def traits(cls, model: Any, processor: Any) -> list[Trait]:
        """List what the family needs, and what of it a model has."""
        raise NotImplementedError

    def check_choices(self) -> None:
        """Refuse choices that do not belong to the family.

        Raises:
            AttnevalError: One does not.
        """
        wanted = self.choices.weights
        if wanted is not None and wanted not in self.weights_known:
            raise AttnevalError(
                f"weights {wanted!r} do not exist for {type(self.model).__name__} ({self.family})",
                hint=f"it has {' and '.join(self.weights_known)}",
            )
        # All layers and heads of a model that has none are its one map.
        of_layers = {name: getattr(self.choices, name) for name in ("layers", "heads", "over_layers")}
        chosen = [name for name, value in of_layers.items() if value not in {getattr(Choices, name), "all"}]
        if chosen and not self.has_layers:
            what = f"{type(self.model).__name__} ({self.family})"
            raise AttnevalError(f"{' and '.join(chosen)} cannot be chosen: the maps of {what} are of no layer")
        if self.choices.rows != "token":
            raise AttnevalError(
                f"rows {self.choices.rows!r} are for causal models; {type(self.model).__name__} is none ({self.family})"
            )

    def check_image(self, image_id: str) -> None:
        """Refuse an image of which something that the model needs is missing.

        Raises:
            AttnevalError: Its boxes are not known, for models that are given regions.
        """

    def check_captions(self, captions: Sequence[str]) -> None:
        """Refuse captions that are too long, without running the model; nothing where the model takes any length.

        Raises:
            AttnevalError: A caption would be cut off.
        """

    def prepare(self, image: Image, captions: Sequence[str], image_id: str = "") -> Prepared:
        """Turn captions of an image into what the model is called with."""
        raise NotImplementedError

    def attend(self, prepared: Prepared) -> Tensor:
        """Run the model.

        Returns:
            float32[B, A, T, R], not normalised, in the order of the captions; tokens beyond a caption's own are zeros.
        """
        raise NotImplementedError

    def regions(self, image: Image, inputs: Mapping[str, Any]) -> Regions:
        """Place the columns on the image.

        Args:
            image: The original image.
            inputs: What the model was called with for captions of this image.
        """
        raise NotImplementedError

    def finder(self) -> CellFinder:
        """Return what derives the cells of images; sizes that were met before are remembered."""
        if self._cells is None:
            self._cells = CellFinder(self.processor, self.model)
        return self._cells

    @property
    def channels(self) -> list[Channel]:
        """Layer and head of each channel; known when the model has been run."""
        return self._channels

    def maps(self, image: Image, captions: Sequence[str], image_id: str = "") -> list[CaptionMap]:
        """Run the model on captions of one image.

        Raises:
            AttnevalError: A caption is cut off, or the regions are not as many as the columns.
        """
        prepared = self.prepare(image, captions, image_id)
        with torch.inference_mode(), memory_enough(len(captions)):
            weights = self.attend(prepared)
        regions = self.regions(image, prepared.inputs)
        if count(regions) != weights.shape[-1]:
            raise AttnevalError(
                f"image {image_id}: the model attends to {weights.shape[-1]} places, and there are {count(regions)} "
                "regions",
                hint="columns() and regions() of the adapter must go together",
            )
        return [self.stored(weights[row], tokens, regions) for row, tokens in enumerate(prepared.tokens)]

    def stored(self, weights: Tensor, tokens: Tokens, regions: Regions) -> CaptionMap:
        """Cut a caption's rows, and normalise them if the family's maps are normalised.

        Args:
            weights: float32[A, T, R] with at least the caption's tokens.
            tokens: Its tokens.
            regions: What the columns stand for.
        """
        rows = weights[:, : len(tokens)].float().cpu().numpy().astype(np.float64)
        if not np.isfinite(rows).all():
            raise AttnevalError("the model gives weights that are not finite", hint="try --dtype float32")
        if self.normalised_over != "regions":
            return CaptionMap(rows.astype(np.float32), None, tokens.span, regions)
        mass = rows.sum(-1).astype(np.float32)
        # A row without any mass is undefined: zeros, which normalising would make NaN.
        share = np.where(mass[..., None] > 0, rows, 0) / np.where(mass > 0, mass, 1)[..., None]
        return CaptionMap(share.astype(np.float32), mass, tokens.span, regions)

    def scores(self, images: Sequence[Image], caption: str, image_id: str = "") -> list[float]:
        """Score a caption with each of several images of one size, higher where they fit.

        Args:
            images: The images.
            caption: The caption.
            image_id: The image that they were made of.

        Raises:
            AttnevalError: The model cannot score them.
        """
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """Say what the header says of the family's own choices."""
        return {}

    def reduced(self, layer: int, weights: Tensor) -> Tensor:
        """Reduce one layer's float[B, H, T, R] over its heads as chosen."""
        heads = self.choices.heads
        if heads == "mean":
            return weights.mean(1, keepdim=True)
        if heads == "max":
            return weights.amax(1, keepdim=True)
        if heads == "all":
            return weights
        chosen = [head for number, head in heads if number == layer]
        if (largest := max(chosen)) >= weights.shape[1]:
            raise ProtocolError(f"layer {layer} has no head {largest}", hint=f"it has {weights.shape[1]} heads, from 0")
        return weights[:, chosen]

    def joined(self, layers: Mapping[int, Tensor]) -> Tensor:
        """Put layers that `reduced` has been over together as channels, and remember which is which.

        Returns:
            float32[B, A, T, R].
        """
        heads = self.choices.heads
        # Layers of a model that is spread over devices come from several.
        device = next(iter(layers.values())).device
        parts = {layer: weights.to(device) for layer, weights in layers.items()}
        if isinstance(heads, tuple):
            place = {layer: [head for number, head in heads if number == layer] for layer in parts}
            channels = list(heads)
            chosen = [parts[layer][:, place[layer].index(head)] for layer, head in heads]
            joined = torch.stack(chosen, 1)
        else:
            single = heads != "all"
            channels = [
                (layer, -1 if single else head) for layer, part in parts.items() for head in range(part.shape[1])
            ]
            joined = torch.cat(list(parts.values()), 1)
        if self.choices.over_layers == "mean":
            if heads == "all":
                shapes = {part.shape[1] for part in parts.values()}
                if len(shapes) > 1:
                    raise AttnevalError(f"layers have {sorted(shapes)} heads: they have no mean head by head")
                joined = torch.stack(list(parts.values()), 0).mean(0)
                channels = [(-1, head) for head in range(joined.shape[1])]
            else:
                joined, channels = joined.mean(1, keepdim=True), [(-1, -1)]
        self._channels = channels
        return joined.float()


@contextmanager
def memory_enough(captions: int) -> Iterator[None]:
    """Turn a lack of a GPU's memory into a refusal; captions of a batch are then tried one by one.

    Raises:
        AttnevalError: There is too little.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise AttnevalError(
            f"the GPU's memory is too small for {captions} captions of an image at once", hint="try --batch-size 1"
        ) from error
