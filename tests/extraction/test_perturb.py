"""Models of transformers write what their scores become when cells are painted over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from annotations import annotation, thing, write_entities

pytest.importorskip("transformers")

from attneval import Options, Protocol, score
from attneval.errors import AttnevalError, ConfigError
from attneval.export.read.reader import find_problems, open_export
from attneval.extraction import transformers as hf
from attneval.extraction.transformers.adapters import choose_adapter
from attneval.extraction.transformers.choices import Choices
from attneval.extraction.transformers.painting import Canvas, mean_colour
from attneval.extraction.transformers.pairs import Pair
from attneval.extraction.transformers.perturb import as_read
from attneval.extraction.transformers.regions import Grid
from attneval.metrics.faithfulness import CURVES

from . import others, vlms
from .kit import llava, picture, torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from PIL.Image import Image

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CAPTION = "A man rides a red bicycle ."
SENTENCES = "[/EN#1/people A man] rides [/EN#2/vehicles a red bicycle] .\nThe street .\n"


@pytest.fixture
def world(tmp_path: Path) -> tuple[Path, Path]:
    """Two images and their annotations."""
    (tmp_path / "images").mkdir()
    made = {}
    for number, (width, height) in enumerate([(100, 80), (60, 90)]):
        picture(width, height, seed=number).save(tmp_path / "images" / f"{number + 10}.png")
        things = thing("1", (1, 1, width // 2, height)), thing("2", (width // 2, 1, width, height))
        made[str(number + 10)] = (annotation(*things, width=width, height=height), SENTENCES)
    return tmp_path / "images", write_entities(tmp_path / "gt", made)


def adapter_of(made: Any) -> Any:
    model, processor = made if isinstance(made, tuple) else (made.model, made.processor)
    model.eval()
    return choose_adapter(model, processor, Choices())[0]


def log_likelihood_by_hand(adapter: Any, image: Image, caption: str) -> float:
    """The whole sequence without any shortcut: the chance of each token of the caption, given all before."""
    prepared = adapter.prepare(image, [caption])
    with torch.no_grad():
        logits = adapter.model(**prepared.inputs).logits[0].double()
    chances = torch.log(torch.softmax(logits, -1))
    ids, total = prepared.inputs["input_ids"][0], 0.0
    for position in prepared.tokens[0].position.tolist():
        total += float(chances[position - 1, int(ids[position])])
    return total / len(prepared.tokens[0])


@pytest.mark.parametrize("name", ["llava", "llava_next", "qwen2_5_vl", "idefics3", "paligemma", "internvl"])
def test_causal_models_score_by_the_log_likelihood_of_the_caption(name: str) -> None:
    adapter = adapter_of(vlms.made(name))
    images = [picture(96, 72, seed=seed) for seed in range(2)]
    found = adapter.scores(images, CAPTION)
    expected = [log_likelihood_by_hand(adapter, image, CAPTION) for image in images]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[0] != found[1]
    assert max(found) < 0


@pytest.mark.parametrize("make", [others.clip, others.siglip, others.siglip2])
def test_dual_encoders_score_by_their_similarity(make: Callable[[], tuple[Any, Any]]) -> None:
    adapter = adapter_of(make())
    images = [picture(90, 60, seed=seed) for seed in range(3)]
    found = adapter.scores(images, CAPTION)
    for image, value in zip(images, found, strict=True):
        with torch.no_grad():
            outputs = adapter.model(**adapter.prepare(image, [CAPTION]).inputs)
        assert value == pytest.approx(float(outputs.logits_per_image[0, 0]), abs=1e-4)
    assert len(set(found)) == 3


def test_cells_are_painted_in_the_mean_colour() -> None:
    image = picture(40, 30)
    canvas = Canvas.from_image(image, Grid(3, 4, (10.0, 10.0, 0.0, 0.0)), adapter_of(llava()).processor)
    colour = mean_colour(adapter_of(llava()).processor)
    before = np.array(image)
    removed = np.zeros(12, np.bool_)
    removed[[1, 11]] = True
    after = np.array(canvas.without(removed))
    expected = before.copy()
    expected[0:10, 10:20] = colour
    expected[20:30, 30:40] = colour
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(np.array(canvas.without(np.ones(12, np.bool_))), np.broadcast_to(colour, (30, 40, 3)))
    np.testing.assert_array_equal(np.array(canvas.without(np.zeros(12, np.bool_))), before)


def test_cells_that_end_inside_a_pixel_leave_none_between_them() -> None:
    canvas = Canvas.from_image(picture(37, 23), Grid(5, 7, (37 / 7, 23 / 5, 0.0, 0.0)), None)
    every = np.zeros((23, 37), int)
    for x1, y1, x2, y2 in canvas.cells.tolist():
        every[y1:y2, x1:x2] += 1
    assert (every == 1).all()
    assert canvas.colour.tolist() == [128, 128, 128]


def test_what_is_painted_over_is_zero_to_the_model() -> None:
    adapter = adapter_of(others.clip())
    canvas = Canvas.from_image(picture(90, 60), Grid(1, 1, (90.0, 60.0, 0.0, 0.0)), adapter.processor)
    pixels = adapter.prepare(canvas.without(np.ones(1, np.bool_)), [CAPTION]).inputs["pixel_values"]
    assert float(pixels.abs().max()) < 0.01


class Processor:
    def __init__(self, **settings: Any) -> None:
        self.__dict__ |= settings


@pytest.mark.parametrize(
    ("settings", "colour"),
    [
        ({"image_mean": [0.5, 0.0, 1.0]}, [128, 0, 255]),
        ({"image_mean": 0.5}, [128] * 3),
        ({"image_mean": [0.1] * 3, "do_normalize": False}, [128] * 3),
        ({}, [128] * 3),
    ],
)
def test_the_colour_is_the_processors(settings: dict[str, Any], colour: list[int]) -> None:
    assert mean_colour(Processor(**settings)).tolist() == colour
    assert mean_colour(Processor(image_processor=Processor(**settings))).tolist() == colour


def test_signed_maps_are_read_as_scoring_reads_them() -> None:
    assert as_read(np.array([[-1.0, 0, 1], [2, 2, 2]])).tolist() == [[0, 0.5, 1], [0, 0, 0]]


# ---------------------------------------------------------------- whole exports

MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": llava,
    "clip": others.clip,
    "qwen2_5_vl": lambda: _pair(vlms.made("qwen2_5_vl")),
}


def _pair(made: Any) -> tuple[Any, Any]:
    return made.model, made.processor


@pytest.mark.parametrize("name", MODELS)
def test_curves_follow_the_map(name: str, world: tuple[Path, Path], tmp_path: Path) -> None:
    images, gt = world
    model, processor = MODELS[name]()
    said: list[str] = []
    target = tmp_path / "maps.npz"
    # One map a caption, which those of a dual encoder are without being asked.
    over_layers = "none" if name == "clip" else "mean"
    hf.export(model, processor, hf.pairs(images, gt), target, perturb=2, over_layers=over_layers, say=said.append)
    assert any("cells are removed in 2 steps: up to 12 more runs" in line for line in said)
    problems, export = find_problems(target)
    assert problems == []
    assert export is not None
    adapter = adapter_of((model, processor))
    for row, (image_id, index) in enumerate([("10", 0), ("10", 1), ("11", 0), ("11", 1)]):
        assert export.caption_name(row) == f"{image_id}#{index}"
        pair = hf.pairs(images, gt, split=[image_id])[0]
        image, caption = pair.open(), dict(pair.captions)[index]
        (one,) = adapter.maps(image, [caption], image_id)
        canvas = Canvas.from_image(image, one.regions, processor)
        weight = weight_by_hand(one, caption, signed=name == "clip", annotated=index == 0)
        regions = len(weight)
        order = sorted(range(regions), key=lambda cell: -weight[cell])
        most, least = np.zeros(regions, np.bool_), np.zeros(regions, np.bool_)
        half = (regions + 1) // 2
        most[order[:half]] = True
        least[order[regions - half :]] = True
        whole, empty, first, rest = adapter.scores(
            [image, *(canvas.without(gone) for gone in (np.ones(regions, np.bool_), most, least))], caption
        )
        np.testing.assert_allclose(export.curves["deletion"][row], [whole, first, empty], atol=1e-4)
        np.testing.assert_allclose(export.curves["insertion"][row], [empty, rest, whole], atol=1e-4)
        np.testing.assert_allclose(export.curves["deletion_random"][row, [0, -1]], [whole, empty], atol=1e-4)
    header = export.header.about["perturbed"]
    assert header["steps"] == 2
    assert header["score"] == adapter.score
    assert "annotated words" in header["order"]
    result = score(target, gt, protocol=Protocol(overlap="center"), options=Options(resamples=0))
    assert result.metrics["deletion_gap"].n == 4


def weight_by_hand(one: Any, caption: str, *, signed: bool, annotated: bool) -> list[float]:
    """The mean over words of the mean over their tokens, and over channels."""
    words, place = [], 0
    for word in caption.split():
        start = caption.index(word, place)
        place = start + len(word)
        # "A man" and "a red bicycle" of the first caption; all words of the other one.
        if word != "." and not (annotated and word == "rides"):
            words.append((start, place))
    total = np.zeros(one.weights.shape[-1])
    for start, stop in words:
        of_word = []
        for rows in one.weights.astype(float):
            of_channel = []
            for row, (a, b) in zip(rows, one.span.tolist(), strict=True):
                if a < stop and b > start and (signed or row.sum() > 0):
                    read = (row - row.min()) / (row.max() - row.min()) if signed else row
                    of_channel.append(read / read.sum())
            of_word.append(np.mean(of_channel, axis=0))
        total += np.mean(of_word, axis=0)
    return list(total)


def test_families_without_a_score_are_refused(tmp_path: Path, world: tuple[Path, Path]) -> None:
    images, gt = world
    with pytest.raises(AttnevalError, match="whose score of an image and a caption is not known here"):
        hf.export(*others.vilt(), hf.pairs(images, gt), tmp_path / "maps.npz", perturb=4)
    with pytest.raises(ConfigError, match="perturb is 1"):
        hf.export(*others.clip(), hf.pairs(images, gt), tmp_path / "maps.npz", perturb=1)
    assert not (tmp_path / "maps.npz").exists()


def test_captions_that_cannot_be_scored_are_left_out_on_request(
    tmp_path: Path, world: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, gt = world
    adapter = adapter_of(others.clip())
    scores = type(adapter).scores

    def failing(self: Any, given: Any, caption: str, image_id: str = "") -> Any:
        values = scores(self, given, caption, image_id)
        return [float("nan")] * len(values) if (caption, image_id) == ("The street .", "11") else values

    monkeypatch.setattr(type(adapter), "scores", failing)
    with pytest.raises(AttnevalError, match="11#1: the model gives scores that are not finite"):
        hf.export(*others.clip(), hf.pairs(images, gt), tmp_path / "maps.npz", perturb=2)
    done = hf.export(*others.clip(), hf.pairs(images, gt), tmp_path / "maps.npz", perturb=2, errors="skip")
    assert [line.split(":")[0] for line in done.skipped] == ["11#1"]
    assert len(open_export(tmp_path / "maps.npz").caption_image) == 3


def test_pairs_that_somebody_makes_have_all_words(tmp_path: Path) -> None:
    pair = Pair("1", picture(90, 60), ((0, CAPTION),))
    hf.export(*others.clip(), [pair], tmp_path / "maps.npz", perturb=2)
    export = open_export(tmp_path / "maps.npz")
    assert set(export.curves) == set(CURVES)
    assert export.header.about["perturbed"]["order"].startswith("mean map of all words")


def test_other_steps_are_another_export(tmp_path: Path, world: tuple[Path, Path]) -> None:
    images, gt = world
    target = tmp_path / "maps.npz"
    folder = target.with_name("maps.npz.parts")
    made = hf.pairs(images, gt)
    hf.export(*others.clip(), made, target, perturb=2, shard_images=1)
    target.unlink()
    folder.mkdir()
    (folder / "description.json").write_text(json.dumps({"header": {}}), "utf-8")
    with pytest.raises(AttnevalError, match="perturbed"):
        hf.export(*others.clip(), made, target, perturb=3, shard_images=1)
