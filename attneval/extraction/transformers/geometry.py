"""The cells of an image in pixels, derived twice.

The probe tells how the processor places the image; where the processor's class has a closed formula, both must agree
within a pixel and the formula's exact numbers are taken. The number of image tokens then decides the grid of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attneval.errors import AttnevalError
from attneval.extraction.transformers.cells import cell_side, grids, mosaic
from attneval.extraction.transformers.formulas import formula
from attneval.extraction.transformers.probe import probe
from attneval.extraction.transformers.regions import Regions, count
from attneval.extraction.transformers.views import View, largest_difference, views_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

TOLERANCE = 1.0
"""Pixels that probe and formula may lie apart; in images of more than 3,000 pixels a 3,000th of the longer side."""

SETTINGS = (
    "crop_size",
    "crop_to_patches",
    "do_center_crop",
    "do_image_splitting",
    "do_pad",
    "do_pan_and_scan",
    "do_resize",
    "image_grid_pinpoints",
    "max_image_size",
    "max_patches",
    "merge_size",
    "min_patches",
    "pan_and_scan_max_num_crops",
    "pan_and_scan_min_crop_size",
    "pan_and_scan_min_ratio_to_activate",
    "patch_size",
    "size",
    "size_divisor",
    "temporal_patch_size",
)
"""Attributes of an image processor that probe and formulas read."""


@dataclass(frozen=True)
class Geometry:
    """The cells of one image and how they were found.

    Attributes:
        regions: The cells in the order of the image tokens.
        cells: bool[image tokens], False for a token that is no cell (a newline).
        views: What the processor makes of the image.
        source: "formula", or "probe" where the processor's class has no formula.
        difference: Largest distance of probe and formula in pixels of the image; None without a formula.
    """

    regions: Regions
    cells: npt.NDArray[np.bool_]
    views: tuple[View, ...]
    source: str
    difference: float | None


def geometry(
    processor: Any, image: Image, *, model: Any = None, tokens: int | None = None, patch: int | None = None, **call: Any
) -> Regions:
    """Find the cells of an image in pixels.

    Args:
        processor: A processor or an image processor of transformers, or anything that is called like one.
        image: The image, as it is given to the processor; only its size matters.
        model: The model; its configuration knows the image token or the patch size, where the processor does not.
        tokens: Number of image tokens of the image; counted when it is not given and the processor takes text.
        patch: Side of a cell in pixels of the view, for models without image tokens; read off the model by default.
        call: What the processor is called with besides the image and the text.

    Returns:
        A grid, grids in the order of the image tokens, or boxes; newline tokens are left out.

    Raises:
        AttnevalError: probe and formula disagree, or no grid of integer cells fits.
    """
    return derive(processor, image, model=model, tokens=tokens, patch=patch, **call).regions


def derive(
    processor: Any, image: Image, *, model: Any = None, tokens: int | None = None, patch: int | None = None, **call: Any
) -> Geometry:
    """Find the cells of an image, and say how; `geometry` with its evidence. Arguments and errors are the same."""
    return CellFinder(processor, model, patch=patch, **call).find(image, tokens)


class CellFinder:
    """Geometry of many images of one processor; each size is derived once.

    Args:
        processor: As in `geometry`.
        model: As in `geometry`.
        patch: As in `geometry`.
        call: As in `geometry`.
    """

    def __init__(self, processor: Any, model: Any = None, *, patch: int | None = None, **call: Any) -> None:
        self.processor = processor
        self.image_processor = getattr(processor, "image_processor", processor)
        self.model = model
        self.patch = patch if patch is not None else _patch_of(model)
        self.call = call
        self._defaults = _defaults(processor, call)
        self.settings = {
            name: call.get(name, self._defaults.get(name, getattr(self.image_processor, name, None)))
            for name in SETTINGS
        }
        self._views: dict[tuple[int, int], tuple[tuple[View, ...], float | None]] = {}
        self._by_size: dict[tuple[int, int, int | None], Geometry] = {}

    def find(self, image: Image, tokens: int | None = None) -> Geometry:
        """Find the cells of an image.

        Args:
            image: The image.
            tokens: Number of its image tokens, newlines among them; counted when it is not given and can be.
        """
        width, height = image.size
        if tokens is None and _placeholder(self.processor) is not None:
            tokens = self._count_tokens(image)
        key = (width, height, tokens)
        if key not in self._by_size:
            self._by_size[key] = self._derive(width, height, tokens)
        return self._by_size[key]

    def views(self, width: int, height: int) -> tuple[tuple[View, ...], float | None]:
        """Derive the views of images of one size.

        Returns:
            The views, and the largest distance of probe and formula in pixels, None without a formula.
        """
        key = (width, height)
        if key not in self._views:
            self._views[key] = self._views_of(width, height)
        return self._views[key]

    def _views_of(self, width: int, height: int) -> tuple[tuple[View, ...], float | None]:
        probed = probe(self._process, width, height, self.settings)
        kind = type(self.image_processor).__name__
        shapes = [(view.height, view.width) for view in probed]
        exact = formula(kind, width, height, self.settings, shapes)
        if exact is None:
            return probed, None
        difference = largest_difference(probed, exact, width, height)
        if difference > max(TOLERANCE, max(width, height) / 3000):
            raise AttnevalError(
                f"probe and formula of {kind} disagree on an image of {width} x {height} by {difference:.1f} px: probe "
                f"{views_text(probed)}, formula {views_text(exact)}",
                hint="the processor does not follow its class; give regions() in an adapter",
            )
        return exact, difference

    def _derive(self, width: int, height: int, tokens: int | None) -> Geometry:
        views, difference = self.views(width, height)
        source = "probe" if difference is None else "formula"
        pinpoints = self.settings.get("image_grid_pinpoints")
        if tokens is None:
            if self.patch is None:
                raise AttnevalError(
                    f"{type(self.processor).__name__} gives no image tokens to count and knows no patch size",
                    hint="pass model=, patch= or tokens=",
                )
            regions = grids(views, self.patch)
        elif pinpoints and len(views) > 1:
            ratio = getattr(self.processor, "vision_aspect_ratio", None)
            regions, cells = mosaic(views, tokens, width, height, _most_tiles(ratio))
            return Geometry(regions, cells, views, source, difference)
        else:
            regions = grids(views, cell_side(views, tokens))
        return Geometry(regions, np.ones(count(regions), dtype=bool), views, source, difference)

    def _process(self, image: Image) -> Mapping[str, Any]:
        """Run an image through the processor, the way a caption's image goes, and return arrays."""
        text = _placeholder(self.processor)
        call = {"images": image, "return_tensors": "pt", **self.call}
        if text is None:
            output = self.image_processor(**call)
        else:
            try:
                output = self.processor(text=text, **call)
            except (TypeError, ValueError, IndexError, KeyError, AttributeError):
                # A processor may want more than the placeholder; the pixels do not depend on the text.
                output = self.image_processor(**{**self._defaults, **call})
        return {name: _array(value) for name, value in output.items()}

    def _count_tokens(self, image: Image) -> int:
        output = self._process(image)
        if "input_ids" not in output:
            raise AttnevalError(
                f"{type(self.processor).__name__} does not take {_placeholder(self.processor)!r} for a whole text",
                hint="pass tokens=, the number of image tokens",
            )
        ids = np.asarray(output["input_ids"]).reshape(-1)
        return max(int((ids == token).sum()) for token in image_tokens(self.processor, self.model))


def image_tokens(processor: Any, model: Any = None) -> list[int]:
    """List the ids that may stand for a cell: the model's, or failing that the processor's."""
    config = getattr(model, "config", None)
    known = getattr(config, "image_token_id", None)
    if known is not None:
        return [int(known)]
    tokenizer = getattr(processor, "tokenizer", None)
    several = getattr(processor, "image_token_ids", None) or []
    candidates = [getattr(processor, "image_token_id", None), *several, getattr(tokenizer, "image_token_id", None)]
    ids = sorted({int(token) for token in candidates if token is not None})
    if not ids:
        raise AttnevalError(
            f"{type(processor).__name__} names no image token", hint="pass tokens=, the number of image tokens"
        )
    return ids


def _most_tiles(ratio: Any) -> int | None:
    """Read the number off OneVision's "anyres_max_9"."""
    prefix = "anyres_max_"
    return int(ratio.removeprefix(prefix)) if isinstance(ratio, str) and ratio.startswith(prefix) else None


def _placeholder(processor: Any) -> str | None:
    """Return the text that stands for one image, or None if the processor takes no text with it."""
    token = getattr(processor, "image_token", None)
    return token if isinstance(token, str) and getattr(processor, "image_processor", None) is not None else None


def _patch_of(model: Any) -> int | None:
    """Read the patch size off a model's configuration."""
    config = getattr(model, "config", None)
    for holder in (getattr(config, "vision_config", None), config):
        size = getattr(holder, "patch_size", None)
        if isinstance(size, int):
            return size
    return None


def _defaults(processor: Any, call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read what a processor calls its image processor with."""
    merge = getattr(processor, "_merge_kwargs", None)
    if merge is None:
        return {}
    tokenizer = getattr(processor, "tokenizer", None)
    merged = merge(tokenizer_init_kwargs=getattr(tokenizer, "init_kwargs", {}), **call)
    defaults: Mapping[str, Any] = merged.get("images_kwargs", {})
    return defaults


def _array(value: Any) -> Any:
    """Return a tensor as an array; what is none stays as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
