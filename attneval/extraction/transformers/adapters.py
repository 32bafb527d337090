"""The adapter that serves a model: the one that is given, an installed one, or the family whose traits it has."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attneval.errors import AttnevalError
from attneval.extraction.transformers.families.base import Adapter
from attneval.extraction.transformers.families.causal import Causal
from attneval.extraction.transformers.families.cross import Cross, CrossRegions
from attneval.extraction.transformers.families.detector import Detector, PhraseDetector
from attneval.extraction.transformers.families.dual import Dual
from attneval.extraction.transformers.families.joint import Joint, JointRegions, JointTowers

if TYPE_CHECKING:
    from attneval.extraction.transformers.choices import Choices
    from attneval.extraction.transformers.families.base import Trait

GROUP = "attneval.adapters"
"""Entry points of this group are named as the model's class or as its `config.model_type`."""

FAMILIES: tuple[type[Adapter], ...] = (
    Detector,
    PhraseDetector,
    Joint,
    JointRegions,
    JointTowers,
    CrossRegions,
    Cross,
    Dual,
    Causal,
)
"""In the order in which they are tried: what a class has beyond the others comes first."""

EXAMPLE = """\
from attneval.extraction import transformers as hf

class MyVLM(hf.Causal):                       # or hf.Dual, hf.Cross, hf.Joint, hf.Detector
    prompt = "<image>\\nDescribe the image. {caption}"
    def columns(self, inputs):                # positions of the cells in the sequence, in the order of the regions
        return inputs["input_ids"] == 32000
    def regions(self, image, inputs):         # cells in pixels: hf.Grid or hf.Boxes
        return hf.Grid.covering(*image.size, 24, 24)"""
"""An adapter in ten lines, for the error that ends the search."""


def choose_adapter(
    model: Any, processor: Any, choices: Choices, *, adapter: Any = None, boxes: Any = None
) -> tuple[Adapter, str]:
    """Choose what serves a model.

    Args:
        model: The model.
        processor: Its processor.
        choices: What is taken from it.
        adapter: A class, an instance, or `module:Class`; None to look.
        boxes: Regions and features by image id, for models that are given regions.

    Returns:
        The adapter, and why it is this one.

    Raises:
        AttnevalError: Nothing serves the model, or the choices do not belong to it.
    """
    if isinstance(adapter, Adapter):
        adapter.check_choices()
        return adapter, "the one given"
    made: type[Adapter]
    if adapter is not None:
        made, why = _loaded(adapter), "the one given"
    elif (installed := _installed(model)) is not None:
        made, why = installed
    else:
        made, why = _family(model, processor)
    chosen = made(model, processor, choices, boxes)
    chosen.check_choices()
    return chosen, why


def _loaded(adapter: Any) -> type[Adapter]:
    if isinstance(adapter, str):
        module, _, name = adapter.partition(":")
        if not module or not name:
            raise AttnevalError(f"adapter {adapter!r} names no class", hint="write module:Class")
        here = str(Path.cwd())
        sys.path.insert(0, here)
        try:
            adapter = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise AttnevalError(f"adapter {module}:{name} cannot be imported ({error})") from error
        finally:
            if here in sys.path:
                sys.path.remove(here)
    if not isinstance(adapter, type) or not issubclass(adapter, Adapter):
        raise AttnevalError(f"adapter {adapter!r} is no class of hf.Causal, hf.Dual, hf.Cross, hf.Joint or hf.Detector")
    return adapter


def _installed(model: Any) -> tuple[type[Adapter], str] | None:
    names = {type(model).__name__, getattr(getattr(model, "config", None), "model_type", None)}
    for entry in entry_points(group=GROUP):
        if entry.name in names:
            return _loaded(entry.load()), f"installed for {entry.name} by {entry.value}"
    return None


def _family(model: Any, processor: Any) -> tuple[type[Adapter], str]:
    tried: list[tuple[type[Adapter], list[Trait]]] = []
    for family in FAMILIES:
        traits = family.traits(model, processor)
        if all(trait.present for trait in traits):
            return family, f"it has {', '.join(trait.name for trait in traits)}"
        tried.append((family, traits))
    lines = [
        f"  {family.family}: lacks {', '.join(trait.name for trait in traits if not trait.present)}"
        for family, traits in tried
    ]
    raise AttnevalError(
        f"{type(model).__name__} belongs to no family that is known\n" + "\n".join(lines),
        hint=f"write an adapter and name it with adapter=:\n\n{EXAMPLE}\n",
    )
