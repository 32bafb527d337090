from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from . import others
from .kit import CAPTIONS, picture, seeded, transformers
from .vlms import CAUSAL, UNNAMED, Made, made, pil, torch

pytest.importorskip("transformers")

from PIL import Image

from attneval import AttnevalError
from attneval.extraction.transformers.adapters import choose_adapter
from attneval.extraction.transformers.check import SelfCheck, check, softmax_layers
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.families.causal import Causal
from attneval.extraction.transformers.places import SQUARE, WHOLE, changed, locate, spread_places
from attneval.extraction.transformers.regions import Boxes, Grid, edges
from attneval.extraction.transformers.states import cell_states

from .wrong_geometries import boxes, transposed, wrong_geometries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from attneval.extraction.transformers.families.base import Adapter
    from attneval.extraction.transformers.regions import Regions

# PaliGemma's processor makes arrays of tensors in a way that numpy will not have one day.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CAPTION = "a man runs on the street ."
SIZES = [(500, 375), (332, 500)]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def adapter_of(found: Made) -> Causal:
    return Causal(found.model, found.processor, Choices(prompt=found.prompt))


def states_of(adapter: Adapter, caption: str = CAPTION) -> Callable[[Image.Image], Any]:
    """States of the cells, run once for every image."""
    known: dict[bytes, Any] = {}

    def states(image: Image.Image) -> Any:
        key = image.tobytes()
        if key not in known:
            known[key] = cell_states(adapter, adapter.prepare(image, [caption]))
        return known[key]

    return states


def checked(found: Made, image: Image.Image, **more: Any) -> SelfCheck:
    return check(found.model, found.processor, image, CAPTION, choices=Choices(prompt=found.prompt), **more)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", CAUSAL)
def test_every_family_passes(name: str, size: tuple[int, int]) -> None:
    result = checked(made(name), picture(*size))
    assert result.passed
    assert result["layers"].numbers == {"captured": 2, "softmax": 2}
    assert result["geometry"].numbers["difference_px"] < 0.5
    assert result["places"].numbers["hits"] == result["places"].numbers["places"] == 8
    assert all(0.05 < mass < 1 for mass in result["rows"].numbers["mass"])
    assert result["text"].numbers == {"tokens": 7, "unknown": 0, "elsewhere": 0}
    assert str(result).splitlines()[2] == "places: ok, 8 of 8 places are followed by the image token that lies there"
    assert result.as_dict()["places"]["passed"] is True


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", UNNAMED)
def test_families_that_nobody_named_pass(name: str, size: tuple[int, int]) -> None:
    result = checked(made(name), picture(*size))
    assert result["layers"].numbers == {"captured": 2, "softmax": 2}
    assert result["places"].numbers["hits"] == 8
    if name == "glm4v":
        assert result["geometry"].text.endswith("by the probe alone, no formula for Glm4vImageProcessorPil")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*CAUSAL, *UNNAMED])
def test_every_mistake_is_caught(name: str, size: tuple[int, int]) -> None:
    found, image = made(name), picture(*size)
    adapter = adapter_of(found)
    states = states_of(adapter)
    right = adapter.regions(image, adapter.prepare(image, [CAPTION]).inputs)
    assert locate(states, image, right).hits.all()
    assert int(locate(states, image, right, WHOLE).hits.sum()) >= 7
    mistakes = wrong_geometries(right, *size)
    assert len(mistakes) >= 3
    for mistake, wrong in mistakes.items():
        for square in (SQUARE, WHOLE):
            located = locate(states, image, wrong, square)
            assert int(located.hits.sum()) <= 4, f"{mistake}: {located}"
            assert not located.passed


def other(name: str) -> tuple[Any, Any]:
    """A model that is not causal, and its processor."""
    if name == "clip":
        # The cells of 16 are so wide that a forgotten crop hardly moves their centres.
        images = pil("clip", "CLIPImageProcessorPil", size={"shortest_edge": 112}, crop_size=112)
        config = others._towers("CLIP", projection_dim=24, vision={"image_size": 112})
        words = others.clip()[1].tokenizer
        return seeded(transformers.CLIPModel, config), transformers.CLIPProcessor(images, words)
    model, processor = getattr(others, name)()
    if name.startswith("blip"):
        # The class begins with patches of nearly nothing.
        model = copy.deepcopy(model)
        torch.manual_seed(0)
        torch.nn.init.normal_(model.vision_model.embeddings.patch_embedding.weight, std=0.05)
    return model, processor


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2", "blip", "blip_caption", "vilt", "flava"])
def test_other_families_pass_and_their_mistakes_are_caught(name: str, size: tuple[int, int]) -> None:
    (model, processor), image, caption = other(name), picture(*size), CAPTIONS[0]
    result = check(model, processor, image, caption)
    assert result["places"].numbers["hits"] == 8
    assert result["geometry"].numbers["difference_px"] < 0.5
    assert result["text"].passed
    if name in {"clip", "siglip", "siglip2"}:
        assert result["layers"].passed is None
        assert result["rows"].numbers == {"mass": None}
    else:
        assert result["layers"].numbers == {"captured": 2, "softmax": 2}
        assert len(result["rows"].numbers["mass"]) == 2
    adapter, _ = choose_adapter(model, processor, Choices())
    states = states_of(adapter, caption)
    right = adapter.regions(image, adapter.prepare(image, [caption]).inputs)
    mistakes = wrong_geometries(right, *size)
    assert len(mistakes) >= 3
    for mistake, wrong in mistakes.items():
        for square in (SQUARE, WHOLE):
            located = locate(states, image, wrong, square)
            assert int(located.hits.sum()) <= 4, f"{mistake}: {located}"


def test_grad_cam_is_placed_by_its_attention() -> None:
    model, processor = other("blip")
    result = check(model, processor, picture(500, 375), CAPTIONS[0], choices=Choices(weights="gradcam"))
    assert result["places"].numbers["hits"] == 8
    assert result["rows"].numbers == {"mass": None}


@pytest.mark.parametrize("name", ["grounding_dino", "owl"])
def test_boxes_of_detectors_have_no_places(name: str) -> None:
    model, processor = other(name)
    result = check(model, processor, picture(500, 375), CAPTIONS[0])
    assert result.passed
    assert str(result["places"]) == "places: does not apply, the regions are boxes that are predicted"
    assert result["text"].passed is (True if name == "grounding_dino" else None)


@pytest.mark.parametrize("name", ["lxmert", "visual_bert"])
def test_boxes_that_are_given_have_no_places(name: str) -> None:
    model, words = other(name)
    regions = others.regions()
    given = {"one": (regions["box"], regions["features"])}
    result = check(model, words, picture(), CAPTIONS[0], boxes=given, image_id="one")
    assert result.passed
    assert result["layers"].numbers == {"captured": 2, "softmax": 2}
    assert str(result["places"]) == "places: does not apply, the regions are boxes that are given"


def test_the_mistakes_are_the_usual_ones() -> None:
    """Each is tried on several families."""
    tried: dict[str, list[str]] = {}
    for name in CAUSAL:
        adapter, image = adapter_of(made(name)), picture(500, 375)
        right = adapter.regions(image, adapter.prepare(image, [CAPTION]).inputs)
        for mistake in wrong_geometries(right, 500, 375):
            tried.setdefault(mistake, []).append(name)
    assert {mistake: len(names) for mistake, names in tried.items()} == {
        "one cell off": 12,
        "row off by one": 12,
        "transposed grid": 12,
        "forgotten crop": 2,
        "2 x 2 block order": 4,
        "mosaic first": 2,
        "thumbnail first": 3,
        "tile order": 3,
    }


class Transposed(Causal):
    """An adapter that reads the grid column by column."""

    def regions(self, image: Image.Image, inputs: Mapping[str, Any]) -> Regions:
        grid = super().regions(image, inputs)
        assert isinstance(grid, Grid)
        return boxes(transposed(grid))


def test_a_wrong_adapter_is_an_error_with_the_numbers() -> None:
    found = made("qwen2_vl")
    with pytest.raises(AttnevalError) as error:
        checked(found, picture(500, 375), adapter=Transposed)
    lines = error.value.message.splitlines()
    assert lines[0] == "the self-check of Qwen2VLForConditionalGeneration failed at places"
    assert lines[1] == "layers: ok, 2 captured of 2 with softmax attention"
    assert lines[2] == "geometry: does not apply, the adapter gives the regions"
    follow = "of 8 places are followed by the image token that lies there; ("
    assert lines[3].startswith(f"places: FAILED, squares of 0.3 cells: 0 {follow}")
    assert lines[4].startswith(f"squares of 0.9 cells: 0 {follow}")
    assert "changed token" in lines[3]
    assert lines[5].startswith("rows: ok, 7 tokens x 88 regions, finite; mass on the image by layer 0: 0.")
    assert lines[6] == "text: ok, 7 tokens spell 'a man runs on the street .'"


def test_an_adapter_that_is_given_is_left_as_it_is() -> None:
    found = made("llava")
    adapter = Causal(found.model, found.processor, Choices(prompt=found.prompt, layers=(1,), heads="all"))
    result = check(found.model, found.processor, picture(500, 375), CAPTION, adapter=adapter)
    assert result["layers"].numbers["captured"] == 2
    assert adapter.choices.layers == (1,)
    assert adapter.channels == []


def test_tokens_of_a_resampler_are_no_cells() -> None:
    """64 tokens that each see the whole image pass for a grid of 8 x 8; their places give them away."""
    mixing = np.random.default_rng(0).normal(size=(64, 60))

    def states(image: Image.Image) -> Any:
        small = np.asarray(image.resize((10, 6), Image.Resampling.BOX), dtype=np.float64)
        return mixing @ small.reshape(60, 3)

    for square in (SQUARE, WHOLE):
        assert not locate(states, picture(500, 500), Grid.covering(500, 500, 8, 8), square).passed


def test_a_caption_in_front_of_the_image_sees_none_of_it() -> None:
    found = made("llava")
    choices = Choices(prompt="{caption} <image>")
    with pytest.raises(
        AttnevalError, match=r"failed at rows\n(.|\n)*14 of 14 rows have none: the caption stands before"
    ):
        check(found.model, found.processor, picture(500, 375), CAPTION, choices=choices)


def test_a_caption_that_the_tokens_do_not_spell() -> None:
    found = made("llava")

    class Shifted(Causal):
        def prepare(self, image: Image.Image, captions: Any, image_id: str = "") -> Any:
            prepared = super().prepare(image, captions, image_id)
            prepared.tokens[0].position[:] -= 1
            return prepared

    message = r"failed at text\n(.|\n)*spell '. a man runs on the street'; 7 stand elsewhere: '.' at 'a', 'a' at 'man'"
    with pytest.raises(AttnevalError, match=message):
        checked(found, picture(500, 375), adapter=Shifted)


def test_unknown_words_are_counted() -> None:
    found = made("llava")
    choices = Choices(prompt=found.prompt)
    caption = "a man on a skateboard in Sao Paulo"
    result = check(found.model, found.processor, picture(500, 375), caption, choices=choices)
    assert result["text"].passed
    assert result["text"].numbers == {"tokens": 8, "unknown": 3, "elsewhere": 0}


def test_layers_that_are_missing() -> None:
    found = made("llava")

    class Halved(Causal):
        def attend(self, prepared: Any) -> Any:
            weights = super().attend(prepared)
            self._channels = self._channels[:1]
            return weights[:, :1]

    with pytest.raises(AttnevalError, match=r"layers: FAILED, 1 captured of 2 with softmax attention, missing \[1\]"):
        checked(found, picture(500, 375), adapter=Halved)


def test_layers_of_a_hybrid_are_those_with_softmax() -> None:
    found = made("gemma3")
    assert softmax_layers(found.model) == [0, 1]
    config = found.model.config.get_text_config()
    kinds = config.layer_types
    try:
        config.layer_types = ["linear_attention", "full_attention"]
        assert softmax_layers(found.model) == [1]
    finally:
        config.layer_types = kinds


def test_half_precision() -> None:
    found = made("qwen2_vl")
    model = type(found.model)(found.model.config).eval()
    model.load_state_dict(found.model.state_dict())
    result = checked(Made(model.to(torch.bfloat16), found.processor, found.prompt), picture(500, 375))
    assert result["places"].numbers["hits"] >= 7


def test_a_model_that_ignores_the_image_hits_nothing() -> None:
    grid = Grid.covering(500, 375, 6, 8)
    located = locate(lambda _image: np.ones((48, 3)), picture(500, 375), grid)
    assert located.tokens.tolist() == [-1] * 8
    assert not located.hits.any()
    assert not located.passed
    assert " changed no token; (" in str(located)


def test_tokens_that_change_with_anything_are_set_aside() -> None:
    """Trained encoders have such outliers; the eight that follow a place are still found."""
    grid = Grid.covering(64, 48, 6, 8)
    reference = picture(64, 48)

    def states(image: Image.Image) -> Any:
        pixels = np.asarray(image, dtype=np.float64).reshape(6, 8, 8, 8, 3)
        cells = pixels.transpose(0, 2, 1, 3, 4).reshape(48, -1) / 255
        outliers = np.zeros_like(cells)
        outliers[[11, 28]] = 100 * (np.asarray(image) != np.asarray(reference)).any()
        return cells + outliers

    assert locate(states, reference, grid).hits.all()


def test_an_encoder_that_a_small_square_does_not_move() -> None:
    """The self-check tries larger squares before it says that the geometry is wrong."""
    found = made("llava")

    class Dull(Causal):
        def prepare(self, image: Image.Image, captions: Any, image_id: str = "") -> Any:
            # Whatever is smaller than a cell is smoothed away.
            small = image.resize((8, 8), Image.Resampling.BOX)
            coarse = np.asarray(small.resize(image.size, Image.Resampling.NEAREST)) // 100 * 100
            return super().prepare(Image.fromarray(coarse), captions, image_id)

    result = checked(found, Image.new("RGB", (500, 500), (60, 60, 60)), adapter=Dull)
    assert result["places"].numbers["square"] == WHOLE
    assert result["places"].text.startswith("squares of 0.3 cells: 0 of 8")


def test_as_many_states_as_cells() -> None:
    with pytest.raises(AttnevalError, match=r"states of shape \(47, 3\) for the 48 cells"):
        locate(lambda _image: np.ones((47, 3)), picture(500, 375), Grid.covering(500, 375, 6, 8))


def test_places_lie_in_whole_cells_of_every_quarter() -> None:
    for grid in (Grid.covering(500, 333, 24, 24), Grid(4, 4, (100.0, 100.0, 50.0, -33.0)), Grid.covering(90, 60, 2, 3)):
        width, height = 500, 333
        places = np.array(spread_places(grid.edges(), width, height))
        assert len(places) == 8
        assert (places[:, :2] >= 0).all()
        assert (places[:, :2] <= [width, height]).all()
        middle = (edges(grid)[:, :2].min(axis=0) + edges(grid)[:, 2:].max(axis=0)) / 2
        if grid.rows > 4:
            quarters = (places[:, :2] > middle).astype(int) @ [1, 2]
            assert np.bincount(quarters).tolist() == [2, 2, 2, 2]
    with pytest.raises(AttnevalError, match="none of 1 cells lies within"):
        spread_places(np.array([[600.0, 0, 700, 100]]), 500, 333)


def test_a_changed_square_is_far_from_what_was_there() -> None:
    before = np.asarray(picture(64, 48)).astype(int)
    after = np.asarray(changed(picture(64, 48), 20, 10, 6)).astype(int)
    assert (np.abs(after - before)[7:13, 17:23].mean(axis=(0, 1)) >= 127).all()
    after[7:13, 17:23] = before[7:13, 17:23]
    assert (after == before).all()


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["llava", "llava_next", "qwen2_vl", "idefics3", "internvl"])
def test_real_images(shared: Path, name: str) -> None:
    adapter = adapter_of(made(name))
    for path in sorted((shared / "images").glob("*.jpg"))[:3]:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        states = states_of(adapter)
        right = adapter.regions(image, adapter.prepare(image, [CAPTION]).inputs)
        assert int(locate(states, image, right).hits.sum()) >= 7
        for mistake, wrong in wrong_geometries(right, *image.size).items():
            assert int(locate(states, image, wrong).hits.sum()) <= 4, mistake


def test_boxes_have_one_mistake() -> None:
    assert list(wrong_geometries(Boxes(np.eye(4, dtype=np.float32)), 9, 9)) == ["one cell off"]
