from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("PIL")

from PIL import Image

from attneval import AttnevalError
from attneval.extraction.transformers.cells import cell_side, mosaic
from attneval.extraction.transformers.geometry import CellFinder, derive, geometry, image_tokens
from attneval.extraction.transformers.regions import Boxes, Grid, boxes, count, edges
from attneval.extraction.transformers.views import View

from .image_processors import image_processor
from .vlms import CAUSAL, llava_onevision, made, pil

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# PaliGemma's processor makes arrays of tensors in a way that numpy will not have one day.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def blank(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height))


def patched(patch: int, **more: Any) -> Any:
    """A model that has a configuration and nothing else."""
    return SimpleNamespace(config=SimpleNamespace(vision_config=SimpleNamespace(patch_size=patch), **more))


def test_clip_sees_the_central_square_alone() -> None:
    grid = geometry(image_processor("clip"), blank(500, 333), model=patched(16))
    assert isinstance(grid, Grid)
    assert (grid.rows, grid.cols) == (14, 14)
    # 500 x 333 becomes 336 x 224, of which columns 56 to 280 are left.
    assert grid.affine == pytest.approx((16 * 500 / 336, 16 * 333 / 224, 56 * 500 / 336, 0))
    assert edges(grid)[[0, -1]][:, [0, 2]].ravel()[[0, -1]] == pytest.approx([83.3, 416.7], abs=0.05)


def test_an_upright_image_loses_its_top_and_bottom() -> None:
    (x1, y1, x2, y2) = edges(geometry(image_processor("clip"), blank(332, 500), patch=224))[0]
    # 332 x 500 becomes 224 x 337, of which rows 56 to 280 are left.
    assert (x1, y1, x2, y2) == pytest.approx((0, 56 * 500 / 337, 332, 280 * 500 / 337))


@pytest.mark.parametrize(
    ("name", "patch", "size", "grid"),
    [
        ("siglip", 14, (500, 333), Grid.covering(500, 333, 16, 16)),
        ("siglip2", 16, (500, 333), Grid.covering(500, 333, 13, 19)),
        ("siglip2", 16, (332, 500), Grid.covering(332, 500, 19, 13)),
        ("blip", 16, (500, 375), Grid.covering(500, 375, 24, 24)),
        ("vilt", 32, (500, 333), Grid.covering(500, 333, 12, 18)),
        ("vilt", 32, (332, 500), Grid.covering(332, 500, 18, 12)),
    ],
)
def test_whole_images_squashed(name: str, patch: int, size: tuple[int, int], grid: Grid) -> None:
    assert geometry(image_processor(name), blank(*size), model=patched(patch)) == grid


def test_pixels_that_no_cell_takes() -> None:
    """384 is no multiple of 14: 27 cells of 14 px leave 6 px at the right and at the bottom."""
    grid = geometry(
        pil("siglip", "SiglipImageProcessorPil", size={"height": 384, "width": 384}), blank(768, 384), patch=14
    )
    assert grid == Grid(27, 27, (28.0, 14.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        # Shortest edge 112, hence 168 x 112 and a crop of columns 28 to 140.
        ("llava", (500, 333), [Grid(8, 8, (14 * 500 / 168, 14 * 333 / 112, 28 * 500 / 168, 0.0))]),
        # A square of 500 px with the image from row 83 on.
        ("llava_letterbox", (500, 333), [Grid(8, 8, (500 / 8, 500 / 8, 0.0, -83.0))]),
        # 332 x 500 in cells of 28 px: 11.9 and 17.9, too many for 100 cells.
        ("qwen2_vl", (332, 500), [Grid.covering(332, 500, 12, 8)]),
        ("qwen3_vl", (500, 375), [Grid.covering(500, 375, 8, 11)]),
        ("paligemma", (500, 333), [Grid.covering(500, 333, 8, 8)]),
        ("gemma3", (332, 500), [Grid.covering(332, 500, 8, 8)]),
        # 252 x 168 px are 3 x 2 tiles of 84 px, each of 6 x 6 cells; then the whole image.
        (
            "idefics3",
            (500, 333),
            [
                *(
                    Grid(6, 6, (500 / 18, 333 / 12, col * 500 / 3, row * 333 / 2))
                    for row in range(2)
                    for col in range(3)
                ),
                Grid.covering(500, 333, 6, 6),
            ],
        ),
        # 1.5 is 3 : 2, six tiles of 4 x 4 cells; then the thumbnail.
        (
            "internvl",
            (500, 333),
            [
                *(
                    Grid(4, 4, (500 / 12, 333 / 8, col * 500 / 3, row * 333 / 2))
                    for row in range(2)
                    for col in range(3)
                ),
                Grid.covering(500, 333, 4, 4),
            ],
        ),
        # 112 x 112 is the best canvas: the image is 112 x 75 there, 18 rows of padding above it and 19 below. The model
        # drops 3 of 16 rows of 7 px at the top and at the bottom.
        (
            "llava_next",
            (500, 333),
            [
                Grid.covering(500, 333, 8, 8),
                Grid(10, 16, (7 * 500 / 112, 7 * 333 / 75, 0.0, (3 * 7 - 18) * 333 / 75)),
            ],
        ),
    ],
)
def test_cells_of_causal_models(name: str, size: tuple[int, int], expected: list[Grid]) -> None:
    found = made(name)
    regions = geometry(found.processor, blank(*size), model=found.model)
    assert edges(regions) == pytest.approx(edges(expected), abs=1e-6)
    assert isinstance(regions, Grid) is (len(expected) == 1)


@pytest.mark.parametrize("size", [(500, 375), (500, 333), (332, 500)])
@pytest.mark.parametrize("name", CAUSAL)
def test_cells_are_as_many_as_the_image_tokens(name: str, size: tuple[int, int]) -> None:
    found = made(name)
    token = found.processor.tokenizer.convert_ids_to_tokens(found.model.config.image_token_id)
    text = found.prompt.format(caption="a man")
    inputs = found.processor(text=text, images=blank(*size), return_tensors="pt")
    tokens = int((inputs["input_ids"] == found.model.config.image_token_id).sum())
    result = derive(found.processor, blank(*size), model=found.model)
    assert len(result.cells) == tokens, token
    assert count(result.regions) == result.cells.sum()
    assert result.source == "formula"
    assert result.difference is not None
    assert result.difference < 0.5
    given = derive(found.processor, blank(*size), tokens=tokens)
    assert np.array_equal(boxes(given.regions, *size), boxes(result.regions, *size)), "the count may be given"
    assert derive(found.processor, blank(*size)).source == "formula", "the processor alone will do"


def test_newlines_of_a_mosaic_are_no_cells() -> None:
    found = made("llava_next")
    result = derive(found.processor, blank(500, 333), model=found.model)
    assert np.flatnonzero(~result.cells).tolist() == [64 + 16 + 17 * row for row in range(10)]


def test_a_mosaic_with_gaps_between_its_tiles() -> None:
    """64 px hold 9 cells of 7 px; the 64th pixel of every tile is in no cell."""
    found = llava_onevision(patch=7)
    regions = geometry(found.processor, blank(500, 333), model=found.model)
    assert isinstance(regions, Boxes)
    # 192 x 128 is the best canvas, and the image is 192 x 128 there.
    cells = regions.array[81:].reshape(18, 27, 4)
    scale = 500 / 192
    assert cells[0, 8, [0, 2]] == pytest.approx([56 * scale, 63 * scale])
    assert cells[0, 9, [0, 2]] == pytest.approx([64 * scale, 71 * scale])
    assert regions.array[80] == pytest.approx([56 * 500 / 64, 56 * 333 / 64, 63 * 500 / 64, 63 * 333 / 64])


def test_a_mosaic_that_is_shrunk() -> None:
    found = llava_onevision(most=2)
    result = derive(found.processor, blank(500, 333), model=found.model)
    assert isinstance(result.regions, list)
    mosaic_grid = result.regions[1]
    # 16 x 24 cells for at most 2 x 64: by sqrt(3) to 9 x 13.
    assert (mosaic_grid.rows, mosaic_grid.cols) == (9, 13)
    assert edges(mosaic_grid)[-1, 2:] == pytest.approx([500, 333], rel=0.01)
    assert len(result.cells) == 64 + 9 * 14


WHOLE = View(64, 64, (5.0, 5.0, 0.0, 0.0))


def test_the_rule_of_integer_cells() -> None:
    assert cell_side([WHOLE], 64) == 8
    assert cell_side([WHOLE] * 3, 3 * 16) == 16
    assert cell_side([View(384, 384, (1.0, 1.0, 0.0, 0.0))], 729) == 14, "384 = 27 * 14 + 6"
    with pytest.raises(AttnevalError, match="no grid of square cells gives 65 image tokens in 64 x 64 at"):
        cell_side([WHOLE], 65)
    with pytest.raises(AttnevalError, match="no grid"):
        cell_side([WHOLE] * 3, 64)
    with pytest.raises(AttnevalError, match="no grid"):
        cell_side([WHOLE], 0)
    with pytest.raises(AttnevalError, match="no grid"):
        cell_side([WHOLE, View(64, 32, (1.0, 1.0, 0.0, 0.0))], 64)


def test_a_mosaic_of_another_number_of_tokens_is_refused() -> None:
    with pytest.raises(AttnevalError, match="0 sizes of cells give 101 image tokens for a mosaic of 1 tiles"):
        mosaic([WHOLE, WHOLE], 101, 320, 320, None)


class Shifted(pil("clip", "CLIPImageProcessorPil").__class__):  # type: ignore[misc]
    """Crops 20 pixels beside the centre."""

    def center_crop(self, image: np.ndarray[Any, Any], size: Any, **_more: Any) -> np.ndarray[Any, Any]:
        left = (image.shape[-1] - size.width) // 2 + 20
        return image[:, : size.height, left : left + size.width]


def test_a_processor_of_no_known_class_is_probed_alone() -> None:
    result = derive(Shifted(), blank(500, 333), patch=16)
    assert (result.source, result.difference) == ("probe", None)
    assert isinstance(result.regions, Grid)
    assert result.regions.affine[2] == pytest.approx(76 * 500 / 336, abs=0.3)


def test_a_processor_that_does_not_follow_its_class_is_refused() -> None:
    Shifted.__name__ = "CLIPImageProcessor"
    try:
        with pytest.raises(
            AttnevalError,
            match=r"CLIPImageProcessor disagree on an image of 500 x 333 by 29.\d px: probe 224 x 224 at \(113.\d, .*"
            r"formula 224 x 224 at \(83.3,",
        ):
            geometry(Shifted(), blank(500, 333), patch=16)
    finally:
        Shifted.__name__ = "Shifted"


def test_what_is_not_known_is_asked_for() -> None:
    with pytest.raises(AttnevalError, match=r"knows no patch size.*pass model=, patch= or tokens="):
        geometry(image_processor("clip"), blank(50, 33))
    with pytest.raises(AttnevalError, match="names no image token"):
        image_tokens(SimpleNamespace())
    assert image_tokens(SimpleNamespace(image_token_id=4, image_token_ids=[None, 9])) == [4, 9]
    assert image_tokens(
        SimpleNamespace(image_token_id=4), SimpleNamespace(config=SimpleNamespace(image_token_id=7))
    ) == [7]


def test_a_processor_that_wants_more_text_is_probed_by_its_image_processor() -> None:
    found = made("internvl")

    class Wordy:
        image_token = "<img>"  # noqa: S105 - a placeholder
        image_processor = found.processor.image_processor
        tokenizer = found.processor.tokenizer
        _merge_kwargs = found.processor._merge_kwargs

        def __call__(self, text: str, **_more: Any) -> Any:
            raise ValueError(text)

    result = derive(Wordy(), blank(500, 333), model=found.model, tokens=7 * 16)
    assert len(result.views) == 7, "the processor's own settings count"
    assert result.regions == geometry(found.processor, blank(500, 333), model=found.model)
    with pytest.raises(AttnevalError, match="Wordy does not take '<img>' for a whole text"):
        derive(Wordy(), blank(500, 333), model=found.model)


def test_a_size_is_derived_once() -> None:
    calls = []

    def squash(images: Image.Image, return_tensors: str) -> Mapping[str, Any]:
        calls.append(images.size)
        return {"pixel_values": np.asarray(images.resize((32, 32))).transpose(2, 0, 1)[None]}

    finder = CellFinder(squash, patch=8)
    first = finder.find(blank(64, 48))
    assert calls == [(64, 48)] * 3
    assert finder.find(blank(64, 48)) is first
    assert len(calls) == 3
    assert finder.find(blank(48, 64)).regions != first.regions


def test_what_a_call_overrides_counts() -> None:
    found = made("internvl")
    one = derive(found.processor, blank(500, 333), model=found.model, crop_to_patches=False)
    assert isinstance(one.regions, Grid)
    assert len(one.views) == 1
    found = made("gemma3")
    crops: dict[str, Any] = {
        "do_pan_and_scan": True,
        "pan_and_scan_min_crop_size": 64,
        "pan_and_scan_max_num_crops": 3,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    }
    several = derive(found.processor, blank(500, 333), model=found.model, **crops)
    assert [grid.affine[2] for grid in several.regions] == [0, 0, 250]  # type: ignore[union-attr]


@pytest.mark.realdata
def test_real_images(shared: Path) -> None:
    found = made("llava_next")
    finder = CellFinder(found.processor, found.model)
    for path in sorted((shared / "images").glob("*.jpg"))[:12]:
        with Image.open(path) as image:
            result = finder.find(image)
            placed = boxes(result.regions, *image.size)
        area = (placed[:, 2] - placed[:, 0]) * (placed[:, 3] - placed[:, 1])
        # The whole image once, and once more in the mosaic but for what is cut off with the padding.
        assert area[:64].sum() == pytest.approx(image.width * image.height, rel=1e-3)
        assert 0.85 < area[64:].sum() / (image.width * image.height) <= 1.001
