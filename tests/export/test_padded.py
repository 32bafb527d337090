"""The padded layout, as one writes it by hand, and everything that a reader must refuse."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import (
    Caption,
    assert_says,
    captions_of,
    floats,
    padded,
    problems,
    refusal,
    saved,
    utf8,
)
from reference_inputs import read_export

from attneval.export.read.reader import open_export

if TYPE_CHECKING:
    from pathlib import Path

FIRST = Caption("36979#0", ["a", "café", "dog"], {"t2i": [[[0.25, 0.75, 0], [0.5, 0.5, 0], [1, 0, 0]]]})
SECOND = Caption("4711#3", ["cats"], {"t2i": [[[0.5, 0.5, 0]]]})
THIRD = Caption("36979#1", [None, "two"], {"t2i": [[[0.125, 0.875, 0], [0, 1, 0]]]})

DOG_BOXES = [[0, 0, 50, 80], [50, 0, 100, 80], [0, 0, 0, 0]]
CAT_BOXES = [[0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 5, 5]]
SIZES = np.array([[100, 80], [60, 50]])


def grid() -> dict[str, Any]:
    """The maps of `padded` over grids of one row and three columns."""
    return padded(attn=padded()["attn"][:, :, None, :], boxes=None)


# ---------------------------------------------------------------- what is read


def test_every_member_is_read(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", padded(image_size=SIZES)))
    assert (export.header.kind, export.header.normalised_over, export.header.about) == ("attention", "none", {})
    assert export.image_id == ["36979", "4711"]
    assert export.image_size is not None
    assert export.image_size.tolist() == [[100, 80], [60, 50]]
    assert export.caption_image.tolist() == [0, 1, 0]
    assert export.caption_index.tolist() == [0, 3, 1]
    assert export.token_offset.tolist() == [0, 3, 4, 6]
    assert export.regions.offset.tolist() == [0, 3, 6]
    assert export.regions.boxes(np.array([1, 0]), SIZES[::-1]).tolist() == CAT_BOXES + DOG_BOXES
    assert export.channel.tolist() == [[-1, -1]]
    assert captions_of(export) == [FIRST, SECOND, THIRD]
    assert problems(tmp_path / "maps.npz") == []


@pytest.mark.parametrize(
    ("rows", "expected"), [([1], [SECOND]), ([2, 0], [THIRD, FIRST]), ([1, 2], [SECOND, THIRD]), ([0], [FIRST])]
)
@pytest.mark.parametrize("layout", [padded, grid], ids=["boxes", "grid"])
def test_blocks_of_any_captions(tmp_path: Path, rows: list[int], expected: list[Caption], layout: Any) -> None:
    assert captions_of(open_export(saved(tmp_path / "maps.npz", layout())), rows) == expected


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_weights_of_any_width_and_order(tmp_path: Path, dtype: str, order: Any) -> None:
    weights = padded()["attn"].astype(dtype, order=order)
    export = open_export(saved(tmp_path / "maps.npz", padded(attn=weights)))
    assert captions_of(export) == [FIRST, SECOND, THIRD]
    assert captions_of(export, [1]) == [SECOND]


def test_boxes_may_be_whole_numbers(tmp_path: Path) -> None:
    """What a person types, `[[0, 0, 50, 80], ...]`, is an array of integers."""
    arrays = padded()
    arrays["boxes"] = arrays["boxes"].astype(np.int64)
    path = saved(tmp_path / "maps.npz", arrays)
    assert open_export(path).regions.boxes(np.array([1, 0]), SIZES[::-1]).tolist() == CAT_BOXES + DOG_BOXES
    assert problems(path) == []


def test_what_lies_beyond_the_tokens_is_ignored(tmp_path: Path) -> None:
    weights = padded()["attn"]
    weights[1, 1:] = np.nan
    path = saved(tmp_path / "maps.npz", padded(attn=weights, meta=np.array('{"normalised_over": "regions"}')))
    assert captions_of(open_export(path)) == [FIRST, SECOND, THIRD]
    assert problems(path) == []


def test_an_empty_word_before_the_last_is_a_token(tmp_path: Path) -> None:
    words = np.array([["a", "", "dog"], ["cats", "", ""], ["", "two", ""]])
    export = open_export(saved(tmp_path / "maps.npz", padded(words=words)))
    assert export.token_offset.tolist() == [0, 3, 4, 6]
    assert [caption.tokens for caption in captions_of(export)] == [["a", None, "dog"], ["cats"], [None, "two"]]
    assert [caption.weights for caption in captions_of(export)] == [FIRST.weights, SECOND.weights, THIRD.weights]


def test_a_caption_without_words(tmp_path: Path) -> None:
    words = np.array([["a", "café", "dog"], ["", "", ""], ["<start>", "two", ""]])
    export = open_export(saved(tmp_path / "maps.npz", padded(words=words)))
    assert captions_of(export) == [FIRST, Caption("4711#3", [], {"t2i": [[]]}), THIRD]


def test_a_block_of_captions_without_words(tmp_path: Path) -> None:
    words = np.array([["a", "café", "dog"], ["", "", ""], ["<start>", "two", ""]])
    export = open_export(saved(tmp_path / "maps.npz", padded(words=words)))
    assert captions_of(export, [1]) == [Caption("4711#3", [], {"t2i": [[]]})]


def test_no_tokens_at_all(tmp_path: Path) -> None:
    members = padded(words=np.zeros((3, 0), "U1"), attn=np.zeros((3, 0, 3), np.float32))
    assert problems(saved(tmp_path / "maps.npz", members)) == []


def test_a_grid_covers_the_whole_image(tmp_path: Path) -> None:
    weights = np.arange(2 * 1 * 2 * 3, dtype=np.float32).reshape(2, 1, 2, 3)
    members = padded(
        attn=weights, words=np.array([["a"], ["b"]]), caption_ids=np.array(["36979#0", "4711#0"]), boxes=None
    )
    export = open_export(saved(tmp_path / "maps.npz", members))
    assert captions_of(export) == [
        Caption("36979#0", ["a"], {"t2i": [[[0, 1, 2, 3, 4, 5]]]}),
        Caption("4711#0", ["b"], {"t2i": [[[6, 7, 8, 9, 10, 11]]]}),
    ]
    assert export.regions.boxes(np.array([1]), np.array([[60, 50]])).tolist() == [
        [0, 0, 20, 25],
        [20, 0, 40, 25],
        [40, 0, 60, 25],
        [0, 25, 20, 50],
        [20, 25, 40, 50],
        [40, 25, 60, 50],
    ]


def test_boxes_by_image_that_name_no_images_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    said = refusal(saved(tmp_path / "maps.npz", padded(boxes=floats(DOG_BOXES, CAT_BOXES))))
    assert_says(said, "boxes: has shape (2, 3, 4), expected (3, 3, 4)", "a row for each caption", "image_ids")


def test_boxes_of_images_in_their_own_order(tmp_path: Path) -> None:
    ids = np.array(["4711", "unseen", "36979"])
    boxes = floats(CAT_BOXES, [[0, 0, 1, 1]] * 3, DOG_BOXES)
    export = open_export(saved(tmp_path / "maps.npz", padded(image_ids=ids, boxes=boxes)))
    assert export.image_id == ["4711", "unseen", "36979"]
    assert export.caption_image.tolist() == [2, 0, 2]
    sizes = np.array([[100, 80], [60, 50]])
    assert export.regions.boxes(np.array([2, 0]), sizes).tolist() == DOG_BOXES + CAT_BOXES
    assert captions_of(export) == [FIRST, SECOND, THIRD]


def test_boxes_of_captions_beside_image_ids(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", padded(image_ids=np.array(["4711", "36979"]))))
    assert export.regions.boxes(np.array([0, 1]), SIZES).tolist() == CAT_BOXES + DOG_BOXES


def test_regions_without_boxes(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", padded(boxes=None)))
    assert not export.regions.known
    assert export.regions.offset.tolist() == [0, 3, 6]
    assert captions_of(export) == [FIRST, SECOND, THIRD]


def test_both_directions(tmp_path: Path) -> None:
    back = np.arange(27, dtype=np.float16).reshape(3, 3, 3)
    read = captions_of(open_export(saved(tmp_path / "maps.npz", padded(attn_i2t=back))))
    assert [caption.weights["t2i"] for caption in read] == [own.weights["t2i"] for own in (FIRST, SECOND, THIRD)]
    assert [caption.weights["i2t"] for caption in read] == [
        [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]],
        [[[9, 10, 11]]],
        [[[18, 19, 20], [21, 22, 23]]],
    ]


@pytest.mark.parametrize(
    ("ids", "images", "indices"),
    [
        (["36979", "4711", "36979"], ["36979", "4711"], [-1, -1, -1]),
        (["36979#-1", "4711#12", "36979"], ["36979", "4711"], [-1, 12, -1]),
        (["a#b#2", "a#0", "#1"], ["a#b", "a", ""], [2, 0, 1]),
        (["COCO_val2014_000000000042#0", "42#0", "42#1"], ["COCO_val2014_000000000042", "42"], [0, 0, 1]),
    ],
    ids=["none", "some", "marks", "coco"],
)
def test_caption_ids(tmp_path: Path, ids: list[str], images: list[str], indices: list[int]) -> None:
    export = open_export(saved(tmp_path / "maps.npz", padded(caption_ids=np.array(ids), boxes=None)))
    assert export.image_id == images
    assert export.caption_index.tolist() == indices


def test_strings_as_bytes(tmp_path: Path) -> None:
    words = utf8("words", "a", "café", "dog", "cats", "", "", "<start>", "two", "")
    ids = utf8("caption_ids", "36979#0", "4711#3", "36979#1") | utf8("image_ids", "36979", "4711")
    path = saved(tmp_path / "maps.npz", padded(**words, **ids))
    export = open_export(path)
    assert captions_of(export) == [FIRST, SECOND, THIRD]
    assert export.image_id == ["36979", "4711"]
    assert problems(path) == []


def test_what_meta_says(tmp_path: Path) -> None:
    meta = {"kind": "similarity", "normalised_over": "none", "model": "CLIP", "layers": [1, 2]}
    export = open_export(saved(tmp_path / "maps.npz", padded(meta=np.array(json.dumps(meta)))))
    assert (export.header.kind, export.header.normalised_over) == ("similarity", "none")
    assert export.header.about == {"model": "CLIP", "layers": [1, 2]}


def test_similarities_beside_maps(tmp_path: Path) -> None:
    scores = floats([1, 2, 3], [4, 5, 6])
    export = open_export(saved(tmp_path / "maps.npz", padded(similarity=scores, image_ids=np.array(["4711", "36979"]))))
    assert export.image_id == ["4711", "36979"]
    assert export.similarity is not None
    assert export.similarity.rows(1, 2).tolist() == [[4, 5, 6]]


def test_similarities_alone(tmp_path: Path) -> None:
    members = padded(attn=None, words=None, boxes=None, similarity=floats([1, 2, 3], [4, 5, 6]))
    path = saved(tmp_path / "maps.npz", members)
    export = open_export(path)
    assert export.maps == {}
    assert export.token_offset.tolist() == [0, 0, 0, 0]
    assert export.regions.offset.tolist() == [0, 0, 0]
    assert export.caption_image.tolist() == [0, 1, 0]
    assert [export.caption_name(row) for row in range(3)] == ["36979#0", "4711#3", "36979#1"]
    assert problems(path) == []


def test_unknown_members_are_ignored_with_a_warning(tmp_path: Path) -> None:
    members = padded(x_notes=np.zeros(3), atn_i2t=np.zeros(3), spans=np.zeros(2))
    export = open_export(saved(tmp_path / "maps.npz", members))
    (warning,) = export.warnings
    assert_says(warning, "maps.npz", "atn_i2t", "spans")
    assert "x_notes" not in warning
    assert captions_of(export) == [FIRST, SECOND, THIRD]


# ---------------------------------------------------------------- what is refused


def meta(**keys: Any) -> dict[str, Any]:
    return {"meta": np.array(json.dumps(keys))}


FLAT = {"attn": np.ones((3, 3, 1, 3), np.float32)}

REFUSED: dict[str, Any] = {
    **{f"no {name}": ({name: None}, (name, "missing")) for name in ("attn", "words", "caption_ids")},
    # types
    "attn of integers": ({"attn": np.ones((3, 3, 3), int)}, ("attn", "int64", "floats")),
    "words of numbers": ({"words": np.ones((3, 3))}, ("words", "float64", "unicode strings")),
    "words of bytes": ({"words": np.array([[b"a"] * 3] * 3)}, ("words", "S1", "unicode strings")),
    "ids of numbers": ({"caption_ids": np.array([0, 1, 2])}, ("caption_ids", "int64", "unicode strings")),
    "image ids of numbers": ({"image_ids": np.array([36979, 4711])}, ("image_ids", "int64", "unicode strings")),
    "boxes of truth values": ({"boxes": np.ones((3, 3, 4), bool)}, ("boxes", "bool", "floats or integers")),
    "sizes of floats": ({"image_size": np.ones((2, 2))}, ("image_size", "float64", "integers")),
    "meta of bytes": ({"meta": np.frombuffer(b"{}", np.uint8)}, ("meta", "uint8", "unicode strings")),
    # shapes
    "attn of two axes": ({"attn": np.ones((3, 9))}, ("attn", "(3, 9)", "(3, any, any)", "(3, any, any, any)")),
    "attn of five axes": ({"attn": np.ones((3, 3, 1, 1, 3))}, ("attn", "(3, 3, 1, 1, 3)")),
    "attn of fewer captions": ({"attn": np.ones((2, 3, 3))}, ("attn", "(2, 3, 3)", "(3, any, any)")),
    "ids as a table": ({"caption_ids": np.array([["36979#0"]])}, ("caption_ids", "(1, 1)", "(any)")),
    "one id": ({"caption_ids": np.array("36979#0")}, ("caption_ids", "()", "(any)")),
    "words of fewer bytes": (utf8("words", "a", "b", "c"), ("words_offset", "(4,)", "(10)")),
    "words of no text": (
        utf8("words", *["a"] * 9) | {"words": np.frombuffer(b"aaaa\xffaaaa", np.uint8)},
        ("words", "entry 4", "0xff"),
    ),
    "the other direction alone": (
        {"attn": None, "attn_i2t": np.ones((3, 3, 3)), "similarity": np.ones((2, 3)), "boxes": None},
        ("attn", "missing"),
    ),
    "words of fewer tokens": ({"words": np.array([["a", "b"]] * 3)}, ("words", "(3, 2)", "(3, 3)")),
    "words of fewer captions": ({"words": np.array([["a", "b", "c"]] * 2)}, ("words", "(2, 3)", "(3, 3)")),
    "flat words": ({"words": np.array(["a b c"] * 3)}, ("words", "(3,)", "(3, 3)")),
    "boxes of five": ({"boxes": np.ones((3, 3, 5))}, ("boxes", "(3, 3, 5)", "(3, 3, 4)")),
    "boxes of other regions": ({"boxes": np.ones((3, 36, 4))}, ("boxes", "(3, 36, 4)", "(3, 3, 4)")),
    "boxes of images without ids": ({"boxes": np.ones((2, 3, 4))}, ("boxes", "(2, 3, 4)", "(3, 3, 4)")),
    "boxes of neither": (
        {"boxes": np.ones((5, 3, 4)), "image_ids": np.array(["4711", "36979"])},
        ("boxes", "(5, 3, 4)", "(2, 3, 4)", "(3, 3, 4)"),
    ),
    "image ids as a table": ({"image_ids": np.array([["36979", "4711"]])}, ("image_ids", "(1, 2)", "(any)")),
    "sizes of captions": ({"image_size": np.ones((3, 2), int)}, ("image_size", "(3, 2)", "(2, 2)")),
    "similarity of captions x images": ({"similarity": np.ones((3, 2))}, ("similarity", "(3, 2)", "(2, 3)")),
    "attn_i2t transposed": (
        {"attn": np.ones((3, 3, 2)), "attn_i2t": np.ones((3, 2, 3)), "boxes": None},
        ("attn_i2t", "(3, 2, 3)", "(3, 3, 2)"),
    ),
    "several metas": ({"meta": np.array(["{}"])}, ("meta", "(1,)", "()")),
    # meta
    "meta that is no JSON": ({"meta": np.array("SCAN")}, ("meta", "JSON")),
    "meta that is a list": ({"meta": np.array("[]")}, ("meta", "list")),
    "another kind": (meta(kind="softmax"), ("meta", "'softmax'", "attention, similarity, relevance, logit")),
    "another axis": (meta(normalised_over="both"), ("meta", "'both'", "regions, tokens, none")),
    "another major version": pytest.param(meta(version=[2, 0]), ("meta", "version 2.0")),
    "another format": pytest.param(meta(format="npz"), ("meta", "npz")),
    # ids
    "a caption twice": ({"caption_ids": np.array(["1#0", "1#1", "1#0"]), "boxes": None}, ("twice", "1#0")),
    "an image twice": (
        {"image_ids": np.array(["36979", "4711", "36979"])},
        ("twice", "36979"),
    ),
    "images that are not there": (
        {"image_ids": np.array(["36979", "1"]), "boxes": None},
        ("caption_ids", "image_ids", "first: 4711"),
    ),
    "a number below -1": ({"caption_ids": np.array(["1#-3", "1#1", "1#0"]), "boxes": None}, ("-1",)),
    **{
        f"id {text}": ({"caption_ids": np.array([text, "4711#3", "36979#1"])}, ("caption_ids", f"'{text}'", "number"))
        for text in ("36979#one", "36979#", "36979#-", "36979#1.5", "36979#0.jpg", "36979#²")
    },
    **{
        f"id {text}": pytest.param({"caption_ids": np.array([text, "4711#3", "36979#1"])}, ("caption_ids", text))
        for text in ("36979#--5", "36979#99999999999999999999")
    },
    # boxes
    "boxes beside a grid": (FLAT, ("boxes", "grid")),
    "boxes that differ": (
        {"boxes": floats(DOG_BOXES, CAT_BOXES, DOG_BOXES[::-1])},
        ("boxes", "differ", "first: 36979#1"),
    ),
    "a grid without rows": pytest.param(
        {"attn": np.ones((3, 3, 0, 3), np.float32), "boxes": None}, ("attn", "(3, 3, 0, 3)")
    ),
}


@pytest.mark.parametrize(("changes", "parts"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    path = saved(tmp_path / "maps.npz", padded(**changes))
    assert_says(refusal(path), str(path), *parts)
    assert_says("\n".join(problems(path)), *parts)


def test_captions_with_other_boxes_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", padded(boxes=floats(DOG_BOXES, CAT_BOXES, DOG_BOXES[::-1])))
    assert_says(refusal(path), "boxes", "36979#1")


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"caption_ids": np.array(["1#0", "1#1", "1#0"])}, "caption_ids:"),
        ({"image_ids": np.array(["36979", "4711", "36979"])}, "image_ids:"),
    ],
    ids=["caption", "image"],
)
def test_duplicates_are_blamed_on_their_own_member(tmp_path: Path, changes: dict[str, Any], member: str) -> None:
    assert_says(refusal(saved(tmp_path / "maps.npz", padded(boxes=None, **changes))), member)


def test_boxes_that_are_no_numbers_do_not_differ(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", padded(boxes=floats(DOG_BOXES, [[0, 0, np.nan, 5]] * 3, DOG_BOXES)))
    (problem,) = problems(path)
    assert "differ" not in problem
    assert_says(problem, "4711 region 0", "nan")


# ---------------------------------------------------------------- files of others


def test_the_fixture_is_read_as_the_reference_reads_it(fixtures: Path) -> None:
    _assert_equals_reference(fixtures / "uniform.npz", sizes={})


@pytest.mark.realdata
def test_a_real_export_is_read_as_the_reference_reads_it(shared: Path) -> None:
    path = shared / "f8k285_grid.npz"
    assert problems(path) == []
    _assert_equals_reference(path, sizes=dict.fromkeys(open_export(path).image_id, (640, 480)))


def _assert_equals_reference(path: Path, sizes: dict[str, tuple[int, int]]) -> None:
    export, expected = open_export(path), read_export(path, sizes)
    assert export.image_id == list(expected.boxes)
    images = np.arange(len(export.image_id))
    boxes = [box for own in expected.boxes.values() for box in own]
    size = np.array([sizes.get(name, (0, 0)) for name in expected.boxes])
    np.testing.assert_allclose(export.regions.boxes(images, size), boxes, rtol=1e-12)
    rows = np.arange(len(expected.maps))
    tokens, block = export.tokens(rows), export.maps["t2i"].take(rows)
    texts = iter(tokens.span.tolist())
    for row, theirs in enumerate(expected.maps):
        assert export.caption_name(row) == f"{theirs.image}#{theirs.index}"
        spans = [next(texts) for _ in theirs.tokens]
        read = [tokens.text[row][start:stop] for start, stop in spans]
        assert [token or special for token, special in zip(read, theirs.tokens, strict=True)] == theirs.tokens
        weights = block.flat[block.start[row] : block.start[row] + theirs.weights.size]
        np.testing.assert_array_equal(weights, theirs.weights.reshape(-1))
