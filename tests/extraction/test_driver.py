"""Exports from images and annotations to a file that validates and is scored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from annotations import annotation, thing, write_entities

pytest.importorskip("transformers")

from attneval import Options, Protocol, score
from attneval.errors import AttnevalError
from attneval.export.read.reader import find_problems, open_export
from attneval.extraction import transformers as hf
from attneval.extraction.transformers.regions import Grid
from attneval.groundtruth import open_ground_truth

from . import others, vlms
from .kit import llava, picture, seeded, text_config, tokenizer, torch, transformers, vision_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SENTENCES = "[/EN#1/people A man] rides [/EN#2/vehicles a red bicycle] .\nThe street .\n"
MORE = "[/EN#1/animals Two dogs] play in [/EN#2/scene a café 's garden] .\n"


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of four images and their annotations."""
    images = tmp_path / "images"
    images.mkdir()
    made = {}
    for number, (width, height) in enumerate([(100, 80), (80, 100), (120, 60), (60, 60)]):
        picture(width, height, seed=number).save(images / f"{number + 10}.{'png' if number % 2 else 'jpg'}")
        things = thing("1", (1, 1, width // 2, height)), thing("2", (width // 2, 1, width, height))
        boxes = annotation(*things, width=width, height=height)
        made[str(number + 10)] = (boxes, MORE if number % 2 else SENTENCES)
    return images, write_entities(tmp_path / "gt", made)


def about(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        found: dict[str, Any] = json.loads(file["format"].tobytes())
    return found


def assert_good(path: Path, gt: Path, **fields: Any) -> Any:
    problems, _ = find_problems(path)
    assert problems == []
    return score(path, gt=gt, protocol=Protocol(overlap="center", **fields), options=Options(resamples=0))


def test_a_causal_model_from_images_to_a_score(world: tuple[Path, Path], tmp_path: Path) -> None:
    images, gt = world
    said: list[str] = []
    told: list[tuple[int, int]] = []
    target = tmp_path / "maps.npz"
    model, processor = llava()
    done = hf.export(
        model,
        processor,
        hf.pairs(images, gt),
        target,
        heads="all",
        shard_images=3,
        say=said.append,
        tell=lambda *numbers: told.append(numbers),
    )
    assert (done.path, done.skipped, done.resumed) == (target, (), 0)
    assert told[-1] == (6, 6)
    assert not target.with_name("maps.npz.parts").exists()
    assert "2 layers x 4 heads = 8 channels x 16 regions" in said[1]
    assert said[2].startswith("6 captions of 4 images, about 12 kB of float16")
    assert assert_good(target, gt)["f1"] > 0
    export = open_export(target)
    assert export.image_id == ["10", "11", "12", "13"]
    assert export.regions.grid_affine is not None
    header = about(target)
    expected = {
        "class": "LlavaForConditionalGeneration",
        "family": "causal vision-language model",
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "implementation": "sdpa",
        "model_dtype": "float32",
        "rows": "token",
        "layers": "all",
        "heads": "all",
        "over_layers": "none",
        "prompt": "USER: <image>\nDescribe the image.</s>ASSISTANT: {caption}",
        "processor": "LlavaProcessor",
        "normalised_over": "regions",
    }
    assert {name: header[name] for name in expected} == expected
    assert header["processor_settings"]["crop_size"] == {"height": 56, "width": 56}
    assert header["self_check"]["image"] == "10"
    assert header["adapter"].endswith("causal:Causal")


def test_shards_that_are_there_are_not_made_again(
    world: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, gt = world
    model, processor = llava()
    target, whole = tmp_path / "maps.npz", tmp_path / "whole.npz"
    source = hf.pairs(images, gt)
    hf.export(model, processor, source, whole, check=False)
    given: dict[str, Any] = {"shard_images": 1, "check": False}

    def stop(done: int, _total: int) -> None:
        if done > 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hf.export(model, processor, source, target, tell=stop, **given)
    parts = target.with_name("maps.npz.parts")
    assert not target.exists()
    assert sorted(path.name for path in parts.glob("*.npz")) == ["00000.npz", "00001.npz"]
    before = (parts / "00000.npz").stat().st_mtime_ns
    with pytest.raises(AttnevalError, match="shards of another export: aggregation, heads differ"):
        hf.export(model, processor, source, target, heads="max", **given)
    with pytest.raises(AttnevalError, match="shards of another export: images differ"):
        hf.export(model, processor, hf.pairs(images, gt, limit=3), target, **given)
    assert (parts / "00000.npz").stat().st_mtime_ns == before
    said: list[str] = []
    done = hf.export(model, processor, source, target, say=said.append, **given)
    assert done.resumed == 2
    assert "2 of 4 shards were there already" in said
    with np.load(target) as one, np.load(whole) as two:
        assert set(one) == set(two)
        assert all(np.array_equal(one[name], two[name]) for name in one if name != "format")
        assert one["format"].tobytes() == two["format"].tobytes()


def test_captions_are_tried_one_by_one_where_memory_is_short(
    world: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, gt = world
    model, processor = others.clip()
    attend, sizes = hf.Dual.attend, []

    def short(self: Any, prepared: Any) -> Any:
        sizes.append(len(prepared.tokens))
        if len(prepared.tokens) > 1:
            raise torch.cuda.OutOfMemoryError
        return attend(self, prepared)

    monkeypatch.setattr(hf.Dual, "attend", short)
    hf.export(model, processor, hf.pairs(images, gt), tmp_path / "maps.npz", check=False)
    assert 2 in sizes
    assert len(open_export(tmp_path / "maps.npz").caption_image) == 6
    monkeypatch.setattr(hf.Dual, "attend", lambda *_: (_ for _ in ()).throw(torch.cuda.OutOfMemoryError()))
    with pytest.raises(AttnevalError, match="memory is too small for 1 captions"):
        hf.export(model, processor, hf.pairs(images, gt), tmp_path / "maps.npz", check=False)


def test_what_the_self_check_measured_does_not_keep_shards_from_being_used(
    world: tuple[Path, Path], tmp_path: Path
) -> None:
    images, gt = world
    model, processor = others.clip()

    def stop(done: int, _total: int) -> None:
        if done > 3:
            raise ZeroDivisionError

    given = (model, processor, hf.pairs(images, gt), tmp_path / "maps.npz")
    with pytest.raises(ZeroDivisionError):
        hf.export(*given, shard_images=1, tell=stop)
    assert hf.export(*given, shard_images=1, check=False).resumed == 2


def test_sizes_are_said_before_and_too_much_is_refused(world: tuple[Path, Path], tmp_path: Path) -> None:
    images, gt = world
    model, processor = llava()
    target = tmp_path / "maps.npz"
    said: list[str] = []
    done = hf.export(model, processor, hf.pairs(images, gt), target, dry_run=True, say=said.append)
    assert (done.path, len(said)) == (None, 3)
    assert list(tmp_path.glob("maps*")) == []
    with pytest.raises(AttnevalError, match=r"of weights are to come, the limit is 100 bytes; .*--yes"):
        hf.export(model, processor, hf.pairs(images, gt), target, limit=100)
    assert list(tmp_path.glob("maps*")) == []
    # The sizes are those that come: two bytes a weight, and mass beside them.
    hf.export(model, processor, hf.pairs(images, gt), target, limit=None, check=False)
    with np.load(target) as file:
        actual = file["attention"].nbytes
    assert abs(done.plan.size - actual) < 0.25 * actual


def test_what_cannot_be_exported_is_listed_or_left_out(world: tuple[Path, Path], tmp_path: Path) -> None:
    images, gt = world
    (images / "11.png").write_bytes(b"no image")
    picture(50, 50).save(images / "12.jpg")
    model, processor = others.clip()
    target = tmp_path / "maps.npz"
    with pytest.raises(AttnevalError) as caught:
        hf.export(model, processor, hf.pairs(images, gt), target)
    message = str(caught.value)
    assert "2 images or captions cannot be exported" in message
    assert "image 11: " in message
    assert "has 50 x 50 pixels, its annotations 120 x 60" in message
    assert not target.exists()
    done = hf.export(model, processor, hf.pairs(images, gt), target, errors="skip")
    assert len(done.skipped) == 2
    assert open_export(target).image_id == ["10", "13"]
    for name in ("10.jpg", "13.png"):
        (images / name).write_bytes(b"")
    with pytest.raises(AttnevalError, match="no image is left"):
        hf.export(model, processor, hf.pairs(images, gt), target, errors="skip")


def test_regions_that_are_not_as_many_as_the_columns_are_listed(world: tuple[Path, Path], tmp_path: Path) -> None:
    images, gt = world

    class Short(hf.Dual):
        def regions(self, image: Any, inputs: Any) -> Any:
            width, height = image.size
            return Grid.covering(width, height, 2, 3) if width == height else super().regions(image, inputs)

    given = (*others.clip(), hf.pairs(images, gt), tmp_path / "maps.npz")
    with pytest.raises(AttnevalError, match="image 13: the model attends to 16 places, and there are 6 regions"):
        hf.export(*given, adapter=Short, check=False)
    assert not (tmp_path / "maps.npz").exists()
    done = hf.export(*given, adapter=Short, check=False, errors="skip")
    assert [line.split(":")[0] for line in done.skipped] == ["13#0"]
    assert open_export(tmp_path / "maps.npz").image_id == ["10", "11", "12"]


def test_captions_that_are_cut_off_are_listed_before_anything_is_computed(tmp_path: Path) -> None:
    long = " ".join(["bicycle"] * 90)
    pair = hf.Pair("1", picture(), ((0, "A man"), (3, long)))
    model, processor = others.clip()
    with pytest.raises(AttnevalError, match=r"1#3: caption 'bicycle bicycle.* is cut off after"):
        hf.export(model, processor, [pair], tmp_path / "maps.npz")
    done = hf.export(model, processor, [pair], tmp_path / "maps.npz", errors="skip")
    assert [line.split(":")[0] for line in done.skipped] == ["1#3"]
    assert open_export(tmp_path / "maps.npz").caption_index.tolist() == [0]


def test_missing_and_double_images_are_found_before_anything_is_computed(world: tuple[Path, Path]) -> None:
    images, gt = world
    (images / "13.png").rename(images / "COCO_val2014_000000000013.png")
    assert [pair.image_id for pair in hf.pairs(images, gt)] == ["10", "11", "12", "13"]
    assert [pair.image_id for pair in hf.pairs(images, gt, split=["13.jpg", "10"], limit=1)] == ["13"]
    assert hf.pairs(images, gt, limit=1)[0].phrases == (((0, 5), (12, 25)), ())
    (images / "11.png").rename(images / "x.png")
    with pytest.raises(AttnevalError, match="1 of 4 annotated images are missing: 11"):
        hf.pairs(images, gt)
    picture().save(images / "10.png")
    with pytest.raises(AttnevalError, match=r"image 10 could be .*10\.jpg, .*10\.png"):
        hf.pairs(images, gt, split=["10"])
    with pytest.raises(AttnevalError, match="1 images of the split are not annotated: 99"):
        hf.pairs(images, gt, split=["10", "99"])


def test_tiled_images_are_boxes_even_where_the_first_one_is_a_single_grid(tmp_path: Path) -> None:
    from . import vlms

    made = vlms.made("idefics3")
    pairs = [
        hf.Pair("small", picture(80, 70), ((0, "a man"),)),
        hf.Pair("large", picture(400, 200), ((0, "the dog runs"),)),
    ]
    hf.export(made.model, made.processor, pairs, tmp_path / "maps.npz", prompt=made.prompt, check=False)
    export = open_export(tmp_path / "maps.npz")
    assert export.regions.grid_shape is None
    assert find_problems(tmp_path / "maps.npz")[0] == []


DUAL_AND_OTHERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "clip": others.clip,
    "siglip": others.siglip,
    "siglip2": others.siglip2,
    "blip": others.blip,
    "vilt": others.vilt,
    "flava": others.flava,
    "owl": others.owl,
    "owlv2": lambda: others.owl("Owlv2"),
}


@pytest.mark.parametrize("name", DUAL_AND_OTHERS)
def test_other_families_from_images_to_a_score(name: str, world: tuple[Path, Path], tmp_path: Path) -> None:
    images, gt = world
    target = tmp_path / "maps.npz"
    model, processor = DUAL_AND_OTHERS[name]()
    hf.export(model, processor, hf.pairs(images, gt), target, shard_images=3)
    signed = name in {"clip", "siglip", "siglip2"}
    assert_good(target, gt)
    header = about(target)
    assert header["kind"] == ("similarity" if signed else "relevance" if "owl" in name else "attention")
    if signed:
        assert header["signed"]
        with np.load(target) as file:
            assert file["attention"].min() < 0
    if "owl" in name:
        export = open_export(target)
        assert np.diff(export.token_offset).tolist() == [2, 1, 2, 2, 1, 2]


def test_models_that_are_given_regions_export_their_boxes(tmp_path: Path) -> None:
    given = others.regions()
    for name in ("lxmert", "visual_bert"):
        model, words = getattr(others, name)()
        target = tmp_path / f"{name}.npz"
        pairs = [hf.Pair("7", picture(), ((0, "A man"), (1, "Two dogs play")))]
        hf.export(model, words, pairs, target, boxes={"7": (given["box"], given["features"])})
        assert find_problems(target)[0] == []
        with np.load(target) as file:
            assert np.allclose(file["region_box"], given["box"], atol=1e-3)
        with pytest.raises(AttnevalError, match="image 8 has no regions"):
            hf.export(model, words, [hf.Pair("8", picture(), ((0, "A man"),))], target, boxes={})


def test_a_class_that_nobody_knows_exports_by_what_it_has(tmp_path: Path) -> None:
    class UnheardOf(transformers.LlavaForConditionalGeneration):  # type: ignore[misc]
        pass

    _, processor = llava()
    config = transformers.LlavaConfig(
        vision_config=vision_config(), text_config=text_config("Qwen2"), image_token_id=4, vision_feature_layer=-1
    )
    model = seeded(UnheardOf, config)
    done = hf.export(model, processor, [hf.Pair("1", picture(), ((0, "A man"),))], tmp_path / "maps.npz")
    assert done.check["places"]["passed"]
    assert about(tmp_path / "maps.npz")["class"] == "UnheardOf"


def test_a_model_of_its_own_kind_exports_by_a_ten_line_adapter(tmp_path: Path) -> None:
    class Block(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, layer_idx: int) -> None:
            super().__init__()
            self.layer_idx, self.num_key_value_groups = layer_idx, 1
            self.q_proj, self.k_proj, self.v_proj = (torch.nn.Linear(16, 16) for _ in range(3))

        def forward(self, states: Any) -> Any:
            made = (part(states).unflatten(-1, (2, 8)) for part in (self.q_proj, self.k_proj, self.v_proj))
            query, key, value = (part.transpose(1, 2) for part in made)
            mask = torch.ones(states.shape[1], states.shape[1]).tril().log()
            weights = (query @ key.transpose(2, 3) / 8**0.5 + mask).softmax(-1)
            return states + (weights @ value).transpose(1, 2).flatten(2), weights

    class Home(torch.nn.Module):  # type: ignore[misc]
        """A decoder of this test alone: nine patches as a linear map of their means, then words."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.words, self.patches = torch.nn.Embedding(420, 16), torch.nn.Linear(3, 16)
            self.layers = torch.nn.ModuleList(Block(layer) for layer in range(2))

        def forward(self, input_ids: Any, pixel_values: Any) -> Any:
            cells = torch.nn.functional.adaptive_avg_pool2d(pixel_values, 3).flatten(2).transpose(1, 2)
            states = torch.cat([self.patches(cells), self.words(input_ids)], 1)
            for layer in self.layers:
                states, _ = layer(states)
            return states

    words = tokenizer("wordpiece")

    class Mine(hf.Causal):
        def prepare(self, image: Any, captions: Any, image_id: str = "") -> Any:
            encoded, tokens = hf.encode_captions(words, captions)
            pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
            moved = [hf.Tokens(own.position + 9, own.span) for own in tokens]
            inputs = {"input_ids": encoded["input_ids"], "pixel_values": pixels.expand(len(captions), -1, -1, -1)}
            return hf.Prepared(inputs, moved, image, image_id)

        def columns(self, inputs: Any) -> Any:  # noqa: ARG002
            return range(9)

        def regions(self, image: Any, inputs: Any) -> Any:  # noqa: ARG002
            width, height = image.size
            return Grid.covering(width, height, 3, 3)

        def about(self) -> dict[str, Any]:
            return {"prompt": "{caption}"}

    model = Home()
    pairs = [hf.Pair("1", picture(), ((0, "A man"), (1, "Two dogs play")))]
    done = hf.export(model, words, pairs, tmp_path / "maps.npz", adapter=Mine, heads="all", check=False)
    assert [tuple(channel) for channel in done.plan.channels] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert find_problems(tmp_path / "maps.npz")[0] == []


def test_detectors_write_the_boxes_of_each_caption(world: tuple[Path, Path], tmp_path: Path) -> None:
    images, gt = world
    target = tmp_path / "maps.npz"
    model, processor = others.grounding_dino()
    hf.export(model, processor, hf.pairs(images, gt), target, shard_images=3)
    assert_good(target, gt)
    with np.load(target) as file:
        assert file["region_offset"].tolist() == [0, 18, 27, 45, 54]
        assert file["caption_region"].tolist() == [[0, 9], [9, 9], [0, 9], [0, 9], [9, 9], [0, 9]]
    header = about(target)
    assert (header["version"], header["kind"], header["normalised_over"]) == ([1, 1], "relevance", "none")
    assert header["regions"] == "boxes predicted for each caption"


def test_the_mass_of_every_row_is_written(tmp_path: Path) -> None:
    model, processor = llava()
    adapter, _ = hf.choose_adapter(model, processor, hf.Choices.checked(heads="max"))
    image = picture()
    expected = adapter.maps(image, ["A man", "Two dogs play"])
    pairs = [hf.Pair("1", image, ((0, "A man"), (1, "Two dogs play")))]
    hf.export(model, processor, pairs, tmp_path / "maps.npz", heads="max", check=False)
    with np.load(tmp_path / "maps.npz") as file:
        masses = [one.mass.ravel() for one in expected if one.mass is not None]
        assert np.allclose(file["row_mass"], np.concatenate(masses), atol=1e-6)
        assert np.allclose(file["attention"][: expected[0].weights.size], expected[0].weights.ravel(), atol=1e-3)


def test_undefined_rows_are_written_as_such(tmp_path: Path) -> None:
    """In a sliding window the last words of a long caption see no cell any more."""
    _, processor = llava()
    config = transformers.LlavaConfig(
        vision_config=vision_config(),
        text_config=text_config("Mistral", sliding_window=30),
        image_token_id=4,
        vision_feature_layer=-1,
    )
    model = seeded(transformers.LlavaForConditionalGeneration, config)
    long = "A man in sun-glasses rides a red bicycle down the street . " * 2
    pairs = [hf.Pair("1", picture(), ((0, long), (1, "A man")))]
    hf.export(model, processor, pairs, tmp_path / "maps.npz", prompt="<image>{caption}")
    assert find_problems(tmp_path / "maps.npz")[0] == []
    with np.load(tmp_path / "maps.npz") as file:
        mass = file["row_mass"]
        assert mass.min() == 0
        assert mass.max() > 0.05


@pytest.mark.realdata
def test_real_images_and_annotations(shared: Path, tmp_path: Path) -> None:
    ids = [path.stem for path in sorted((shared / "images").glob("*.jpg")) if path.stem != "65567"][:4]
    gt = shared / "flickr8k_entities.zip"
    for name, (model, processor) in {"llava": llava(), "clip": others.clip(), "blip": others.blip()}.items():
        target = tmp_path / f"{name}.npz"
        done = hf.export(model, processor, hf.pairs(shared / "images", gt, split=ids), target)
        assert done.check["places"]["passed"]
        result = assert_good(target, gt)
        assert result["ap"] > 0.2


@pytest.mark.realdata
@pytest.mark.parametrize("name", [*vlms.CAUSAL, *DUAL_AND_OTHERS, "grounding_dino", "lxmert", "visual_bert"])
def test_every_family_on_real_images(name: str, shared: Path, tmp_path: Path) -> None:
    ids = [path.stem for path in sorted((shared / "images").glob("*.jpg")) if path.stem != "65567"][:2]
    gt = shared / "flickr8k_entities.zip"
    pairs = hf.pairs(shared / "images", gt, split=ids)
    given: dict[str, Any] = {}
    if name in vlms.CAUSAL:
        made = vlms.made(name)
        model, processor, given["prompt"] = made.model, made.processor, made.prompt
    elif name in DUAL_AND_OTHERS:
        model, processor = DUAL_AND_OTHERS[name]()
    else:
        model, processor = getattr(others, name)()
    if name in {"lxmert", "visual_bert"}:
        sizes = {pair.image_id: pair.measure() for pair in pairs}
        boxes = {key: others.regions(width=width, height=height) for key, (width, height) in sizes.items()}
        given["boxes"] = {key: (one["box"], one["features"]) for key, one in boxes.items()}
    target = tmp_path / "maps.npz"
    # The tokenizer of the tests makes more tokens of long captions than some text towers have positions for.
    hf.export(model, processor, pairs, target, check=False, errors="skip", **given)
    result = assert_good(target, gt, missing="skip")
    assert result.counts["items"] > 5
    # Of a few large cells no centre need lie in a box, so that there may be no F1.
    assert 0 <= result["area_mass"] < 1


@pytest.mark.realdata
def test_captions_and_boxes_of_coco(shared: Path, tmp_path: Path) -> None:
    files = [shared / "annotation_formats" / "coco" / name for name in ("captions.json", "instances.json")]
    source = open_ground_truth(files)
    truth = source.read(source.image_ids()[:2])
    for name, (width, height) in zip(truth.image_id, truth.image_size.tolist(), strict=True):
        picture(width, height).save(tmp_path / f"COCO_val2014_{int(name):012d}.jpg")
    target = tmp_path / "maps.npz"
    hf.export(*llava(), hf.pairs(tmp_path, files, split=truth.image_id), target, check=False)
    problems, _ = find_problems(target)
    assert problems == []
    assert open_export(target).image_id == truth.image_id


@pytest.mark.realdata
def test_features_of_a_bottom_up_file(shared: Path, tmp_path: Path) -> None:
    from attneval.extraction.transformers.boxfiles import open_regions

    folder = shared / "region_features" / "lxmert36"
    regions = open_regions(next(folder.glob("*.tsv")))
    photos = sorted(folder.rglob("*.jpg"))[:2]
    model, words = others.lxmert(2048)
    pairs = [hf.Pair(path.stem, path, ((0, "A man rides"),)) for path in photos]
    hf.export(model, words, pairs, tmp_path / "maps.npz", boxes=regions)
    assert find_problems(tmp_path / "maps.npz")[0] == []
    with np.load(tmp_path / "maps.npz") as file:
        assert file["region_offset"].tolist() == [0, 36, 72]
    with pytest.raises(AttnevalError, match="features have 2048 numbers, LxmertModel takes 12"):
        hf.export(*others.lxmert(), pairs, tmp_path / "maps.npz", boxes=regions)
