"""Writing packed exports: what goes in comes out, whole or not at all."""

from __future__ import annotations

import gc
import resource
import signal
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
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
    assert_says,
    captions_of,
    packed,
    problems,
    write,
)
from reference_inputs import read_export

import attneval
from attneval.errors import DataError, ExportError
from attneval.export.reader import open_export
from attneval.export.writer import ExportWriter

if TYPE_CHECKING:
    from collections.abc import Iterator


def padding(maps: list[Any], tokens: int, regions: int, fill: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Maps of one batch, as a model gives them."""
    batch = np.full((len(maps), tokens, regions), fill)
    for own, values in zip(batch, maps, strict=True):
        own[: len(values), : len(values[0])] = values
    return batch


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# ---------------------------------------------------------------- what is written


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


@pytest.mark.parametrize("fill", [0.0, -7.0, np.nan])
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
            maps = np.full((2, 2, 3, 3), 99.0)
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
            out.add_captions(["4711", "1"], [CATS, CATS], indices=[3, 1], tokens=[["cats"], ["none"]])
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
    assert export.similarity.members.dtype("similarity") == np.float32


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


# ---------------------------------------------------------------- whole or not at all


def interrupted(path: Path, error: type[BaseException]) -> None:
    before = listing(path.parent)
    with ExportWriter(path) as out:
        add_images(out)
        out.add_caption("36979", DOG, tokens=["a", "b", "c"])
        assert listing(path.parent) == before  # what is written has no name yet
        raise error


@pytest.mark.parametrize("old", [None, b"what was there before"], ids=["new", "old"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_what_was_there(tmp_path: Path, old: bytes | None, error: type[BaseException]) -> None:
    path = tmp_path / "maps.npz"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(error):
        interrupted(path, error)
    assert listing(tmp_path) == ([] if old is None else ["maps.npz"])
    assert old is None or path.read_bytes() == old


def test_a_refusal_at_the_end_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    path.write_bytes(b"old")
    with pytest.raises(ExportError, match="similarity"):
        perform(path, (GIVEN, call("set_similarity", np.eye(5))))
    assert listing(tmp_path) == ["maps.npz"]
    assert path.read_bytes() == b"old"


def test_closing_early_and_twice(tmp_path: Path) -> None:
    expected = write(tmp_path / "expected.npz").read_bytes()
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        add_images(out)
        out.add_caption("36979", DOG, index=0, text="a café dog", spans=[(0, 1), (2, 6), (7, 10)])
        out.add_caption("4711", CATS, index=3, text="cats", spans=[(0, 4)])
        out.add_caption("36979", TWO, index=1, text="Two", spans=[(-1, -1), (0, 3)])
        out.close()
        assert (tmp_path / "maps.npz").read_bytes() == expected
        for name, given, named in (
            call("add_image", "1", size=(1, 1), boxes=CAT_BOXES),
            call("add_caption", "4711", CATS, index=4, text="cats", spans=[(0, 4)]),
            call("set_similarity", np.zeros((2, 3))),
            call("describe", {"model": "SCAN"}),
        ):
            with pytest.raises(ExportError, match=r"maps\.npz is closed: nothing can be added"):
                getattr(out, name)(*given, **named)
    out.close()
    assert (tmp_path / "maps.npz").read_bytes() == expected
    assert listing(tmp_path) == ["expected.npz", "maps.npz"]


def test_what_was_given_up_is_not_closed_in_silence(tmp_path: Path) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    with pytest.raises(ExportError, match="similarity"):
        out.close()
    with pytest.raises(ExportError, match=r"maps\.npz is given up"):
        out.close()
    assert listing(tmp_path) == []


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Files cannot grow beyond a size, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(out: ExportWriter, captions: int) -> None:
    """Add maps of 720 kB each, in both directions."""
    out.add_image("1", boxes=np.zeros((36, 4)))
    maps = np.ones((1, 5000, 36))
    for index in range(captions):
        out.add_captions(["1"], maps, indices=[index], tokens=[["a"] * 5000], attention_i2t=maps)


def test_a_disk_that_fills_up_while_maps_are_added(tmp_path: Path) -> None:
    path = tmp_path / "maps.npz"
    path.write_bytes(b"old")

    def write_on() -> None:
        with ExportWriter(path) as out:
            with pytest.raises(DataError, match=r"maps\.npz cannot be written"):
                fill(out, 100)
            # Whoever goes on in spite of it gets no file with a hole in it.
            out.close()

    with room_for(10 * 720_000), pytest.raises(DataError, match=r"maps\.npz cannot be written"):
        write_on()
    assert listing(tmp_path) == ["maps.npz"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("room", [1, 1.5, 2, 2.01])
def test_a_disk_that_fills_up_at_the_end(tmp_path: Path, room: float) -> None:
    path = tmp_path / "maps.npz"
    path.write_bytes(b"old")
    with room_for(int(room * 720_000)), pytest.raises(DataError, match=r"maps\.npz cannot be written"):
        perform_fill(path)
    assert listing(tmp_path) == ["maps.npz"]
    assert path.read_bytes() == b"old"


def perform_fill(path: Path) -> None:
    with ExportWriter(path) as out:
        fill(out, 1)


@pytest.mark.parametrize("system", ["nameless", "named"])
@pytest.mark.parametrize("captions", [0, 1, 3])
def test_a_writer_that_is_forgotten_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, captions: int
) -> None:
    if system == "named":
        monkeypatch.setattr("attneval.files._open_nameless", lambda _: None)
    out = ExportWriter(tmp_path / "maps.npz")
    fill(out, captions)
    assert len(listing(tmp_path)) == (system == "named")
    del out
    gc.collect()
    assert listing(tmp_path) == []


def test_a_system_whose_files_all_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = write(tmp_path / "expected.npz").read_bytes()
    monkeypatch.setattr("attneval.files._open_nameless", lambda _: None)
    assert write(tmp_path / "maps.npz").read_bytes() == expected
    with pytest.raises(ExportError, match="similarity"):
        perform(tmp_path / "maps.npz", (GIVEN, call("set_similarity", np.eye(5))))
    assert listing(tmp_path) == ["expected.npz", "maps.npz"]
    assert (tmp_path / "maps.npz").read_bytes() == expected


def test_the_file_is_there_after_closing_and_not_before(tmp_path: Path) -> None:
    out = ExportWriter(tmp_path / "maps.npz")
    add_images(out)
    out.add_caption("36979", DOG, tokens=["a", "b", "c"])
    assert listing(tmp_path) == []
    out.close()
    assert listing(tmp_path) == ["maps.npz"]


KILLED = """
import os, sys, time
import numpy as np
from attneval.export import npz, writer

def stop():
    print("now", flush=True)
    time.sleep(60)

path, when = sys.argv[1:]
if when == "finishing":
    npz._write_member = lambda archive, *member: stop()
elif when == "placing":
    os.replace = lambda *names: stop()
with writer.ExportWriter(path) as out:
    out.add_image("1", boxes=np.zeros((36, 4)))
    for index in range(20):
        out.add_caption("1", np.ones((500, 36)), index=index, tokens=["a"] * 500)
    if when == "adding":
        stop()
"""


@pytest.mark.parametrize("when", ["adding", "finishing", "placing"])
@pytest.mark.parametrize("old", [None, b"what was there before"], ids=["new", "old"])
def test_a_killed_run_leaves_the_old_file_or_none(tmp_path: Path, when: str, old: bytes | None) -> None:
    path = tmp_path / "maps.npz"
    if old is not None:
        path.write_bytes(old)
    with subprocess.Popen([sys.executable, "-c", KILLED, path, when], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert path.exists() == (old is not None)
    assert old is None or path.read_bytes() == old
    if when != "placing":
        assert listing(tmp_path) == ([] if old is None else ["maps.npz"])
    assert [name for name in listing(tmp_path) if name.endswith(".npz")] == ([] if old is None else ["maps.npz"])


# ---------------------------------------------------------------- what is refused


Step = tuple[str, tuple[Any, ...], dict[str, Any]]


def perform(path: Path, steps: tuple[Step, ...]) -> None:
    with ExportWriter(path) as out:
        add_images(out)
        for name, positional, named in steps:
            getattr(out, name)(*positional, **named)


def refused(path: Path, *steps: Step) -> str:
    """Why a writer of two images refuses to go on."""
    with pytest.raises(ExportError) as caught:
        perform(path, steps)
    assert not path.exists()
    return str(caught.value)


def call(name: str, *positional: Any, **named: Any) -> Step:
    return name, positional, named


DOG_TOKENS = ["a", "café", "dog"]
GIVEN = call("add_caption", "36979", DOG, index=0, tokens=DOG_TOKENS)
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
        ("attention", "36979", "(1, 1, 3, 2)", "1 captions x 1 channels x 4 tokens x 2 regions"),
    ),
    "too few regions": (
        call("add_caption", "4711", [[0.5, 0.5]], tokens=["a"]),
        ("attention", "4711", "(1, 1, 1, 2)", "1 tokens x 3 regions"),
    ),
    "a flat map": (call("add_caption", "36979", [0.5, 0.5], tokens=["a"]), ("attention", "36979", "(1, 2)")),
    "two channels of one": (
        call("add_caption", "36979", [DOG, DOG], tokens=DOG_TOKENS),
        ("(1, 2, 3, 2)", "1 channels"),
    ),
    "i2t of another shape": (
        call("add_caption", "36979", DOG, tokens=DOG_TOKENS, attention_i2t=np.transpose(DOG)),
        ("attention_i2t", "36979", "(1, 1, 2, 3)", "3 tokens x 2 regions"),
    ),
    "another batch": (call("add_captions", ["36979"], BATCH, tokens=[["a"]]), ("(2, 1, 3, 3)", "1 captions")),
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
        with pytest.raises(ExportError, match="attention of 4711: cannot be stored as float16"):
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
    with ExportWriter(tmp_path / "maps.npz") as out:
        add_images(out)
        out.add_caption("4711", CATS, index=0, tokens=["cats"], attention_i2t=CATS)
        with pytest.raises(ExportError):
            out.add_caption("36979", DOG, index=0, tokens=DOG_TOKENS, attention_i2t=np.transpose(DOG))
        out.add_caption("36979", TWO, index=1, tokens=["<start>", "two"], attention_i2t=TWO)
    assert [caption.weights["t2i"] for caption in captions_of(open_export(tmp_path / "maps.npz"))] == [[CATS], [TWO]]
