"""What can go wrong between a model and its maps, tried out on one image before thousands are exported.

Tiles in another order, a transposed grid, a crop that was forgotten: files with such mistakes are valid. The self-check
asks the model. It says what it measured, and what fails is an error with these numbers.
"""

from __future__ import annotations

import copy
import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attneval.errors import AttnevalError
from attneval.extraction.transformers.adapters import choose_adapter
from attneval.extraction.transformers.capture import attention_modules, decoder_of
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.families.base import tokenizer_of
from attneval.extraction.transformers.families.causal import Causal
from attneval.extraction.transformers.geometry import CellFinder
from attneval.extraction.transformers.places import locate
from attneval.extraction.transformers.regions import count

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image

    from attneval.extraction.transformers.families.base import Adapter, CaptionMap, Prepared

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
        image: An image, not square if possible: a transposed grid shows in those alone that are not.
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
    expected = softmax_layers(adapter.model) if isinstance(adapter, Causal) else None
    numbers = {"captured": len(captured), "softmax": None if expected is None else len(expected)}
    if expected is None:
        return Finding("layers", None, f"{len(captured)} captured, the family knows how many there are", numbers)
    text = f"{len(captured)} captured of {len(expected)} with softmax attention"
    if captured != expected:
        missing, beyond = sorted(set(expected) - set(captured)), sorted(set(captured) - set(expected))
        text += f", missing {missing}, beyond {beyond}"
    return Finding("layers", captured == expected, text, numbers)


def softmax_layers(model: Any) -> list[int]:
    """List the layers of a decoder that have softmax attention, by its configuration.

    Hybrid models say of each layer what it is in `layer_types`; all layers of others have it.
    """
    config = getattr(decoder_of(model), "config", model.config)
    config = getattr(config, "text_config", None) or config
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return [layer for layer, kind in enumerate(kinds) if "attention" in kind and "linear" not in kind]
    number = getattr(config, "num_hidden_layers", None)
    return list(range(number)) if isinstance(number, int) else sorted(attention_modules(model))


def _geometry(adapter: Adapter, image: Image) -> Finding:
    """Say how far the probe and the closed formula of the processor are apart; too far is an error of its own."""
    if not type(adapter).regions.__module__.startswith(PACKAGE):
        return Finding("geometry", None, "the adapter gives the regions")
    processor = adapter.processor
    image_processor = getattr(processor, "image_processor", None)
    if image_processor is None or adapter.regions_per_caption:
        return Finding("geometry", None, "the regions are boxes")
    width, height = image.size
    try:
        views, difference = CellFinder(processor, adapter.model).views(width, height)
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
    if adapter.regions_per_caption or getattr(adapter.processor, "image_processor", None) is None:
        return Finding("places", None, "the regions are boxes that do not follow from the image's cells")
    regions = adapter.regions(image, adapter.prepare(image, [caption], image_id).inputs)

    def states(shown: Image) -> npt.NDArray[Any]:
        prepared = adapter.prepare(shown, [caption], image_id)
        return entering(adapter, prepared) if isinstance(adapter, Causal) else _reaction(adapter, prepared)

    located = locate(states, image, regions)
    numbers = {"hits": int(located.hits.sum()), "places": len(located.hits), "cells": count(regions)}
    return Finding("places", located.passed, f"{located} followed by the image token that lies there", numbers)


class _Entered(Exception):  # noqa: N818 - it ends a forward pass and is no error
    """The first layer is reached, and the rest of the forward pass is not needed."""


def entering(adapter: Causal, prepared: Prepared) -> npt.NDArray[Any]:
    """Run a model up to its decoder's first layer.

    Returns:
        float32[cells, D], what enters the first layer at the cells, in the order of the regions.
    """
    decoder = decoder_of(adapter.model)
    layers = getattr(decoder, "layers", None)
    first = layers[0] if layers is not None and len(layers) else next(iter(attention_modules(adapter.model).values()))
    kept: list[torch.Tensor] = []

    def stop(_module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        kept.append(given[0] if given else named["hidden_states"])
        raise _Entered

    handle = first.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        with torch.no_grad():
            adapter.model(**prepared.inputs)
    except _Entered:
        pass
    finally:
        handle.remove()
    if not kept:
        raise AttnevalError(f"{type(adapter.model).__name__} never ran the first layer of {type(decoder).__name__}")
    cells = adapter.cells(prepared)[0].to(kept[0].device)
    states: npt.NDArray[Any] = kept[0][0, cells].float().cpu().numpy()
    return states


def _reaction(adapter: Adapter, prepared: Prepared) -> npt.NDArray[Any]:
    """Run a model and see its maps as states of the cells, float64[cells, channels * tokens].

    Weights of attention are compared by their logarithms: what one cell takes from all others is the same for all of
    them, and the mean takes it off.
    """
    with torch.no_grad():
        weights = adapter.attend(prepared)[0].double().cpu().numpy()
    columns: npt.NDArray[Any] = weights.reshape(-1, weights.shape[-1]).T
    if adapter.kind == "attention":
        columns = np.log(np.maximum(columns, 1e-30))
        columns -= columns.mean(axis=0)
    return columns


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
    positions = prepared.tokens[0].position
    ids = prepared.inputs.get("input_ids")
    if ids is None or not hasattr(tokenizer, "decode"):
        return Finding("text", None, "the model is given no token ids")
    chosen = [int(token) for token in ids[0, torch.from_numpy(positions).to(ids.device)]]
    unknown = getattr(tokenizer, "unk_token_id", None)
    decoded = str(tokenizer.decode(chosen))
    # A token that is unknown to the tokenizer spells nothing; the pieces between such tokens must.
    pieces: list[list[int]] = [[]]
    for token in chosen:
        if token == unknown:
            pieces.append([])
        else:
            pieces[-1].append(token)
    words = ".*".join(re.escape(_letters(str(tokenizer.decode(piece)))) for piece in pieces)
    spelled = re.fullmatch(words, _letters(caption)) is not None
    numbers = {"tokens": len(chosen), "unknown": len(pieces) - 1}
    what = f"{len(chosen)} tokens spell {decoded!r}"
    return Finding("text", spelled, what if spelled else f"{what}, the caption is {caption!r}", numbers)


def _letters(text: str) -> str:
    """Keep letters and digits, without case and accents, which tokenizers may drop."""
    return "".join(char for char in unicodedata.normalize("NFKD", text).casefold() if char.isalnum())
