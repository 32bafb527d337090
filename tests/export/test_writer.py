"""Writing packed exports: what goes in comes out."""

from __future__ import annotations

import sys
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import (
    ATTENTION,
    CAT_BOXES,
    CATS,
    DOG,
    DOG_BOXES,
    TWO,
    Caption,
    add_images,
    captions_of,
    packed,
    problems,
    write,
)
from reference_inputs import read_export

import attneval
from attneval.export.read.reader import open_export
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from pathlib import Path


def padding(maps: list[Any], tokens: int, regions: int, fill: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Maps of one batch, as a model gives them."""
    batch = np.full((len(maps), tokens, regions), fill)
    for own, values in zip(batch, maps, strict=True):
        own[: len(values), : len(values[0])] = values
    return batch


def test_it_is_public() -> None:
    assert attneval.ExportWriter is ExportWriter


def test_what_it_writes_reads_back(tmp_path: Path) -> None:
    export = open_export(write(tmp_path / "maps.npz", model="SCAN", layers=[1, 2], note="é"))
    assert (export.header.kind, export.header.normalised_over) == ("attention", "regions")
    assert export.header.about == {
        "writer": f"attneval {attneval.__version__}",
        "model": "SCAN",
        "layers": [1, 2],
        "note": "é",
    }
    assert export.image_id == ["36979", "4711"]
    assert export.image_size is not None
    assert export.image_size.tolist() == [[100, 80], [60, 50]]
    boxes = export.regions.boxes(np.array([0, 1]), export.image_size)
    assert boxes.tolist() == DOG_BOXES + CAT_BOXES
    assert captions_of(export) == ATTENTION
    assert export.warnings == ()
    assert problems(tmp_path / "maps.npz") == []


def test_arrays_may_be_used_again(tmp_path: Path) -> None:
    box, weights, span = np.zeros((1, 4), np.float32), np.zeros((1, 1, 1), np.float32), np.zeros((1, 2), np.int64)
    with ExportWriter(tmp_path / "maps.npz") as out:
        for number, image in enumerate(("1", "2")):
            box[:] = [[number, 0, 10, 10]]
            weights[:] = number
            span[:] = [[0, number + 1]]
            out.add_image(image, boxes=box)
            out.add_captions([image], weights, indices=[0], texts=["ab"], spans=[span])
    with np.load(tmp_path / "maps.npz") as data:
        assert data["region_box"][:, 0].tolist() == [0, 1]
        assert data["attention"].tolist() == [0, 1]
        assert data["token_span"].tolist() == [[0, 1], [0, 2]]


def test_numpy_reads_every_member(tmp_path: Path) -> None:
    expected = packed()
    with np.load(write(tmp_path / "maps.npz"), allow_pickle=False) as data:
        members = dict(data)
    assert list(members) == ["attention", *(name for name in expected if name != "attention")]
    for name in set(expected) - {"format"}:
        np.testing.assert_array_equal(members[name], expected[name])
    types = {name: str(values.dtype) for name, values in members.items()}
    assert types == {
        "format": "uint8",
        "image_id": "uint8",
        "image_id_offset": "int64",
        "image_size": "int32",
        "region_offset": "int64",
        "region_box": "float32",
        "caption_image": "int32",
        "caption_index": "int16",
        "caption_text": "uint8",
        "caption_text_offset": "int64",
        "token_offset": "int64",
        "token_span": "int32",
        "channel": "int16",
        "attention_offset": "int64",
        "attention": "float32",
    }


def test_the_reference_reads_the_same(tmp_path: Path) -> None:
    read = read_export(write(tmp_path / "maps.npz"))
    assert list(read.boxes) == ["36979", "4711"]
    assert [[list(box) for box in own] for own in read.boxes.values()] == [DOG_BOXES, CAT_BOXES]
    assert [own.weights.tolist() for own in read.maps] == [[DOG], [CATS], [TWO]]
    assert [(own.image, own.index) for own in read.maps] == [("36979", 0), ("4711", 3), ("36979", 1)]


def test_members_are_stored(tmp_path: Path) -> None:
    with zipfile.ZipFile(write(tmp_path / "maps.npz")) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.testzip() is None


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "first.npz", model="SCAN").read_bytes()
    assert write(tmp_path / "second.npz", model="SCAN").read_bytes() == first
    assert write(tmp_path / "third.npz", model="BFAN").read_bytes() != first


@pytest.mark.parametrize("fill", [0.0, np.nan])
def test_a_batch_is_its_captions_one_by_one(tmp_path: Path, fill: float) -> None:
    single = write(tmp_path / "single.npz").read_bytes()
    spans = [np.array([(0, 1), (2, 6), (7, 10)]), np.array([(0, 4)]), np.array([(-1, -1), (0, 3)])]
    texts = ["a café dog", "cats", "Two"]
    ids = ["36979", "4711", "36979"]
    for sizes in ([3], [1, 2], [2, 1]):
        with ExportWriter(tmp_path / "batch.npz", normalised_over="regions") as out:
            add_images(out)
            first = 0
            for size in sizes:
                last = first + size
                out.add_captions(
                    ids[first:last],
                    padding([DOG, CATS, TWO][first:last], tokens=5, regions=4, fill=fill),
                    indices=[0, 3, 1][first:last],
                    texts=texts[first:last],
                    spans=spans[first:last],
                )
                first = last
        assert (tmp_path / "batch.npz").read_bytes() == single


@pytest.mark.parametrize("batched", [True, False])
def test_several_channels_and_both_directions(tmp_path: Path, batched: bool) -> None:
    dog = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    cats = np.arange(12, 18, dtype=np.float32).reshape(2, 1, 3)
    with ExportWriter(tmp_path / "maps.npz", kind="logit", channels=[(6, 0), (6, 3)]) as out:
        add_images(out)
        tokens = [["a", "café", "dog"], ["cats"]]
        if batched:
            maps = np.zeros((2, 2, 3, 3))
            maps[0, :, :3, :2], maps[1, :, :1, :3] = dog, cats
            out.add_captions(["36979", "4711"], maps, indices=[0, 3], tokens=tokens, attention_i2t=-maps)
        else:
            out.add_caption("36979", dog, index=0, tokens=tokens[0], attention_i2t=-dog)
            out.add_caption("4711", cats, index=3, tokens=tokens[1], attention_i2t=-cats)
    export = open_export(tmp_path / "maps.npz")
    assert export.channel.tolist() == [[6, 0], [6, 3]]
    assert captions_of(export) == [
        Caption("36979#0", ["a", "café", "dog"], {"t2i": dog.tolist(), "i2t": (-dog).tolist()}),
        Caption("4711#3", ["cats"], {"t2i": cats.tolist(), "i2t": (-cats).tolist()}),
    ]


def test_one_map_with_and_without_its_channel(tmp_path: Path) -> None:
    for name, maps in (("plain.npz", CATS), ("channel.npz", [CATS])):
        with ExportWriter(tmp_path / name) as out:
            out.add_image("4711", boxes=CAT_BOXES)
            out.add_caption("4711", maps, tokens=["cats"])
    assert (tmp_path / "plain.npz").read_bytes() == (tmp_path / "channel.npz").read_bytes()


def test_tokens_without_a_text(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("36979", DOG, tokens=["<start>", "café", "dog"])
    export = open_export(tmp_path / "maps.npz")
    assert captions_of(export) == [Caption("36979#?", [None, "café", "dog"], {"t2i": [DOG]})]
    assert export.caption_text is not None
    assert list(export.caption_text.take(np.array([0]))) == ["<start> café dog"]
    assert export.caption_index.tolist() == [-1]


def test_tokens_beside_a_text(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("36979", DOG, text="A café-dog.", tokens=["a", "café", "dog"])
    export = open_export(tmp_path / "maps.npz")
    assert captions_of(export)[0].tokens == ["a", "café", "dog"]
    assert export.caption_text is not None
    assert list(export.caption_text.take(np.array([0]))) == ["A café-dog."]


def test_batches_without_numbers(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_captions(["4711"], [CATS], texts=["cats"], spans=[np.array([(0, 4)])])
    assert captions_of(open_export(tmp_path / "maps.npz")) == [Caption("4711#?", ["cats"], {"t2i": [CATS]})]


def test_a_caption_without_tokens(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("4711", np.zeros((0, 3)), index=0, tokens=[])
        out.add_caption("4711", CATS, index=3, tokens=["cats"])
    assert captions_of(open_export(tmp_path / "maps.npz")) == [
        Caption("4711#0", [], {"t2i": [[]]}),
        Caption("4711#3", ["cats"], {"t2i": [CATS]}),
    ]


@pytest.mark.parametrize("others", [True, False], ids=["among others", "alone"])
def test_captions_of_an_image_without_regions(tmp_path: Path, others: bool) -> None:
    expected = [Caption("1#0", ["no", "boxes"], {"t2i": [[[], []]]})]
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        out.add_image("1", boxes=np.zeros((0, 4)))
        out.add_caption("1", np.zeros((2, 0)), index=0, tokens=["no", "boxes"])
        if others:
            out.add_image("4711", boxes=CAT_BOXES)
            out.add_captions(
                ["4711", "1"], [np.array(CATS), np.zeros((1, 3))], indices=[3, 1], tokens=[["cats"], ["none"]]
            )
            expected.append(Caption("4711#3", ["cats"], {"t2i": [CATS]}))
            expected.append(Caption("1#1", ["none"], {"t2i": [[[]]]}))
    assert captions_of(open_export(tmp_path / "maps.npz")) == expected
    assert problems(tmp_path / "maps.npz") == []


def test_a_caption_without_spans(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("4711", np.zeros((0, 3)), index=0, text="", spans=[])
        out.add_caption("4711", CATS, index=3, text="cats", spans=[(0, 4)])
    assert [caption.tokens for caption in captions_of(open_export(tmp_path / "maps.npz"))] == [[], ["cats"]]


def test_a_grid(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        out.add_image("1", size=(100, 50), grid=(1, 2))
        out.add_image("2", size=(60, 60), grid=(2, 2))
        out.add_caption("1", [[0.25, 0.75]], index=0, tokens=["dog"])
        out.add_caption("2", [[0.25, 0.25, 0.5, 0]], index=0, tokens=["cat"])
    export = open_export(tmp_path / "maps.npz")
    assert export.regions.grid_affine is None
    boxes = export.regions.boxes(np.array([0, 1]), np.array([[100, 50], [60, 60]]))
    expected = [[0, 0, 50, 50], [50, 0, 100, 50], [0, 0, 30, 30], [30, 0, 60, 30], [0, 30, 30, 60], [30, 30, 60, 60]]
    assert boxes.tolist() == expected
    assert [caption.weights["t2i"] for caption in captions_of(export)] == [[[[0.25, 0.75]]], [[[0.25, 0.25, 0.5, 0]]]]


def test_a_grid_that_is_shifted(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        out.add_image("1", size=(100, 50), grid=(2, 2), affine=(25, 25.5, 25, 0))
        out.add_caption("1", [[1, 0, 0, 0]], tokens=["dog"])
    export = open_export(tmp_path / "maps.npz")
    boxes = export.regions.boxes(np.array([0]), np.array([[100, 50]]))
    assert boxes.tolist() == [[25, 0, 50, 25.5], [50, 0, 75, 25.5], [25, 25.5, 50, 50], [50, 25.5, 75, 50]]


def test_images_without_sizes(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz") as out:
        out.add_image("1", boxes=DOG_BOXES)
        out.add_caption("1", DOG, tokens=["a", "b", "c"])
    assert open_export(tmp_path / "maps.npz").image_size is None


def test_half_precision(tmp_path: Path) -> None:
    export = open_export(write(tmp_path / "maps.npz", dtype="float16"))
    assert export.maps["t2i"].itemsize == 2
    assert captions_of(export) == ATTENTION
    assert problems(tmp_path / "maps.npz") == []


def test_similarities(tmp_path: Path) -> None:
    scores = np.array([[1, 2, 3], [4, 5, 6.5]])
    with ExportWriter(tmp_path / "maps.npz") as out:
        add_images(out)
        for index in range(3):
            out.add_caption("4711", CATS, index=index, tokens=["cats"])
        out.set_similarity(scores)
    export = open_export(tmp_path / "maps.npz")
    assert export.similarity is not None
    assert export.similarity.rows(0, 2).tolist() == scores.tolist()
    assert export.similarity.rows(0, 1).dtype == np.float32


@pytest.mark.parametrize("batched", [True, False])
def test_similarities_alone(tmp_path: Path, batched: bool) -> None:
    with ExportWriter(tmp_path / "maps.npz", kind="similarity") as out:
        add_images(out)
        if batched:
            out.add_captions(["36979", "4711"], None, indices=[0, 2], texts=["a", "b"])
        else:
            out.add_caption("36979", index=0, text="a")
            out.add_caption("4711", index=2, text="b")
        out.set_similarity(np.eye(2))
    with np.load(tmp_path / "maps.npz") as data:
        assert (data["caption_text"].tobytes(), data["caption_text_offset"].tolist()) == (b"ab", [0, 1, 2])
    export = open_export(tmp_path / "maps.npz")
    assert export.maps == {}
    assert [export.caption_name(row) for row in range(2)] == ["36979#0", "4711#2"]
    assert problems(tmp_path / "maps.npz") == []


def test_texts_of_captions_without_maps(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "maps.npz", kind="similarity") as out:
        out.add_image("36979", boxes=DOG_BOXES)
        out.add_caption("36979", text="a dog")
        out.set_similarity(np.eye(1))
    export = open_export(tmp_path / "maps.npz")
    assert export.caption_text is not None
    assert list(export.caption_text.take(np.array([0]))) == ["a dog"]


def test_many_captions_of_any_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    regions = [int(count) for count in rng.integers(1, 9, 20)]
    expected: list[Caption] = []
    with ExportWriter(tmp_path / "maps.npz", kind="logit", channels=[(0, 0), (0, 1), (1, 0)]) as out:
        for image, count in enumerate(regions):
            out.add_image(f"im{image}", boxes=np.tile([0, 0, 1, 1], (count, 1)))
        for row in range(100):
            image = row % 20
            tokens = [f"t{k}" for k in range(int(rng.integers(0, 12)))]
            maps = rng.random((3, len(tokens), regions[image])).astype(np.float32)
            out.add_caption(f"im{image}", maps, index=row // 20, tokens=tokens)
            expected.append(Caption(f"im{image}#{row // 20}", [*tokens], {"t2i": maps.tolist()}))
    assert captions_of(open_export(tmp_path / "maps.npz")) == expected


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 writes other local headers, with the same content")
def test_a_fixture_is_what_it_writes(fixtures: Path, tmp_path: Path) -> None:
    path = fixtures / "noisy.npz"
    export, read = open_export(path), read_export(path)
    assert export.image_size is not None
    assert export.caption_text is not None
    texts = export.caption_text.take(np.arange(len(read.maps)))
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions", **export.header.about) as out:
        for (name, boxes), (width, height) in zip(read.boxes.items(), export.image_size.tolist(), strict=True):
            out.add_image(name, size=(width, height), boxes=boxes)
        for own, text in zip(read.maps, texts, strict=True):
            out.add_caption(own.image, own.weights, index=own.index, text=text, tokens=own.tokens)
        assert read.similarity is not None
        out.set_similarity(read.similarity)
    assert (tmp_path / "maps.npz").read_bytes() == path.read_bytes()
