"""Trials of what can go wrong between a model and its maps, on one image before thousands are exported.

Tiles in another order, a transposed grid, a crop that was forgotten: files with such mistakes are valid. The self-check
asks the model. It says what it measured, and what fails is an error with these numbers.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.adapters import choose_adapter
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.decoders import attention_modules, decoder_of
from attneval.extraction.transformers.families.detector import PhraseDetector
from attneval.extraction.transformers.families.inputs import tokenizer_of
from attneval.extraction.transformers.places import SQUARE, WHOLE, locate
from attneval.extraction.transformers.regions import count
from attneval.extraction.transformers.spelling import spelling
from attneval.extraction.transformers.states import cell_states

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image

    from attneval.extraction.transformers.families.base import Adapter, CaptionMap, Prepared

INNER = ("multimodal_config", "text_config")
"""Parts of a configuration that may hold the layers in which text meets the image."""
PACKAGE = __name__.rpartition(".")[0]


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        name: `layers`, `geometry`, `places`, `rows` or `text`.
        passed: None where it does not apply to the model.
        text: What was measured.
        numbers: The same for programs.
    """

    name: str
    passed: bool | None
    text: str
    numbers: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        verdict = {True: "ok", False: "FAILED", None: "does not apply"}[self.passed]
        return f"{self.name}: {verdict}, {self.text}"


@dataclass(frozen=True)
class SelfCheck:
    """Result of the self-check of a model on one image.

    Attributes:
        findings: What was tried, in order.
    """

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Tell whether nothing failed."""
        return all(finding.passed is not False for finding in self.findings)

    def __getitem__(self, name: str) -> Finding:
        """Return one finding by its name."""
        return next(finding for finding in self.findings if finding.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Return what an export's header says of the check."""
        return {finding.name: {"passed": finding.passed, **finding.numbers} for finding in self.findings}

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def check(
    model: Any,
    processor: Any,
    image: Image,
    caption: str,
    *,
    adapter: Any = None,
    choices: Choices | None = None,
    boxes: Any = None,
    image_id: str = "",
) -> SelfCheck:
    """Try a model's maps out on one image and caption.

    The layers that are captured must be the layers with softmax attention; the probe of the processor and the closed
    formula of its class must agree; of eight changed places most must change the image token that lies there most; the
    rows must be finite and look at the image at all; the tokens must spell the caption.

    Args:
        model: The model.
        processor: Its processor.
        image: An image; one that is not square shows more mistakes.
        caption: A caption of it.
        adapter: An adapter, as in `export`; None to choose one.
        choices: What is to be exported; only the prompt, the rows and the kind of weights matter.
        boxes: Regions by image id, for models that are given regions.
        image_id: The image's id, for such models.

    Returns:
        What was measured.

    Raises:
        AttnevalError: something failed; the message says what, and all numbers.
    """
    # Every layer is wanted, and the mean of its heads will do.
    given = choices or getattr(adapter, "choices", None) or Choices()
    wanted = replace(given, layers="all", heads="mean", over_layers="none")
    chosen, _ = choose_adapter(model, processor, wanted, adapter=adapter, boxes=boxes)
    served = copy.copy(chosen)
    served.choices = wanted
    maps = served.maps(image, [caption], image_id)[0]
    prepared = served.prepare(image, [caption], image_id)
    result = SelfCheck(
        (
            _layers(served),
            _geometry(served, image),
            _places(served, image, caption, image_id),
            _rows(served, maps),
            _text(served, prepared, caption),
        )
    )
    if not result.passed:
        failed = [finding.name for finding in result.findings if finding.passed is False]
        raise AttnevalError(
            f"the self-check of {type(model).__name__} failed at {' and '.join(failed)}\n{result}",
            hint="maps of this model would be wrong; an adapter's columns(), regions() and prompt can put it right",
        )
    return result


def _layers(adapter: Adapter) -> Finding:
    """Compare the captured layers with those that have softmax attention."""
    captured = sorted({layer for layer, _ in adapter.channels if layer >= 0})
    if not captured:
        return Finding("layers", None, "the maps are of no layer")
    expected = softmax_layers(adapter.model)
    numbers = {"captured": len(captured), "softmax": len(expected)}
    text = f"{len(captured)} captured of {len(expected)} with softmax attention"
    if captured != expected:
        missing, beyond = sorted(set(expected) - set(captured)), sorted(set(captured) - set(expected))
        text += f", missing {missing}, beyond {beyond}"
    return Finding("layers", captured == expected, text, numbers)


def softmax_layers(model: Any) -> list[int]:
    """List the layers with softmax attention to the image, by the model's configuration.

    Hybrid models list what each layer is; all layers of others have it.
    """
    config = getattr(decoder_of(model), "config", model.config)
    part = next((getattr(config, name) for name in INNER if getattr(config, name, None) is not None), config)
    kinds = getattr(part, "layer_types", None) or getattr(part, "layers_block_type", None)
    if kinds:
        return [layer for layer, kind in enumerate(kinds) if "attention" in kind and "linear" not in kind]
    number = getattr(part, "x_layers", None) or getattr(part, "num_hidden_layers", None)
    return list(range(number)) if isinstance(number, int) else sorted(attention_modules(model))


def _geometry(adapter: Adapter, image: Image) -> Finding:
    """Say how far the probe and the closed formula of the processor are apart; too far is an error of its own."""
    if not type(adapter).regions.__module__.startswith(PACKAGE):
        return Finding("geometry", None, "the adapter gives the regions")
    image_processor = getattr(adapter.processor, "image_processor", None)
    if image_processor is None or adapter.boxes is not None or adapter.regions_per_caption:
        return Finding("geometry", None, "the regions are boxes")
    width, height = image.size
    try:
        views, difference = adapter.finder().views(width, height)
    except AttnevalError as error:
        return Finding("geometry", passed=False, text=str(error))
    kind = type(image_processor).__name__
    numbers: dict[str, Any] = {"processor": kind, "views": len(views), "difference_px": difference}
    seen = f"{len(views)} view{'s' if len(views) > 1 else ''} of {width} x {height}"
    if difference is None:
        return Finding(
            "geometry", passed=True, text=f"{seen} by the probe alone, no formula for {kind}", numbers=numbers
        )
    return Finding(
        "geometry", passed=True, text=f"{seen}, probe and formula of {kind} {difference:.2f} px apart", numbers=numbers
    )


def _places(adapter: Adapter, image: Image, caption: str, image_id: str) -> Finding:
    """Change eight places of the image and see which image tokens follow."""
    given = adapter.boxes is not None or getattr(adapter.processor, "image_processor", None) is None
    if given or "detector" in adapter.weights_known:
        return Finding("places", None, f"the regions are boxes that are {'given' if given else 'predicted'}")
    regions = adapter.regions(image, adapter.prepare(image, [caption], image_id).inputs)

    def states(shown: Image) -> npt.NDArray[Any]:
        return cell_states(adapter, adapter.prepare(shown, [caption], image_id))

    square, located = SQUARE, locate(states, image, regions)
    text = str(located)
    if not located.passed:
        square, located = WHOLE, locate(states, image, regions, WHOLE)
        text = f"squares of {SQUARE} cells: {text}\nsquares of {WHOLE} cells: {located}"
    hits = int(located.hits.sum())
    numbers = {"hits": hits, "places": len(located.hits), "cells": count(regions), "square": square}
    return Finding("places", located.passed, text, numbers)


def _rows(adapter: Adapter, maps: CaptionMap) -> Finding:
    """Say that the rows are finite, and how much of them lies on the image."""
    tokens, regions = maps.weights.shape[1:]
    if not np.isfinite(maps.weights).all():
        return Finding("rows", passed=False, text=f"{int((~np.isfinite(maps.weights)).sum())} weights are not finite")
    if maps.mass is None:
        return Finding("rows", passed=True, text=f"{tokens} tokens x {regions} regions, finite", numbers={"mass": None})
    mass = [float(value) for value in maps.mass.mean(axis=1)]
    layers = [layer for layer, _ in adapter.channels]
    by_layer = ", ".join(f"{layer}: {value:.3f}" for layer, value in zip(layers, mass, strict=True))
    undefined = int((maps.mass <= 0).sum())
    text = f"{tokens} tokens x {regions} regions, finite; mass on the image by layer {by_layer}"
    if undefined:
        text += f"; {undefined} of {maps.mass.size} rows have none"
    if undefined == maps.mass.size:
        text += ": the caption stands before the image or cannot see it"
    numbers = {"mass": [round(value, 4) for value in mass], "undefined": undefined}
    return Finding("rows", undefined < maps.mass.size, text, numbers)


def _text(adapter: Adapter, prepared: Prepared, caption: str) -> Finding:
    """Decode the caption's tokens."""
    tokenizer = tokenizer_of(adapter.processor)
    ids = prepared.inputs.get("input_ids")
    if ids is None or not hasattr(tokenizer, "decode") or isinstance(adapter, PhraseDetector):
        return Finding("text", None, "rows are no tokens of a tokenizer")
    tokens = prepared.tokens[0]
    chosen = [int(token) for token in ids[0, torch.from_numpy(tokens.position).to(ids.device)]]
    spelled = spelling(tokenizer, chosen, tokens.span.tolist(), caption)
    return Finding("text", spelled.passed, str(spelled), spelled.numbers)
