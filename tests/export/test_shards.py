"""Several files read as one export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import ATTENTION, Caption, assert_says, captions_of, floats, packed, padded, saved, utf8, with_token_text

from attneval.errors import ExportError
from attneval.export.checks import check_maps
from attneval.export.problems import FileProblems
from attneval.export.read.reader import open_export
from attneval.export.read.shards import join_shards
from attneval.export.write.writer import ExportWriter

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.export.read.content import AttentionExport

SIZES = np.full((9, 2), 1000)

# One more image before one of `packed`, and a caption of either.
MORE: dict[str, Any] = {
    **utf8("image_id", "1", "36979"),
    "image_size": np.array([[9, 9], [100, 80]]),
    "region_offset": np.array([0, 1, 3]),
    "region_box": floats([0, 0, 9, 9], [0, 0, 50, 80], [50, 0, 100, 80]),
    "caption_image": np.array([1, 0]),
    "caption_index": np.array([4, 0]),
    **utf8("caption_text", "Dögs", "it"),
    "token_offset": np.array([0, 1, 3]),
    "token_span": np.array([[0, 4], [0, 2], [-1, -1]]),
    "attention_offset": np.array([0, 2, 4]),
    "attention": floats(0.375, 0.625, 1, 1),
}
OWN = [
    Caption("36979#4", ["Dögs"], {"t2i": [[[0.375, 0.625]]]}),
    Caption("1#0", ["it", None], {"t2i": [[[1], [1]]]}),
]


def shards(path: Path, *members: dict[str, Any]) -> list[AttentionExport]:
    return [open_export(saved(path / f"{name}.npz", own)) for name, own in zip("abc", members, strict=False)]


def joined(path: Path, *members: dict[str, Any]) -> AttentionExport:
    return join_shards(shards(path, *members))


def named(path: Path, file: str, captions: list[Caption]) -> list[Caption]:
    """Captions as they are called where there are several files."""
    return [Caption(f"{path / file}: {caption.name}", caption.tokens, caption.weights) for caption in captions]


def refused(path: Path, *members: dict[str, Any]) -> str:
    opened = shards(path, *members)
    with pytest.raises(ExportError) as caught:
        join_shards(opened)
    return str(caught.value)


def test_one_shard_is_itself(tmp_path: Path) -> None:
    (only,) = shards(tmp_path, packed())
    assert join_shards([only]) is only


def test_captions_follow_each_other_and_images_are_there_once(tmp_path: Path) -> None:
    export = joined(tmp_path, packed(), packed(**MORE))
    assert export.image_id == ["36979", "4711", "1"]
    assert export.image_size is not None
    assert export.image_size.tolist() == [[100, 80], [60, 50], [9, 9]]
    assert export.caption_image.tolist() == [0, 1, 0, 0, 2]
    assert export.caption_index.tolist() == [0, 3, 1, 4, 0]
    assert export.token_offset.tolist() == [0, 3, 4, 6, 7, 9]
    assert export.regions.offset.tolist() == [0, 2, 5, 6]
    boxes = [[0, 0, 50, 80], [50, 0, 100, 80], [0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 5, 5], [0, 0, 9, 9]]
    assert export.regions.boxes(np.arange(3), SIZES[:3]).tolist() == boxes
    assert captions_of(export) == named(tmp_path, "a.npz", ATTENTION) + named(tmp_path, "b.npz", OWN)


@pytest.mark.parametrize("rows", [[0], [4], [2, 3], [3, 2], [4, 0, 3, 1], [1, 4, 2], [4, 3, 2, 1, 0]], ids=str)
@pytest.mark.parametrize("tokens", [False, True], ids=["spans", "texts"])
def test_blocks_of_any_captions(tmp_path: Path, rows: list[int], tokens: bool) -> None:
    first, second = packed(), packed(**MORE)
    expected = [*ATTENTION, *OWN]
    if tokens:
        texts = utf8("token_text", "Dögs", "it", "<end>")
        first, second = with_token_text(), with_token_text(**{**MORE, "token_span": None, **texts})
        del second["caption_text"], second["caption_text_offset"]
        expected[2] = Caption("36979#1", [None, "two"], ATTENTION[2].weights)
    export = joined(tmp_path, first, second)
    read = captions_of(export, rows)
    assert [caption.tokens for caption in read] == [expected[row].tokens for row in rows]
    assert [caption.weights for caption in read] == [expected[row].weights for row in rows]
    assert [caption.name.split(": ")[1] for caption in read] == [expected[row].name for row in rows]


@pytest.mark.parametrize("over", ["regions", "tokens"])
def test_captions_of_an_image_in_several_files(tmp_path: Path, over: str) -> None:
    """Blocks go by images, so that their captions come from one file and the other in turn."""
    paths = [tmp_path / name for name in ("a.npz", "b.npz")]
    for number, path in enumerate(paths):
        with ExportWriter(path, normalised_over=over) as out:
            for image in ("20", "3"):
                out.add_image(image, boxes=[[0, 0, 50, 80], [50, 0, 100, 80]])
                weights = np.array([[0.25, 0.75], [0.5 + number / 4, 0.5 - number / 4]])
                out.add_caption(image, weights if over == "regions" else weights.T, index=number, tokens=["red", "hat"])
    export = join_shards(list(map(open_export, paths)))
    rows = np.array([0, 2, 1, 3])
    block = export.maps["t2i"].take(rows)
    assert block.start.tolist() == [0, 4, 8, 12]
    first, second = [0.25, 0.75, 0.5, 0.5], [0.25, 0.75, 0.75, 0.25]
    if over == "tokens":
        first, second = [0.25, 0.5, 0.75, 0.5], [0.25, 0.75, 0.75, 0.25]
    assert block.flat.tolist() == [*first, *second, *first, *second]
    report = FileProblems(export.path)
    check_maps(report, export, "t2i", rows, block)
    report.stop_if_broken()
    block.flat[9] = np.nan  # of the third caption, the second one of the first file
    check_maps(report, export, "t2i", rows, block)
    with pytest.raises(ExportError, match=r"a\.npz: 3#0 token 0 has nan"):
        report.stop_if_broken()


def test_texts_of_captions_in_any_order(tmp_path: Path) -> None:
    export = joined(tmp_path, packed(), packed(**MORE))
    assert export.caption_text is not None
    rows = np.array([4, 0, 3, 1])
    assert list(export.caption_text.take(rows)) == ["it", "a café dog", "Dögs", "cats"]


def test_three_shards(tmp_path: Path) -> None:
    third = packed(**{**MORE, "caption_index": np.array([7, 5])})
    export = joined(tmp_path, packed(**MORE), packed(), third)
    assert export.image_id == ["1", "36979", "4711"]
    assert [export.caption_name(row) for row in (1, 2, 6)] == [
        f"{tmp_path / 'a.npz'}: 1#0",
        f"{tmp_path / 'b.npz'}: 36979#0",
        f"{tmp_path / 'c.npz'}: 1#5",
    ]
    weights = [caption.weights for caption in captions_of(export, [6, 2, 0])]
    assert weights == [OWN[1].weights, ATTENTION[0].weights, OWN[0].weights]


def test_a_shard_without_captions(tmp_path: Path) -> None:
    empty = padded(
        attn=np.zeros((0, 3, 3), np.float32),
        words=np.zeros((0, 3), "U1"),
        caption_ids=np.zeros(0, "U1"),
        boxes=np.zeros((0, 3, 4), np.float32),
    )
    export = joined(tmp_path, empty, padded())
    assert [caption.name.split(": ")[1] for caption in captions_of(export)] == ["36979#0", "4711#3", "36979#1"]


def test_a_block_of_no_captions(tmp_path: Path) -> None:
    export = joined(tmp_path, packed(), packed(**MORE))
    assert len(export.maps["t2i"].take(np.zeros(0, np.int64)).flat) == 0


def test_half_and_single_precision(tmp_path: Path) -> None:
    second = packed(**MORE)
    second["attention"] = second["attention"].astype(np.float16)
    export = joined(tmp_path, packed(), second)
    assert export.maps["t2i"].itemsize == 4
    assert export.maps["t2i"].take(np.array([4, 1])).flat.dtype == np.float32
    assert captions_of(export, [3, 0]) == [*named(tmp_path, "b.npz", OWN[:1]), *named(tmp_path, "a.npz", ATTENTION[:1])]


def test_both_directions(tmp_path: Path) -> None:
    first = packed(attention_i2t=np.arange(13, dtype=np.float32))
    second = packed(**MORE, attention_i2t=floats(13, 14, 15, 16))
    export = joined(tmp_path, first, second)
    assert [caption.weights["i2t"] for caption in captions_of(export, [4, 1])] == [[[[15], [16]]], [[[6, 7, 8]]]]


def test_grids(tmp_path: Path) -> None:
    grid = {"region_box": None, "region_offset": None}
    first = packed(**grid, grid_shape=np.array([[2, 1], [1, 3]]), grid_affine=floats([9, 8, 0, 0], [7, 6, 0, 0]))
    shapes = {"grid_shape": np.array([[1, 1], [2, 1]]), "grid_affine": floats([5, 4, 1, 2], [9, 8, 0, 0])}
    export = joined(tmp_path, first, packed(**{**MORE, **grid, **shapes}))
    assert export.regions.offset.tolist() == [0, 2, 5, 6]
    assert export.regions.boxes(np.array([2, 0]), SIZES[:2]).tolist() == [[1, 2, 6, 6], [0, 0, 9, 8], [0, 8, 9, 16]]


def test_regions_without_boxes(tmp_path: Path) -> None:
    none = {"region_box": None, "region_offset": None}
    export = joined(tmp_path, packed(**none), packed(**{**MORE, **none}))
    assert not export.regions.known
    assert export.regions.offset.tolist() == [0, 2, 5, 6]
    assert [caption.weights for caption in captions_of(export)] == [own.weights for own in (*ATTENTION, *OWN)]


def test_warnings_are_kept_and_similarities_left_out(tmp_path: Path) -> None:
    first = packed(similarity=np.ones((2, 3), np.float32), notes=np.zeros(1))
    export = joined(tmp_path, first, packed(**MORE, remarks=np.zeros(1)))
    assert export.similarity is None
    unknown, strange, left_out = export.warnings
    assert_says(unknown, "a.npz", "notes")
    assert_says(strange, "b.npz", "remarks")
    assert_says(left_out, "similarity")


def test_files_and_their_captions_are_known(tmp_path: Path) -> None:
    export = joined(tmp_path, packed(), packed(**MORE))
    assert export.files == (tmp_path / "a.npz", tmp_path / "b.npz")
    assert export.file_bound is not None
    assert export.file_bound.tolist() == [0, 3, 5]
    names = [f"{tmp_path / 'a.npz'}: 36979", f"{tmp_path / 'b.npz'}: 1"]
    assert export.image_names(np.array([0, 2])) == names
    assert open_export(tmp_path / "b.npz").image_names(np.array([1, 0])) == ["36979", "1"]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"caption_index": np.array([1, 0])}, ("caption 36979#1", "1 such")),
        ({"region_box": floats([0, 0, 9, 9], [0, 0, 50, 80], [50, 0, 99, 80])}, ("image 36979", "other regions")),
        ({"image_size": np.array([[9, 9], [80, 100]])}, ("image 36979", "other regions")),
        ({"image_size": None}, ("image_size differ",)),
        ({"region_box": None, "region_offset": None}, ("grid differ",)),
    ],
    ids=["caption", "box", "size", "no sizes", "no boxes"],
)
def test_shards_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    assert_says(refused(tmp_path, packed(), packed(**{**MORE, **changes})), str(tmp_path / "b.npz"), *parts)


def test_captions_of_unknown_number_may_be_in_several_shards(tmp_path: Path) -> None:
    first = packed(caption_index=np.array([-1, 3, -1]))
    export = joined(tmp_path, first, packed(**{**MORE, "caption_index": np.array([-1, -1])}))
    assert export.caption_index.tolist() == [-1, 3, -1, -1, -1]
