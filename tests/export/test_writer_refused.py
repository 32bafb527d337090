"""What the writer refuses, and that nothing remains of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import (
    CATS,
    DOG,
    DOG_BOXES,
    DOG_TOKENS,
    GIVEN,
    TWO,
    Step,
    add_images,
    assert_says,
    call,
    captions_of,
    perform,
    write,
)

from attneval.errors import DataError, ExportError
from attneval.export.read.reader import open_export
from attneval.export.write.writer import ExportWriter


def refused(path: Path, *steps: Step) -> str:
    """Why a writer of two images refuses to go on."""
    with pytest.raises(ExportError) as caught:
        perform(path, steps)
    assert not path.exists()
    return str(caught.value)


BATCH = np.zeros((2, 3, 3))

REFUSED: dict[str, Any] = {
    "an image twice": (call("add_image", "36979", size=(1, 1), boxes=DOG_BOXES), ("36979", "twice")),
    "no regions": (call("add_image", "1", size=(1, 1)), ("image 1", "boxes or a grid")),
    "boxes and a grid": (call("add_image", "1", size=(1, 1), boxes=DOG_BOXES, grid=(1, 2)), ("image 1", "not both")),
    "an image without a size": (call("add_image", "1", boxes=DOG_BOXES), ("image 1", "like the images before")),
    "a grid after boxes": (call("add_image", "1", size=(1, 1), grid=(1, 2)), ("image 1", "like the images before")),
    "boxes of three": (call("add_image", "1", size=(1, 1), boxes=[[0, 0, 1]]), ("image 1", "(1, 3)", "(R, 4)")),
    "one box": (call("add_image", "1", size=(1, 1), boxes=[0, 0, 1, 1]), ("image 1", "(4,)", "(R, 4)")),
    "an unknown image": (call("add_caption", "1", DOG, tokens=DOG_TOKENS), ("image 1", "unknown", "add_image")),
    "maps without tokens": (call("add_caption", "36979", DOG), ("tokens", "spans")),
    "spans without a text": (call("add_caption", "36979", DOG, spans=[(0, 1)] * 3), ("tokens", "texts")),
    "too many tokens": (
        call("add_caption", "36979", DOG, tokens=["a"] * 4),
        ("attention", "36979", "(3, 2)", "1 channels x 4 tokens x 2 regions"),
    ),
    "too few regions": (
        call("add_caption", "4711", [[0.5, 0.5]], tokens=["a"]),
        ("attention", "4711", "(1, 2)", "1 tokens x 3 regions"),
    ),
    "a flat map": (call("add_caption", "36979", [0.5, 0.5], tokens=["a"]), ("attention", "36979", "(2,)")),
    "two channels of one": (
        call("add_caption", "36979", [DOG, DOG], tokens=DOG_TOKENS),
        ("(2, 3, 2)", "1 channels", "channels="),
    ),
    "i2t of another shape": (
        call("add_caption", "36979", DOG, tokens=DOG_TOKENS, attention_i2t=np.transpose(DOG)),
        ("attention_i2t", "36979", "(2, 3)", "3 tokens x 2 regions", "transposed"),
    ),
    "another batch": (call("add_captions", ["36979"], BATCH, tokens=[["a"]]), ("(2, 3, 3)", "1 captions")),
    "too few indices": (
        call("add_captions", ["36979", "4711"], BATCH, indices=[0], tokens=[["a"], ["b"]]),
        ("1 indices", "2 captions"),
    ),
    "too many tokens lists": (
        call("add_captions", ["36979"], BATCH[:1], tokens=[["a"], ["b"]]),
        ("2 tokens", "1 captions"),
    ),
    "too few texts": (
        call("add_captions", ["36979", "4711"], BATCH, texts=["a"], tokens=[["a"], ["b"]]),
        ("1 texts", "2 captions"),
    ),
    "too few spans": (
        call("add_captions", ["36979", "4711"], BATCH, texts=["a", "b"], spans=[np.zeros((1, 2), int)]),
        ("1 spans", "2 captions"),
    ),
    "tokens and spans": (
        call("add_caption", "36979", DOG, text="a b c", tokens=DOG_TOKENS, spans=[(0, 1)] * 3),
        ("tokens or spans, and not both",),
    ),
    "a span beyond its text": (
        call("add_caption", "36979", DOG, index=4, text="a café", spans=[(0, 1), (2, 6), (2, 7)]),
        ("36979#4", "token 2", "[2, 7]", "6 code points"),
    ),
    "an image's id that is no text": (call("add_image", "\ud800", size=(1, 1), boxes=DOG_BOXES), ("is no text",)),
    "a token that is no text": (
        call("add_captions", ["36979", "4711"], BATCH, indices=[1, 2], tokens=[["a", "b"], ["c", "\udfff"]]),
        ("4711#2", "'\\udfff'", "no text"),
    ),
    "an index that is no number": (call("add_caption", "36979", DOG, index=0.5, tokens=DOG_TOKENS), ("36979", "int64")),
    "weights that are text": (call("add_caption", "36979", [["a"]], tokens=["a"]), ("attention", "36979", "<U1")),
    "another similarity": (call("set_similarity", np.zeros((2, 3))), ("similarity", "(2, 3)", "(2, 0)")),
}


@pytest.mark.parametrize(("step", "parts"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path: Path, step: Any, parts: tuple[str, ...]) -> None:
    assert_says(refused(tmp_path / "maps.npz", step), str(tmp_path / "maps.npz"), *parts)


@pytest.mark.parametrize(
    ("step", "changed"),
    [
        (GIVEN, call("add_caption", "4711", CATS, index=0, text="cats", tokens=["cats"])),
        (GIVEN, call("add_caption", "4711", CATS, index=0, text="cats", spans=[(0, 4)])),
        (GIVEN, call("add_caption", "4711", CATS, index=0, tokens=["cats"], attention_i2t=CATS)),
        (GIVEN, call("add_caption", "4711", index=0)),
        (call("add_captions", ["36979"], BATCH[:1], tokens=[DOG_TOKENS]), GIVEN),
    ],
    ids=["text", "spans", "i2t", "no map", "no index"],
)
def test_captions_must_be_described_alike(tmp_path: Path, step: Any, changed: Any) -> None:
    message = refused(tmp_path / "maps.npz", step, changed)
    assert_says(message, "maps.npz", "not described like those before", changed[1][0])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"boxes": DOG_BOXES}, {"boxes": DOG_BOXES, "size": (1, 1)}),
        ({"grid": (1, 2)}, {"boxes": DOG_BOXES}),
        ({"grid": (1, 2)}, {"grid": (1, 2), "affine": (1, 1, 0, 0)}),
        ({"grid": (1, 2), "affine": (1, 1, 0, 0)}, {"grid": (1, 2)}),
    ],
    ids=["size", "boxes", "affine", "no affine"],
)
def test_images_must_be_described_alike(tmp_path: Path, first: dict[str, Any], second: dict[str, Any]) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    out.add_image("1", **first)
    with pytest.raises(ExportError, match="image 2 is not described like"):
        out.add_image("2", **second)


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({"kind": "softmax"}, ("'softmax'", "attention, similarity, relevance, logit")),
        ({"normalised_over": "both"}, ("'both'", "regions, tokens, none")),
        ({"dtype": "float64"}, ("float64", "float32 or float16")),
        ({"dtype": "int8"}, ("int8", "float32 or float16")),
    ],
)
def test_choices_that_do_not_exist(tmp_path: Path, given: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(ExportError) as caught:
        ExportWriter(tmp_path / "maps.npz", **given)
    assert_says(str(caught.value), *parts)


def test_a_directory_that_is_not_there_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        write(tmp_path / "no" / "maps.npz")


@pytest.mark.parametrize(
    ("steps", "parts"),
    [
        pytest.param([GIVEN, GIVEN], ("36979#0",), id="a caption twice"),
        pytest.param([call("add_caption", "36979", DOG, index=-2, tokens=DOG_TOKENS)], ("-2",), id="an index below -1"),
        pytest.param(
            [call("add_captions", ["4711"], None, tokens=[["cats"]], attention_i2t=[CATS])],
            ("attention_i2t",),
            id="the other direction alone",
        ),
        pytest.param(
            [call("add_caption", "4711", None, tokens=["cats"], attention_i2t=CATS)],
            ("attention",),
            id="the other direction and no map",
        ),
        pytest.param([], ("caption",), id="no captions"),
    ],
)
def test_what_the_reader_would_refuse_is_not_written(tmp_path: Path, steps: Any, parts: tuple[str, ...]) -> None:
    assert_says(refused(tmp_path / "maps.npz", *steps), "maps.npz", *parts)


@pytest.mark.parametrize("grid", [(0, 3), (2, -1)], ids=str)
def test_grids_without_cells_are_not_written(tmp_path: Path, grid: tuple[int, int]) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    with pytest.raises(ExportError, match="image 1"):
        out.add_image("1", grid=grid)


@pytest.mark.parametrize("given", [{"version": [2, 0]}, {"format": "mine"}], ids=["version", "format"])
def test_what_is_said_about_a_model_cannot_replace_the_header(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ExportError, match=next(iter(given))):
        write(tmp_path / "maps.npz", **given)


@pytest.mark.parametrize(
    "step",
    [
        call("add_caption", "36979", DOG, index=40000, tokens=DOG_TOKENS),
        call("add_caption", "36979", DOG, index=0, text="a b c", spans=[(0, 1, 2)] * 3),
        call("add_caption", "36979", DOG, index=0, text="a b c", spans=[0, 1, 2]),
        call("add_caption", "36979", [[1, 0], [1], [0, 1]], tokens=DOG_TOKENS),
        call("add_caption", "36979", DOG, tokens=["a", "b", "\ud800"]),
        call("add_caption", "36979", DOG, tokens=["a", "b", 3]),
    ],
    ids=["index", "spans", "flat spans", "ragged map", "surrogate", "token"],
)
def test_refusals_are_export_errors(tmp_path: Path, step: Any) -> None:
    refused(tmp_path / "maps.npz", step)


@pytest.mark.parametrize("affine", [(1, 0, 0, 0), (-1, 1, 0, 0), (1, 1, np.nan, 0), (1, 1, 0)], ids=str)
def test_affine_numbers_that_are_none_are_not_written(tmp_path: Path, affine: Any) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    with pytest.raises(ExportError, match="image 1: affine"):
        out.add_image("1", grid=(1, 2), affine=affine)


def test_weights_beyond_half_precision_are_not_written(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", kind="logit", dtype="float16") as out:
        add_images(out)
        with pytest.raises(ExportError, match=r"attention of 4711.*: cannot be stored as float16"):
            out.add_caption("4711", [[70000, 0, 0]], tokens=["cats"])
        out.add_caption("4711", [[65504, 0, 0]], tokens=["cats"])
    assert captions_of(open_export(tmp_path / "maps.npz"))[0].weights == {"t2i": [[[65504, 0, 0]]]}


@pytest.mark.parametrize("channels", [[], [(0,)], [0, 1], [(0, 2**15)]], ids=str)
def test_channels_that_are_none(tmp_path: Path, channels: Any) -> None:
    with pytest.raises(ExportError, match="channels"):
        ExportWriter(tmp_path / "maps.npz", channels=channels)


def test_a_batch_of_no_captions_changes_nothing(tmp_path: Path) -> None:
    expected = write(tmp_path / "expected.npz").read_bytes()
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_captions([], np.zeros((0, 5, 9)), tokens=[])
        out.add_caption("36979", DOG, index=0, text="a café dog", spans=[(0, 1), (2, 6), (7, 10)])
        out.add_caption("4711", CATS, index=3, text="cats", spans=[(0, 4)])
        out.add_caption("36979", TWO, index=1, text="Two", spans=[(-1, -1), (0, 3)])
    assert (tmp_path / "maps.npz").read_bytes() == expected


def test_what_is_said_about_a_model_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="model"):
        write(tmp_path / "maps.npz", model=Path("scan"))


def test_a_refused_caption_leaves_no_trace(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", kind="relevance") as out:
        add_images(out)
        out.add_caption("4711", CATS, index=0, tokens=["cats"], attention_i2t=CATS)
        with pytest.raises(ExportError):
            out.add_caption("36979", DOG, index=0, tokens=DOG_TOKENS, attention_i2t=np.transpose(DOG))
        out.add_caption("36979", TWO, index=1, tokens=["<start>", "two"], attention_i2t=TWO)
    assert [caption.weights["t2i"] for caption in captions_of(open_export(tmp_path / "maps.npz"))] == [[CATS], [TWO]]
