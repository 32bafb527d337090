"""The packed layout: what it holds, and everything that a reader must refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import (
    ATTENTION,
    Caption,
    assert_says,
    captions_of,
    floats,
    header,
    packed,
    padded,
    problems,
    raw,
    refusal,
    saved,
    utf8,
    with_token_text,
)
from reference_inputs import read_export

import attneval
from attneval.errors import ExportError
from attneval.export.read.reader import open_export

if TYPE_CHECKING:
    from pathlib import Path

# ---------------------------------------------------------------- what is read


def test_every_member_is_read(tmp_path: Path) -> None:
    about = {"model": "SCAN", "checkpoint": "runs/1", "extra": {"τ": [1, 2.5]}}
    export = open_export(saved(tmp_path / "maps.npz", packed(format=header(**about))))
    assert export.path == tmp_path / "maps.npz"
    assert (export.header.kind, export.header.normalised_over) == ("attention", "regions")
    assert export.header.about == about
    assert export.image_id == ["36979", "4711"]
    assert export.image_size is not None
    assert export.image_size.tolist() == [[100, 80], [60, 50]]
    assert export.regions.known
    assert export.regions.offset.tolist() == [0, 2, 5]
    assert export.caption_image.tolist() == [0, 1, 0]
    assert export.caption_index.tolist() == [0, 3, 1]
    assert export.caption_text is not None
    assert list(export.caption_text.take(np.array([2, 0]))) == ["Two", "a café dog"]
    assert export.token_offset.tolist() == [0, 3, 4, 6]
    assert export.channel.tolist() == [[-1, -1]]
    assert export.similarity is None
    assert export.warnings == ()
    assert captions_of(export) == ATTENTION


def test_only_three_keys_of_the_header_are_required(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", packed(format=header(normalised_over=None, kind="logit"))))
    assert (export.header.kind, export.header.normalised_over, export.header.about) == ("logit", "none", {})


@pytest.mark.parametrize("rows", [[0], [1], [2], [1, 2], [2, 0], [2, 1, 0]], ids=str)
def test_blocks_of_any_captions(tmp_path: Path, rows: list[int]) -> None:
    export = open_export(saved(tmp_path / "maps.npz", packed()))
    assert captions_of(export, rows) == [ATTENTION[row] for row in rows]


STRINGS: dict[str, dict[str, Any]] = {
    "bytes": {},
    "unicode": {
        "image_id": np.array(["36979", "4711"]),
        "image_id_offset": None,
        "caption_text": np.array(["a café dog", "cats", "Two"]),
        "caption_text_offset": None,
    },
    "big-endian": {"image_id": np.array(["36979", "4711"], ">U7"), "image_id_offset": None},
}


@pytest.mark.parametrize("changes", STRINGS.values(), ids=STRINGS)
def test_both_forms_of_strings(tmp_path: Path, changes: dict[str, Any]) -> None:
    export = open_export(saved(tmp_path / "maps.npz", packed(**changes)))
    assert export.image_id == ["36979", "4711"]
    assert captions_of(export) == ATTENTION


UNICODE_TOKENS = {"token_text": np.array(["a", "café", "dog", "cats", "<start>", "two"]), "token_text_offset": None}


@pytest.mark.parametrize("changes", [{}, UNICODE_TOKENS], ids=["bytes", "unicode"])
@pytest.mark.parametrize("texts", [{}, utf8("caption_text", "A café-dog", "", "Two!")], ids=["alone", "with captions"])
def test_tokens_as_text(tmp_path: Path, changes: dict[str, Any], texts: dict[str, Any]) -> None:
    export = open_export(saved(tmp_path / "maps.npz", with_token_text(**changes, **texts)))
    assert [caption.tokens for caption in captions_of(export)] == [["a", "café", "dog"], ["cats"], [None, "two"]]
    assert [caption.weights for caption in captions_of(export)] == [caption.weights for caption in ATTENTION]
    # Tokens are spans of their own text, whatever the caption's is.
    assert list(export.tokens(np.arange(3)).text) == ["acafédog", "cats", "two"]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("attention", "<f2"),
        ("attention", "<f8"),
        ("attention", ">f4"),
        ("region_box", ">f8"),
        ("image_size", "u2"),
        ("region_offset", "u4"),
        ("caption_image", "u1"),
        ("caption_image", ">i8"),
        ("caption_index", "i1"),
        ("token_offset", ">i2"),
        ("token_span", "<i8"),
        ("channel", "<i8"),
        ("attention_offset", "u8"),
        ("image_id_offset", "i4"),
    ],
)
def test_numbers_of_any_width(tmp_path: Path, name: str, dtype: str) -> None:
    members = packed()
    export = open_export(saved(tmp_path / "maps.npz", packed(**{name: members[name].astype(dtype)})))
    assert captions_of(export) == ATTENTION  # sixteenths, which every type holds
    assert export.image_id == ["36979", "4711"]
    assert problems(tmp_path / "maps.npz") == []


def test_deflated_members_hold_the_same(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "maps.npz", **packed())  # type: ignore[arg-type]
    assert captions_of(open_export(tmp_path / "maps.npz")) == ATTENTION


CHANNELS = packed(
    channel=np.array([[6, 0], [6, 3]], np.int16),
    attention_offset=np.array([0, 12, 18, 26]),
    attention=np.arange(26, dtype=np.float32),
    format=header(kind="logit", normalised_over="none"),
)


def test_several_channels(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", CHANNELS))
    assert export.channel.tolist() == [[6, 0], [6, 3]]
    first, second, third = (caption.weights["t2i"] for caption in captions_of(export))
    assert first == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]
    assert second == [[[12, 13, 14]], [[15, 16, 17]]]
    assert third == [[[18, 19], [20, 21]], [[22, 23], [24, 25]]]
    assert problems(tmp_path / "maps.npz") == []


def test_one_channel_where_none_is_named(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", packed(channel=None)))
    assert export.channel.tolist() == [[-1, -1]]


def test_both_directions(tmp_path: Path) -> None:
    back = np.arange(13, dtype=np.float16)
    export = open_export(saved(tmp_path / "maps.npz", packed(attention_i2t=back)))
    read = captions_of(export)
    assert [caption.weights["t2i"] for caption in read] == [caption.weights["t2i"] for caption in ATTENTION]
    assert [caption.weights["i2t"] for caption in read] == [
        [[[0, 1], [2, 3], [4, 5]]],
        [[[6, 7, 8]]],
        [[[9, 10], [11, 12]]],
    ]


def test_similarities_alone(tmp_path: Path) -> None:
    members = {name: packed()[name] for name in ("format", "image_id", "image_id_offset", "caption_image")}
    export = open_export(saved(tmp_path / "maps.npz", {**members, "similarity": floats([1, 2, 3], [4, 5, 6])}))
    assert export.maps == {}
    assert export.channel.tolist() == [[-1, -1]]
    assert export.token_offset.tolist() == [0, 0, 0, 0]
    assert export.regions.offset.tolist() == [0, 0, 0]
    assert export.caption_index.tolist() == [-1, -1, -1]
    assert export.caption_name(1) == "4711#?"
    assert export.similarity is not None
    assert export.similarity.shape == (2, 3)
    assert export.similarity.rows(1, 2).tolist() == [[4, 5, 6]]
    with pytest.raises(ValueError, match="no tokens"):
        export.tokens(np.arange(3))
    assert problems(tmp_path / "maps.npz") == []


def test_similarities_beside_maps(tmp_path: Path) -> None:
    scores = np.asfortranarray([[1, 2, 3], [4, 5, 6]], np.float32)
    export = open_export(saved(tmp_path / "maps.npz", packed(similarity=scores)))
    assert export.similarity is not None
    assert export.similarity.rows(0, 2).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert captions_of(export) == ATTENTION


def test_captions_without_a_number(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", packed(caption_index=np.array([-1, 3, -1]))))
    assert [export.caption_name(row) for row in range(3)] == ["36979#?", "4711#3", "36979#?"]


def test_captions_without_tokens_and_images_without_captions(tmp_path: Path) -> None:
    changes = {
        "caption_image": np.array([0, 0, 0]),
        "caption_index": np.arange(3),
        "token_offset": np.array([0, 3, 3, 5]),
        "token_span": np.array([[0, 1], [2, 6], [7, 10], [-1, -1], [0, 3]]),
        "attention_offset": np.array([0, 6, 6, 10]),
        "attention": floats(0.25, 0.75, 0.5, 0.5, 1, 0, 0.125, 0.875, 0, 1),
    }
    export = open_export(saved(tmp_path / "maps.npz", packed(**changes)))
    empty = Caption("36979#1", [], {"t2i": [[]]})
    first, last = ATTENTION[0], Caption("36979#2", *_content(ATTENTION[2]))
    assert captions_of(export) == [first, empty, last]
    assert captions_of(export, [1]) == [empty]
    assert problems(tmp_path / "maps.npz") == []


def _content(caption: Caption) -> tuple[list[str | None], dict[str, Any]]:
    return caption.tokens, caption.weights


EMPTY: dict[str, Any] = {
    "caption_image": np.zeros(0, np.int32),
    "caption_index": np.zeros(0, np.int16),
    **utf8("caption_text"),
    "token_offset": np.zeros(1, np.int64),
    "token_span": np.zeros((0, 2), np.int32),
    "attention_offset": np.zeros(1, np.int64),
    "attention": np.zeros(0, np.float32),
}


def test_no_captions_at_all(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", packed(**EMPTY))
    assert captions_of(open_export(path)) == []
    assert problems(path) == []


def test_a_block_of_captions_without_tokens_as_unicode(tmp_path: Path) -> None:
    changes = {"caption_image": np.array([0, 0, 0]), "caption_index": np.arange(3)}
    offsets = {"token_offset": np.array([0, 3, 3, 5]), "attention_offset": np.array([0, 6, 6, 10])}
    weights = {"attention": floats(0.25, 0.75, 0.5, 0.5, 1, 0, 0.125, 0.875, 0, 1)}
    texts = {"token_text": np.array(["a", "café", "dog", "<start>", "two"]), "token_text_offset": None}
    export = open_export(saved(tmp_path / "maps.npz", with_token_text(**changes, **offsets, **weights, **texts)))
    assert captions_of(export, [1]) == [Caption("36979#1", [], {"t2i": [[]]})]


# ---------------------------------------------------------------- regions


def boxes_of(path: Path, images: list[int], size: list[list[int]]) -> list[list[float]]:
    found: list[list[float]] = open_export(path).regions.boxes(np.array(images), np.array(size)).tolist()
    return found


def test_boxes(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", packed())
    second = [[0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 5, 5]]
    assert boxes_of(path, [1, 0], [[60, 50], [100, 80]]) == [*second, [0, 0, 50, 80], [50, 0, 100, 80]]


def grid(shape: list[list[int]], affine: list[list[float]] | None = None) -> dict[str, Any]:
    """Changes that give `packed` grids, of two and of three cells, in place of its boxes."""
    changes: dict[str, Any] = {"region_box": None, "region_offset": None, "grid_shape": np.array(shape, np.int32)}
    return changes if affine is None else {**changes, "grid_affine": np.array(affine, np.float32)}


def test_a_grid_covers_its_image_row_by_row(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", packed(**grid([[2, 1], [1, 3]])))
    export = open_export(path)
    assert export.regions.offset.tolist() == [0, 2, 5]
    assert captions_of(export) == ATTENTION
    assert boxes_of(path, [0], [[100, 80]]) == [[0, 0, 100, 40], [0, 40, 100, 80]]
    assert boxes_of(path, [1, 0], [[60, 50], [100, 80]]) == [
        [0, 0, 20, 50],
        [20, 0, 40, 50],
        [40, 0, 60, 50],
        [0, 0, 100, 40],
        [0, 40, 100, 80],
    ]
    # Without sizes of its own it takes what the annotations say.
    path = saved(tmp_path / "unsized.npz", packed(image_size=None, **grid([[2, 1], [1, 3]])))
    assert boxes_of(path, [0], [[10, 8]]) == [[0, 0, 10, 4], [0, 4, 10, 8]]


def cells(tmp_path: Path, shape: list[int], affine: list[float], size: list[int]) -> list[list[float]]:
    """The boxes of one image's grid, of an export with one caption of one token."""
    count = shape[0] * shape[1]
    members = packed(
        **utf8("image_id", "36979"),
        image_size=np.array([size]),
        region_offset=None,
        region_box=None,
        grid_shape=np.array([shape]),
        grid_affine=np.array([affine], np.float32),
        caption_image=np.array([0]),
        caption_index=np.array([0]),
        **utf8("caption_text", "dog"),
        token_offset=np.array([0, 1]),
        token_span=np.array([[0, 3]]),
        attention_offset=np.array([0, count]),
        attention=np.full(count, 1 / count, np.float32),
    )
    path = saved(tmp_path / "maps.npz", members)
    assert problems(path) == []
    return boxes_of(path, [0], [size])


def area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def test_an_affine_grid_scales_and_shifts(tmp_path: Path) -> None:
    # x edges 10 + 20 column, y edges 5 + 15 row
    assert cells(tmp_path, [2, 3], [20, 15, 10, 5], [100, 80]) == [
        [10, 5, 30, 20],
        [30, 5, 50, 20],
        [50, 5, 70, 20],
        [10, 20, 30, 35],
        [30, 20, 50, 35],
        [50, 20, 70, 35],
    ]


def test_cells_of_letterbox_padding_have_no_area(tmp_path: Path) -> None:
    # 100 x 50, padded to a square above and below, four cells a side
    boxes = cells(tmp_path, [4, 4], [25, 25, 0, -25], [100, 50])
    assert [area(box) for box in boxes] == [0] * 4 + [625] * 8 + [0] * 4
    assert boxes[4] == [0, 0, 25, 25]
    assert boxes[11] == [75, 25, 100, 50]


def test_cells_that_stand_over_the_edge_are_clipped(tmp_path: Path) -> None:
    boxes = cells(tmp_path, [2, 3], [40, 30, -10, -5], [100, 50])
    assert boxes == [
        [0, 0, 30, 25],
        [30, 0, 70, 25],
        [70, 0, 100, 25],
        [0, 25, 30, 50],
        [30, 25, 70, 50],
        [70, 25, 100, 50],
    ]


def test_a_centre_crop_leaves_the_margins_out(tmp_path: Path) -> None:
    boxes = cells(tmp_path, [2, 2], [25, 25, 25, 0], [100, 50])
    assert boxes == [[25, 0, 50, 25], [50, 0, 75, 25], [25, 25, 50, 50], [50, 25, 75, 50]]


def test_cells_beyond_the_image_have_no_area_on_any_side(tmp_path: Path) -> None:
    boxes = cells(tmp_path, [3, 3], [100, 50, -100, -50], [100, 50])
    assert [area(box) for box in boxes] == [0, 0, 0, 0, 5000, 0, 0, 0, 0]
    assert all(0 <= box[0] <= box[2] <= 100 and 0 <= box[1] <= box[3] <= 50 for box in boxes)


@pytest.mark.parametrize("offsets", [True, False], ids=["counted", "uncounted"])
def test_regions_without_geometry_are_counted(tmp_path: Path, offsets: bool) -> None:
    members = packed(region_box=None, region_offset=np.array([0, 2, 5]) if offsets else None)
    export = open_export(saved(tmp_path / "maps.npz", members))
    assert not export.regions.known
    assert export.regions.offset.tolist() == [0, 2, 5]
    assert captions_of(export) == ATTENTION
    with pytest.raises(ValueError, match="no boxes"):
        export.regions.boxes(np.array([0]), np.array([[100, 80]]))


def test_regions_are_counted_by_captions_that_have_tokens(tmp_path: Path) -> None:
    changes = {
        "region_box": None,
        "region_offset": None,
        "caption_image": np.array([0, 1, 0, 1]),
        "caption_index": np.array([0, 3, 1, 4]),
        **utf8("caption_text", "a café dog", "cats", "Two", ""),
        "token_offset": np.array([0, 3, 4, 6, 6]),
        "attention_offset": np.array([0, 6, 9, 13, 13]),
    }
    export = open_export(saved(tmp_path / "maps.npz", packed(**changes)))
    assert export.regions.offset.tolist() == [0, 2, 5]
    assert captions_of(export) == [*ATTENTION, Caption("4711#4", [], {"t2i": [[]]})]


def test_regions_that_are_counted_must_be_those_of_the_maps(tmp_path: Path) -> None:
    members = packed(region_box=None, region_offset=np.array([0, 3, 6]))
    message = refusal(saved(tmp_path / "maps.npz", members))
    assert_says(message, "attention_offset", "6 weights", "expected 9", "3 tokens", "3 regions", "2 such captions")


def test_captions_of_an_image_must_agree_on_its_regions(tmp_path: Path) -> None:
    # 36979 has two captions of 3 and 2 tokens: 6 weights mean 2 regions, 6 more mean 3.
    changes = {"attention_offset": np.array([0, 6, 9, 15]), "attention": np.full(15, 0.5, np.float32)}
    message = refusal(saved(tmp_path / "maps.npz", packed(region_box=None, region_offset=None, **changes)))
    assert_says(message, "attention_offset", "6 weights", "3 regions")


# ---------------------------------------------------------------- what is tolerated


def test_a_path_may_be_text(tmp_path: Path) -> None:
    saved(tmp_path / "maps.npz", packed())
    assert captions_of(attneval.open_export(str(tmp_path / "maps.npz"))) == ATTENTION


def test_a_later_minor_version_is_read(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", packed(format=header(version=[1, 7]))))
    assert captions_of(export) == ATTENTION


def test_unknown_members_are_ignored_with_a_warning(tmp_path: Path) -> None:
    members = packed(x_notes=np.zeros(3), attentoin=np.zeros(3), lengths=np.array(["a"]))
    export = open_export(saved(tmp_path / "maps.npz", members))
    assert captions_of(export) == ATTENTION
    (warning,) = export.warnings
    assert_says(warning, "maps.npz", "attentoin", "lengths")
    assert "x_notes" not in warning


# ---------------------------------------------------------------- what is refused


REFUSED: dict[str, tuple[dict[str, Any], tuple[object, ...]]] = {
    # members that are missing
    **{
        f"no {name}": ({name: None}, (name, "missing"))
        for name in ("format", "image_id", "caption_image", "caption_index", "token_offset", "attention_offset")
    },
    "no attention": ({"attention": None}, ("attention", "missing")),
    "no image_id_offset": ({"image_id_offset": None}, ("image_id_offset", "missing")),
    "no caption_text": ({"caption_text": None}, ("caption_text", "missing", "token_span")),
    "no caption_text_offset": ({"caption_text_offset": None}, ("caption_text_offset", "missing")),
    "no tokens": ({"token_span": None}, ("token_span", "token_text", "missing")),
    "no region_offset": ({"region_offset": None}, ("region_offset", "missing")),
    # types
    "attention of integers": ({"attention": np.ones(13, np.int32)}, ("attention", "int32", "floats")),
    "attention of text": ({"attention": np.array(["1"] * 13)}, ("attention", "<U1", "floats")),
    "attention of complex": ({"attention": np.ones(13, complex)}, ("attention", "complex128", "floats")),
    "offsets of floats": ({"token_offset": np.array([0.0, 3, 4, 6])}, ("token_offset", "float64", "integers")),
    "images of floats": ({"caption_image": floats(0, 1, 0)}, ("caption_image", "float32", "integers")),
    "ids of integers": ({"image_id": np.array([36979, 4711])}, ("image_id", "int64", "unicode strings")),
    "ids of bytes": ({"image_id": np.array([b"36979", b"4711"])}, ("image_id", "S5", "unicode strings")),
    "a header of text": ({"format": np.array("{}")}, ("format", "<U2", "u1")),
    # the header
    "a header that is no JSON": ({"format": raw(b"{'kind': 1}")}, ("format", "JSON")),
    "a header that is no UTF-8": ({"format": raw(b'{"kind": "\xff"}')}, ("format", "JSON")),
    "an empty header": ({"format": raw(b"")}, ("format", "JSON")),
    "a deep header": ({"format": raw(b"[" * 100_000)}, ("format", "JSON")),
    "a header that is a list": ({"format": raw(b"[1, 0]")}, ("format", "list", "object")),
    "another format": ({"format": header(format="npz")}, ("format", "'npz'", "'attneval'")),
    "no format": ({"format": header(format=None)}, ("format", "None", "'attneval'")),
    "another major version": ({"format": header(version=[2, 0])}, ("format", "version 2.0", "version 1")),
    "an earlier major version": ({"format": header(version=[0, 9])}, ("format", "version 0.9", "version 1")),
    "no version": ({"format": header(version=None)}, ("format", "version", "None", "[1, 0]")),
    "a version that is text": ({"format": header(version="1.0")}, ("format", "version", "'1.0'", "[1, 0]")),
    "a version of truth": ({"format": header(version=[True, 0])}, ("format", "version", "[True, 0]", "[1, 0]")),
    "a version of three": ({"format": header(version=[1, 0, 0])}, ("format", "version", "[1, 0, 0]", "[1, 0]")),
    "no kind": ({"format": header(kind=None)}, ("format", "kind")),
    "another kind": ({"format": header(kind="softmax")}, ("format", "'softmax'", "attention", "relevance", "logit")),
    "a kind that is a list": ({"format": header(kind=["attention"])}, ("format", "['attention']")),
    "another axis": ({"format": header(normalised_over="joint")}, ("format", "'joint'", "regions, tokens, none")),
    # offsets
    "falling image_id_offset": ({"image_id_offset": np.array([0, 10, 9])}, ("image_id_offset", 10, 9, "entry 2")),
    "falling region_offset": (
        {"region_offset": np.array([0, 7, 5])},
        ("region_offset", 7, 5, "entry 2", "end of 4711"),
    ),
    "falling token_offset": ({"token_offset": np.array([0, 4, 3, 6])}, ("token_offset", 4, 3, "entry 2", "4711#3")),
    "falling attention_offset": (
        {"attention_offset": np.array([0, 9, 6, 13])},
        ("attention_offset", 9, 6, "entry 2", "4711#3"),
    ),
    "falling caption_text_offset": (
        {"caption_text_offset": np.array([0, 15, 11, 18])},
        ("caption_text_offset", 15, 11, "entry 2"),
    ),
    "negative token_offset": ({"token_offset": np.array([-1, 3, 4, 6])}, ("token_offset", "-1", 0)),
    "late token_offset": ({"token_offset": np.array([1, 3, 4, 6])}, ("token_offset", "starts at 1", 0)),
    "short token_offset": ({"token_offset": np.array([0, 3, 6])}, ("token_offset", "(3,)", "(4)")),
    "empty token_offset": ({"token_offset": np.zeros(0, int)}, ("token_offset", "(0,)", "(4)")),
    "token_offset as a table": ({"token_offset": np.zeros((4, 1), int)}, ("token_offset", "(4, 1)", "(4)")),
    "long attention_offset": (
        {"attention_offset": np.array([0, 6, 9, 13, 13])},
        ("attention_offset", "(5,)", "(4)"),
    ),
    "short region_offset": ({"region_offset": np.array([0, 5])}, ("region_offset", "(2,)", "(3)")),
    "short caption_text_offset": (
        {"caption_text_offset": np.array([0, 11, 18])},
        ("caption_text_offset", "(3,)", "(4)"),
    ),
    "image_id_offset beyond the bytes": (
        {"image_id_offset": np.array([0, 5, 10])},
        ("image_id_offset", "ends at 10", 9),
    ),
    "region_offset short of the boxes": (
        {"region_offset": np.array([0, 2, 4])},
        ("region_offset", "ends at 4", "expected 5"),
    ),
    "attention_offset short of the weights": (
        {"attention_offset": np.array([0, 6, 9, 12])},
        ("attention_offset", "ends at 12", "expected 13"),
    ),
    "attention_offset beyond the weights": (
        {"attention": np.ones(12, np.float32)},
        ("attention_offset", "ends at 13", "expected 12"),
    ),
    "wrapped attention_offset": (
        {"attention_offset": np.array([0, 2**64 - 1, 9, 13], np.uint64)},
        ("attention_offset", "18446744073709551615"),
    ),
    # blocks
    "wrong blocks": (
        {"attention_offset": np.array([0, 6, 10, 13])},
        ("attention_offset", 4, 3, "1 channels", "1 tokens", "3 regions", "2 such captions"),
    ),
    "too few channels": (
        {"channel": np.array([[0, 0], [0, 1]])},
        ("attention_offset", 6, 12, "2 channels", "3 tokens", "2 regions", "3 such captions"),
    ),
    # shapes
    "image_size of three": ({"image_size": np.ones((2, 3), int)}, ("image_size", "(2, 3)", "(2, 2)")),
    "image_size of too few": ({"image_size": np.ones((1, 2), int)}, ("image_size", "(1, 2)", "(2, 2)")),
    "boxes of five": ({"region_box": np.ones((5, 5), np.float32)}, ("region_box", "(5, 5)", "(any, 4)")),
    "flat boxes": ({"region_box": np.ones(20, np.float32)}, ("region_box", "(20,)", "(any, 4)")),
    "caption_image as a table": ({"caption_image": np.zeros((3, 1), int)}, ("caption_image", "(3, 1)", "(any)")),
    "caption_index of too few": ({"caption_index": np.array([0, 3])}, ("caption_index", "(2,)", "(3)")),
    "captions too few": ({"caption_text": np.array(["a", "b"])}, ("caption_text", "(2,)", "(3)")),
    "token_span of too few": ({"token_span": np.zeros((5, 2), int)}, ("token_span", "(5, 2)", "(6, 2)")),
    "token_span flat": ({"token_span": np.zeros(12, int)}, ("token_span", "(12,)", "(6, 2)")),
    "channel of one": ({"channel": np.array([[0]])}, ("channel", "(1, 1)", "(any, 2)")),
    "channel of none": ({"channel": np.zeros((0, 2), int)}, ("channel", "empty")),
    "similarity of captions x images": ({"similarity": np.ones((3, 2))}, ("similarity", "(3, 2)", "(2, 3)")),
    "attention_i2t of another size": ({"attention_i2t": np.ones(12)}, ("attention_i2t", "(12,)", "(13)")),
    "grid_shape of one": (grid([[2], [3]]), ("grid_shape", "(2, 1)", "(2, 2)")),
    "grid_affine of too few": (grid([[2, 1], [1, 3]], [[1, 1, 0, 0]]), ("grid_affine", "(1, 4)", "(2, 4)")),
    # what contradicts itself
    "boxes and a grid": ({"grid_shape": np.array([[2, 1], [1, 3]])}, ("grid_shape", "region_box")),
    "an image twice": (utf8("image_id", "36979", "36979"), ("image_id", "twice", "36979")),
    "a caption twice": ({"caption_index": np.array([0, 3, 0])}, ("caption_index", "twice", "36979#0")),
    "an image beyond the last": (
        {"caption_image": np.array([0, 2, 0])},
        ("caption_image", "2 images", "first: 1 at 2"),
    ),
    "an image before the first": (
        {"caption_image": np.array([0, 1, -1])},
        ("caption_image", "2 images", "first: 2 at -1"),
    ),
    "a caption beyond two bytes": (
        {"caption_index": np.array([0, 40000, 1])},
        ("caption_index", "between -1 and 32767", "4711#40000"),
    ),
    "a caption below -1": ({"caption_index": np.array([0, -2, 1])}, ("caption_index", "-1")),
    "ids of no characters": (
        {"image_id": np.array([97, 0x110000], np.uint32).view("U1")},
        ("image_id", "entry 1", "0x110000"),
    ),
    "the other direction alone": (
        {"attention": None, "attention_i2t": np.ones(13), "similarity": np.ones((2, 3))},
        ("attention", "missing"),
    ),
    "ids that are no UTF-8": ({"image_id": raw(b"36979\xff711")}, ("image_id", "UTF-8")),
    "an offset inside a character": (
        {"image_id": raw("3697é711".encode()), "image_id_offset": np.array([0, 5, 9])},
        ("image_id", "middle of a character"),
    ),
}


@pytest.mark.parametrize(("changes", "parts"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(tmp_path: Path, changes: dict[str, Any], parts: tuple[object, ...]) -> None:
    path = saved(tmp_path / "maps.npz", packed(**changes))
    assert_says(refusal(path), str(path), *parts)
    # Whoever asks for all problems at once hears of it too.
    assert_says("\n".join(problems(path)), *parts)


@pytest.mark.parametrize("name", ["grid_shape", "grid_affine"])
@pytest.mark.parametrize("value", [0, -1])
def test_grids_without_cells(tmp_path: Path, name: str, value: int) -> None:
    changes = grid([[2, 1], [1, 3]], [[50, 40, 0, 0], [20, 50, 0, 0]])
    changes[name][1, 0] = value
    assert_says(refusal(saved(tmp_path / "maps.npz", packed(**changes))), name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_affine_numbers_that_are_none(tmp_path: Path, value: float) -> None:
    changes = grid([[2, 1], [1, 3]], [[50, 40, 0, 0], [20, 50, 0, value]])
    assert_says(refusal(saved(tmp_path / "maps.npz", packed(**changes))), "grid_affine", "finite")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        pytest.param({"image_id": np.array("36979")}, ("image_id", "()"), id="id"),
        pytest.param({"image_id": np.array(["36979", "4711"]).reshape(2, 1)}, ("image_id", "(2, 1)"), id="ids"),
        pytest.param({"image_id": np.array(5, np.uint8)}, ("image_id", "()"), id="byte"),
        pytest.param(
            {"image_id": raw(b"abcd").reshape(2, 2), "image_id_offset": np.array([0, 1, 2])},
            ("image_id", "(2, 2)"),
            id="table of bytes",
        ),
        pytest.param({"caption_text": np.array("a")}, ("caption_text", "()"), id="caption"),
        pytest.param({"attention": np.float32(1)}, ("attention", "()"), id="weight"),
        pytest.param({"attention": np.ones((13, 2), np.float32)}, ("attention", "(13, 2)"), id="table"),
    ],
)
def test_members_of_another_rank(tmp_path: Path, changes: dict[str, Any], parts: tuple[object, ...]) -> None:
    assert_says(refusal(saved(tmp_path / "maps.npz", packed(**changes))), *parts)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"attention_offset": np.array([0, 6, 10, 13])}, "4711#3"),
        ({"caption_index": np.array([0, -2, 1])}, "4711"),
        (grid([[2, 1], [1, 0]]), "4711"),
        (grid([[2, 1], [1, 3]], [[50, 40, 0, 0], [-20, 50, 0, 0]]), "4711"),
    ],
    ids=["blocks", "index", "grid_shape", "grid_affine"],
)
def test_captions_and_images_are_named_by_id(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    assert_says(refusal(saved(tmp_path / "maps.npz", packed(**changes))), name)


@pytest.mark.parametrize(
    ("data", "offset"),
    [(b"\xff dogcatsTwo", [0, 5, 9, 12]), ("aécatsTwo".encode(), [0, 2, 7, 10])],
    ids=["byte", "cut"],
)
@pytest.mark.parametrize("name", ["caption_text", "token_text"])
def test_texts_that_are_no_utf8(tmp_path: Path, name: str, data: bytes, offset: list[int]) -> None:
    if name == "caption_text":
        members = packed(caption_text=raw(data), caption_text_offset=np.array(offset))
    else:
        members = with_token_text(token_text=raw(data), token_text_offset=np.array([*offset, *offset[-1:] * 3]))
    assert_says("\n".join(problems(saved(tmp_path / "maps.npz", members))), name)


def test_every_text_that_is_none_is_named(tmp_path: Path) -> None:
    members = packed(
        caption_text=raw(b"a dog\xe9catsTw\xffo"), caption_text_offset=np.array([0, 6, 10, 14]), attention=-np.ones(13)
    )
    found = problems(saved(tmp_path / "maps.npz", members))
    (texts,) = (problem for problem in found if problem.startswith("caption_text"))
    assert_says(texts, "36979#0: begins or ends in the middle of a character", "36979#1: byte 0xff at 2")
    assert "4711" not in texts
    assert_says("\n".join(found), "attention: negative", "4711#3 token 0 has -1")


def test_a_token_that_is_no_text_is_named(tmp_path: Path) -> None:
    tokens = {"token_text": raw(b"aXdogcats\xfftwo"), "token_text_offset": np.array([0, 1, 2, 5, 9, 10, 13])}
    export = open_export(saved(tmp_path / "maps.npz", with_token_text(**tokens)))
    assert captions_of(export, [0, 1])[1].tokens == ["cats"]
    with pytest.raises(ExportError) as caught:
        export.tokens(np.arange(3))
    assert_says(str(caught.value), str(tmp_path / "maps.npz"), "token_text", "36979#1 token 0", "0xff")


def test_layouts_must_not_be_mixed(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path / "maps.npz", {**packed(), **padded()}))
    assert_says(message, "maps.npz", "packed", "padded", "attention", "attn")


@pytest.mark.parametrize(
    "members", [{}, {"scores": np.zeros(3)}, {"x_scores": np.zeros(3)}], ids=["none", "other", "x_"]
)
def test_what_is_no_export(tmp_path: Path, members: dict[str, Any]) -> None:
    message = refusal(saved(tmp_path / "maps.npz", members))
    assert_says(message, "maps.npz", *(members or ["none"]), "attn", "caption_ids")


def test_the_first_problem_and_how_many_more(tmp_path: Path) -> None:
    changes = {"attention": np.ones(13, int), "caption_image": floats(0, 1, 0), "token_span": floats(1)}
    path = saved(tmp_path / "maps.npz", packed(**changes))
    found = problems(path)
    assert [text.split(":")[0] for text in found] == ["caption_image", "token_span", "attention"]
    assert_says(refusal(path), str(path), found[0], "2 more problems", f"attneval validate {path}")
    path = saved(tmp_path / "maps.npz", packed(attention=np.ones(13, int), token_span=floats(1)))
    assert_says(refusal(path), "1 more problem,")


def test_many_flaws_of_one_kind_are_one_problem(tmp_path: Path) -> None:
    path = saved(tmp_path / "maps.npz", packed(caption_image=np.array([7, 8, 9])))
    (problem,) = problems(path)
    assert_says(problem, "caption_image", "2 images", "first: 0 at 7, 1 at 8, 2 at 9")


# ---------------------------------------------------------------- files of others


@pytest.mark.parametrize("name", ["good.npz", "twin.npz", "noisy.npz"])
def test_the_fixtures_are_read_as_the_reference_reads_them(fixtures: Path, name: str) -> None:
    _assert_equals_reference(fixtures / name)


@pytest.mark.realdata
def test_a_real_export_is_read_as_the_reference_reads_it(shared: Path) -> None:
    assert problems(shared / "f8k285_regions.npz") == []
    _assert_equals_reference(shared / "f8k285_regions.npz")


def _assert_equals_reference(path: Path) -> None:
    export, expected = open_export(path), read_export(path)
    assert export.image_id == list(expected.boxes)
    assert expected.similarity is not None
    assert export.similarity is not None
    np.testing.assert_array_equal(export.similarity.rows(0, len(export.image_id)), expected.similarity)
    assert export.image_size is not None
    images = np.arange(len(export.image_id))
    boxes = [box for own in expected.boxes.values() for box in own]
    np.testing.assert_array_equal(export.regions.boxes(images, export.image_size), boxes)
    read = captions_of(export)
    assert len(read) == len(expected.maps)
    for caption, theirs in zip(read, expected.maps, strict=True):
        assert caption.name == f"{theirs.image}#{theirs.index}"
        own = [token.removesuffix("</w>") for token in theirs.tokens]
        assert [token or other for token, other in zip(caption.tokens, own, strict=True)] == own
        np.testing.assert_array_equal(caption.weights["t2i"], theirs.weights)
