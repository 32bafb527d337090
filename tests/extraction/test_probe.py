from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("PIL")

from PIL import Image

from attneval import AttnevalError
from attneval.extraction.transformers.formulas import KINDS, formula
from attneval.extraction.transformers.geometry import CellFinder
from attneval.extraction.transformers.probe import probe
from attneval.extraction.transformers.views import View, largest_difference

from .image_processors import PROCESSORS, SIZES, image_processor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", PROCESSORS)
def test_probe_and_formula_agree(name: str, size: tuple[int, int]) -> None:
    _, difference = CellFinder(image_processor(name)).views(*size)
    assert difference is not None
    assert difference < 0.5


@pytest.mark.parametrize("size", [(500, 375), (332, 500)])
@pytest.mark.parametrize("name", [name for name in PROCESSORS if "qwen" not in name and name != "siglip2"])
def test_a_bright_spot_is_where_the_views_say(name: str, size: tuple[int, int]) -> None:
    """The slow way: look for a spot in every view. Shares nothing with the probe."""
    processor = image_processor(name)
    views, _ = CellFinder(processor).views(*size)
    width, height = size
    seen = 0
    for x, y in [(0.35, 0.45), (0.55, 0.3), (0.62, 0.71)]:
        picture = np.zeros((height, width, 3), dtype=np.uint8)
        left, top = int(x * width), int(y * height)
        picture[top - 8 : top + 8, left - 8 : left + 8] = 255
        pixels = [
            np.asarray(processor(images=Image.fromarray(image), return_tensors="np")["pixel_values"])
            for image in (picture, np.zeros_like(picture))
        ]
        spots = (pixels[0] - pixels[1]).reshape(-1, 3, *pixels[0].shape[-2:])[:, 1].clip(0)
        assert len(spots) == len(views)
        for spot, view in zip(spots, views, strict=True):
            sx, sy, tx, ty = view.affine
            edge = spot.copy()
            edge[4:-4, 4:-4] = 0
            # A spot that a tile's edge cuts has its centre elsewhere.
            if spot.max() < 1 or edge.max() > 0.05 * spot.max():
                continue
            rows, cols = np.indices(spot.shape) + 0.5
            centre = sx * np.average(cols, weights=spot) + tx, sy * np.average(rows, weights=spot) + ty
            assert centre == pytest.approx((left, top), abs=0.75)
            seen += 1
    assert seen >= 3


def unknown(place: Callable[[Image.Image], Any]) -> Callable[[Image.Image], Mapping[str, Any]]:
    """A processor of no class: whatever is done to the image, normalised with odd numbers."""

    def process(image: Image.Image) -> Mapping[str, Any]:
        pixels = np.asarray(place(image), dtype=np.float64)
        return {"pixel_values": ((pixels / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4]).transpose(2, 0, 1)[None]}

    return process


def letterboxed(image: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (120, 120), (114, 114, 114))
    canvas.paste(image.resize((100, 60)), (7, 31))
    return canvas


def test_a_letterbox_of_no_known_class() -> None:
    (view,) = probe(unknown(letterboxed), 500, 300, {})
    assert (view.height, view.width) == (120, 120)
    assert view.affine == pytest.approx((5, 5, -35, -155), abs=0.3)


def test_a_resized_crop_of_no_known_class() -> None:
    (view,) = probe(unknown(lambda image: image.crop((40, 60, 440, 260)).resize((100, 100))), 500, 300, {})
    assert view.affine == pytest.approx((4, 2, 40, 60), abs=0.3)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (lambda image: image.rotate(90, expand=True).resize((64, 64)), "no resized part"),
        (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((64, 64)), "no resized part"),
        (lambda image: image.transpose(Image.Transpose.TRANSPOSE).resize((64, 64)), "no resized part"),
        (lambda image: image.rotate(12).resize((64, 64)), "no resized part|too little"),
        (lambda _image: Image.new("RGB", (64, 64)), "too little of the image to be placed: 0 of 4096"),
        (lambda image: image.resize((64, 64)).crop((0, 0, 5, 64)), "too little"),
        (lambda image: image.resize((64 + image.getpixel((9, 9))[0] // 64, 64)), "other shapes"),
    ],
)
def test_what_is_no_resized_part_is_refused(place: Callable[[Image.Image], Any], message: str) -> None:
    with pytest.raises(AttnevalError, match=message):
        probe(unknown(place), 500, 300, {})


def test_patches_unfolded_in_another_order_are_refused() -> None:
    processor = image_processor("qwen2_vl")
    finder = CellFinder(processor)
    assert finder.settings["merge_size"] == 2
    with pytest.raises(AttnevalError, match="no resized part"):
        probe(finder._process, 500, 375, {**finder.settings, "merge_size": 1})
    with pytest.raises(AttnevalError, match=r"do not fit image_grid_thw \[\[1, 26, 36\]\] and patches of 16 px"):
        probe(finder._process, 500, 375, {**finder.settings, "patch_size": 16})


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"flattened_patches": np.zeros((1, 9, 9))}, "no pixel_values but flattened_patches"),
        ({"pixel_values": np.zeros((1, 4, 9, 9))}, r"shape \(1, 4, 9, 9\) are no views"),
        ({"pixel_values": np.zeros((1, 9, 11)), "spatial_shapes": np.array([[3, 3]])}, "do not fit spatial_shapes"),
    ],
)
def test_outputs_that_hold_no_views(output: dict[str, Any], message: str) -> None:
    with pytest.raises(AttnevalError, match=message):
        probe(lambda _image: output, 30, 20, {})


def test_tiles_that_form_no_picture_are_refused() -> None:
    processor = image_processor("llava_next")
    finder = CellFinder(processor)

    def shuffled(image: Image.Image) -> Mapping[str, Any]:
        pixels = finder._process(image)["pixel_values"]
        return {"pixel_values": pixels[:, [0, 3, 1, 4, 2]]}

    with pytest.raises(AttnevalError, match="4 tiles of the processor form no picture"):
        probe(shuffled, 500, 375, finder.settings)


def test_views_of_another_number_are_infinitely_far_apart() -> None:
    view = View(10, 10, (1.0, 1.0, 0.0, 0.0))
    assert largest_difference([view], [view, view], 9, 9) == float("inf")
    shifted = View(10, 10, (1.0, 1.0, 0.25, -3.0))
    assert largest_difference([view], [shifted], 100, 100) == 3.0
    assert largest_difference([view], [shifted], 9, 9) == 2.0, "what lies beyond the image does not count"


def test_formulas_know_classes_without_the_ending_of_their_backend() -> None:
    settings = {"size": {"height": 8, "width": 8}, "do_resize": True}
    for ending in ("", "Pil", "Fast"):
        assert formula(f"SiglipImageProcessor{ending}", 16, 8, settings, []) == (View(8, 8, (2.0, 1.0, 0.0, 0.0)),)
    assert formula("MyImageProcessor", 16, 8, settings, []) is None
    assert all(not kind.endswith(("Pil", "Fast")) for kind in KINDS)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["llava_next", "qwen2_vl", "internvl"])
def test_sizes_of_real_images(shared: Path, name: str) -> None:
    finder = CellFinder(image_processor(name))
    sizes = set()
    for path in sorted((shared / "images").glob("*.jpg"))[:12]:
        with Image.open(path) as image:
            sizes.add(image.size)
    assert len(sizes) >= 5
    for size in sizes:
        difference = finder.views(*size)[1]
        assert difference is not None
        assert difference < 0.5
