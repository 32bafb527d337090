"""Region boxes from a file of their own."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from exports import assert_says, captions_of, padded, saved, utf8

from attneval.errors import ExportError
from attneval.export.checks import check_images
from attneval.export.problems import FileProblems
from attneval.export.read.boxfile import with_boxes
from attneval.export.read.reader import open_export

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.export.read.content import AttentionExport

FIRST = np.array([[0, 0, 50, 80], [50, 0, 100, 80], [10, 10, 20, 20.5]], np.float32)
SECOND = np.array([[0, 0, 60, 50], [10, 10, 20, 30], [5, 5, 6, 6]], np.float32)


def opened(path: Path, *image_ids: str) -> AttentionExport:
    """An export without boxes: `padded`, whose images are called otherwise."""
    first, second = image_ids or ("36979", "4711")
    ids = np.array([f"{first}#0", f"{second}#3", f"{first}#1"])
    return open_export(saved(path / "maps.npz", padded(boxes=None, caption_ids=ids)))


def boxes_of(export: AttentionExport) -> list[list[float]]:
    size = np.full((len(export.image_id), 2), 10**6)
    found: list[list[float]] = export.regions.boxes(np.arange(len(export.image_id)), size).tolist()
    return found


def encoded(box: NDArray[np.float32]) -> str:
    return base64.b64encode(box.tobytes()).decode()


def bottom_up(name: str, box: NDArray[np.float32], *rest: str, size: str = "100\t80") -> str:
    return "\t".join([name, size, str(len(box)), encoded(box), *rest])


def lxmert(name: str, box: NDArray[np.float32], size: str = "80\t100") -> str:
    unused = [base64.b64encode(b"\0" * 8 * len(box)).decode()] * 4
    return "\t".join([name, size, *unused, str(len(box)), encoded(box), encoded(np.ones((1, 8), np.float32))])


def written(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def refused(export: AttentionExport, path: Path) -> str:
    with pytest.raises(ExportError) as caught:
        with_boxes(export, path)
    return str(caught.value)


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("rest", [(), ("features",), ("features", "classes", "scores")], ids=len)
def test_a_bottom_up_table(tmp_path: Path, rest: tuple[str, ...], end: str) -> None:
    lines = bottom_up("4711", SECOND, *rest, size="60\t50"), bottom_up("36979", FIRST, *rest)
    export = with_boxes(opened(tmp_path), written(tmp_path / "boxes.tsv", *lines, end=end))
    assert boxes_of(export) == FIRST.tolist() + SECOND.tolist()
    assert export.image_size is not None
    assert export.image_size.tolist() == [[100, 80], [60, 50]]
    assert export.image_id == ["36979", "4711"]


def test_a_table_of_lxmert_has_the_height_first(tmp_path: Path) -> None:
    path = written(tmp_path / "boxes.tsv", lxmert("4711", SECOND, "50\t60"), lxmert("36979", FIRST))
    export = with_boxes(opened(tmp_path), path)
    assert boxes_of(export) == FIRST.tolist() + SECOND.tolist()
    assert export.image_size is not None
    assert export.image_size.tolist() == [[100, 80], [60, 50]]


def test_a_table_whose_last_line_does_not_end(tmp_path: Path) -> None:
    path = tmp_path / "boxes.tsv"
    path.write_text("\n".join([bottom_up("36979", FIRST), bottom_up("4711", SECOND)]))
    assert boxes_of(with_boxes(opened(tmp_path), path)) == FIRST.tolist() + SECOND.tolist()


@pytest.mark.parametrize("own", ["42", "COCO_val2014_000000000042"])
@pytest.mark.parametrize("split", ["val2014", "train2017", "test_x"])
def test_coco_names_count_as_numbers(tmp_path: Path, own: str, split: str) -> None:
    name = own if own.startswith("COCO") else f"COCO_{split}_000000000042"
    path = written(tmp_path / "boxes.tsv", bottom_up(name, FIRST), lxmert("COCO_val2014_000000520000", SECOND))
    export = with_boxes(opened(tmp_path, own, "520000"), path)
    assert boxes_of(export) == FIRST.tolist() + SECOND.tolist()
    assert export.image_id == [own, "520000"]


def test_sizes_of_the_export_are_kept(tmp_path: Path) -> None:
    source = saved(tmp_path / "maps.npz", padded(boxes=None, image_size=np.array([[1, 2], [3, 4]])))
    path = written(tmp_path / "boxes.tsv", bottom_up("36979", FIRST), bottom_up("4711", SECOND))
    export = with_boxes(open_export(source), path)
    assert export.image_size is not None
    assert export.image_size.tolist() == [[1, 2], [3, 4]]


def test_rows_of_other_images_are_ignored(tmp_path: Path) -> None:
    path = written(
        tmp_path / "boxes.tsv", bottom_up("1", FIRST[:1]), bottom_up("36979", FIRST), bottom_up("4711", SECOND)
    )
    assert boxes_of(with_boxes(opened(tmp_path), path)) == FIRST.tolist() + SECOND.tolist()


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("36979\t100\t80\t3", "boxes"),
        (f"36979\t100\t80\t2\t{encoded(FIRST)}", "reshape"),
        (f"36979\t100\t80\tthree\t{encoded(FIRST)}", "three"),
        (f"36979\twide\t80\t3\t{encoded(FIRST)}", "wide"),
        ("36979\t100\t80\t3\tno base64!", "base64"),
        ("image_id\timage_w\timage_h\tnum_boxes\tboxes", ""),
        ("36979 100 80 3 x", "boxes"),
    ],
    ids=["short", "count", "three", "wide", "base64", "header", "spaces"],
)
def test_lines_that_are_no_rows(tmp_path: Path, line: str, part: str) -> None:
    path = written(tmp_path / "boxes.tsv", bottom_up("4711", SECOND), line)
    assert_says(refused(opened(tmp_path), path), f"{path} line 2", part, "num_boxes")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "boxes.tsv"
    path.write_bytes(bottom_up("4711", SECOND).encode().replace(b"4711", b"47\xff11"))
    assert_says(refused(opened(tmp_path), path), f"{path} line 1")


@pytest.mark.realdata
def test_real_boxes_of_lxmert(shared: Path, tmp_path: Path) -> None:
    path = shared / "region_features" / "lxmert36" / "train2014_obj36.tsv"
    ids = ["132417", "COCO_train2014_000000131486"]
    members = padded(
        attn=np.full((2, 1, 36), 1 / 36, np.float32),
        words=np.array([["dog"], ["cat"]]),
        caption_ids=np.array([f"{name}#0" for name in ids]),
        boxes=None,
    )
    export = with_boxes(open_export(saved(tmp_path / "maps.npz", members)), path)
    assert export.image_id == ids
    assert export.image_size is not None
    assert export.image_size.tolist() == [[500, 333], [407, 640]]
    boxes = np.array(boxes_of(export))
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    (own,) = (row[8] for row in rows if row[0] == "COCO_train2014_000000132417")
    np.testing.assert_array_equal(boxes[:36], np.frombuffer(base64.b64decode(own), "<f4").reshape(36, 4))
    assert boxes.shape == (72, 4)
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes[:36, 2:] <= [500, 333]).all()
    assert (boxes[36:, 2:] <= [407, 640]).all()


# ---------------------------------------------------------------- arrays


@pytest.mark.parametrize(
    "members",
    [
        {"boxes": np.stack([SECOND, FIRST])},
        {"boxes": np.concatenate([SECOND, FIRST]), "box_offset": np.array([0, 3, 6])},
        {"boxes": np.stack([SECOND, FIRST]).astype(">f8"), "features": np.zeros(3)},
    ],
    ids=["stacked", "flat", "wide"],
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "deflated"])
def test_an_npz(tmp_path: Path, members: dict[str, Any], save: Any) -> None:
    save(tmp_path / "boxes.npz", image_ids=np.array(["4711", "36979"]), **members)
    export = with_boxes(opened(tmp_path), tmp_path / "boxes.npz")
    assert boxes_of(export) == FIRST.tolist() + SECOND.tolist()
    assert export.image_size is None


def test_an_npz_whose_ids_are_bytes(tmp_path: Path) -> None:
    members = {**utf8("image_ids", "4711", "36979"), "boxes": np.stack([SECOND, FIRST])}
    export = with_boxes(opened(tmp_path), saved(tmp_path / "boxes.npz", members))
    assert boxes_of(export) == FIRST.tolist() + SECOND.tolist()


def test_an_npz_of_different_numbers_of_boxes(tmp_path: Path) -> None:
    members = {"image_ids": np.array(["1", "4711", "36979"]), "box_offset": np.array([0, 1, 4, 7])}
    boxes = np.concatenate([FIRST[:1], SECOND, FIRST])
    export = with_boxes(opened(tmp_path), saved(tmp_path / "boxes.npz", {**members, "boxes": boxes}))
    assert boxes_of(export) == FIRST.tolist() + SECOND.tolist()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i4"])
def test_an_npy_in_the_order_of_the_export(tmp_path: Path, dtype: str) -> None:
    boxes = np.stack([FIRST, SECOND]).astype(dtype)
    np.save(tmp_path / "boxes.npy", boxes)
    assert boxes_of(with_boxes(opened(tmp_path), tmp_path / "boxes.npy")) == boxes.astype(float).reshape(6, 4).tolist()


@pytest.mark.parametrize(
    ("members", "parts"),
    [
        ({"image_ids": np.array(["36979", "4711"])}, ("boxes and image_ids", "it has image_ids")),
        ({"boxes": np.stack([FIRST, SECOND])}, ("boxes and image_ids", "it has boxes")),
        ({"boxes": np.stack([FIRST, SECOND]), "image_ids": np.array([36979, 4711])}, ("image_ids (strings)",)),
        ({"boxes": np.stack([FIRST, SECOND]), "image_ids": np.array([["36979", "4711"]])}, ("image_ids", "(1, 2)")),
        ({"boxes": np.stack([FIRST, SECOND]), "image_ids": np.full(2, 2**31, np.uint32).view("U1")}, ("0x80000000",)),
        ({"boxes": np.stack([FIRST, SECOND]), "image_ids": np.array(["1"])}, ("(2, 3, 4)", "[1, R, 4]")),
        ({"boxes": FIRST, "image_ids": np.array(["36979", "4711"])}, ("(3, 4)", "[2, R, 4]", "box_offset")),
        ({"boxes": np.ones((2, 3, 5)), "image_ids": np.array(["36979", "4711"])}, ("(2, 3, 5)", "[2, R, 4]")),
    ],
    ids=["no boxes", "no ids", "numbers", "table of ids", "no characters", "fewer ids", "flat", "five"],
)
def test_an_npz_that_does_not_fit(tmp_path: Path, members: dict[str, Any], parts: tuple[str, ...]) -> None:
    path = saved(tmp_path / "boxes.npz", members)
    assert_says(refused(opened(tmp_path), path), str(path), *parts)


@pytest.mark.parametrize("offset", [[0, 3], [0, 3, 5], [1, 3, 6], [0, 4, 3, 6], [0, 9, 6], [-1, 3, 6]], ids=str)
def test_an_npz_whose_offsets_do_not_fit(tmp_path: Path, offset: list[int]) -> None:
    members = {"boxes": np.concatenate([FIRST, SECOND]), "image_ids": np.array(["36979", "4711"])}
    path = saved(tmp_path / "boxes.npz", {**members, "box_offset": np.array(offset)})
    assert_says(refused(opened(tmp_path), path), str(path), "(6, 4)", "box_offset")


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.ones((3, 3, 4), np.float32), "float32[3, 3, 4]"),
        (np.ones((2, 3, 5), np.float32), "float32[2, 3, 5]"),
        (np.ones((6, 4), np.float32), "float32[6, 4]"),
        (np.array([[["a"] * 4] * 3] * 2), "<U1[2, 3, 4]"),
        (np.ones((2, 3, 4), bool), "bool[2, 3, 4]"),
    ],
    ids=["images", "five", "flat", "text", "bools"],
)
def test_an_npy_that_does_not_fit(tmp_path: Path, array: NDArray[Any], part: str) -> None:
    np.save(tmp_path / "boxes.npy", array)
    assert_says(refused(opened(tmp_path), tmp_path / "boxes.npy"), "boxes.npy", part, "[2, R, 4]")


def npy(shape: str) -> bytes:
    """An array of 24 floats under a shape of one's own."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(96)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"\x93NUMPY\x01\x00", npy("(True, 3, 4)"), npy("((2, 3, 4)"), npy("(2, 3, 9)")],
    ids=["empty", "text", "cut", "truth", "parenthesis", "short"],
)
def test_what_is_no_npy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "boxes.npy").write_bytes(content)
    assert_says(refused(opened(tmp_path), tmp_path / "boxes.npy"), "boxes.npy", "no .npy array")


def test_pickled_boxes(tmp_path: Path) -> None:
    np.save(tmp_path / "boxes.npy", np.array([FIRST, None], object))
    assert_says(refused(opened(tmp_path), tmp_path / "boxes.npy"), "boxes.npy", "pickle")
    np.savez(tmp_path / "boxes.npz", image_ids=np.array(["36979"]), boxes=np.array([FIRST, None], object))
    assert_says(refused(opened(tmp_path), tmp_path / "boxes.npz"), "boxes.npz", "member boxes", "pickled")


# ---------------------------------------------------------------- boxes and maps


def test_boxes_of_the_export_are_replaced(tmp_path: Path) -> None:
    export = open_export(saved(tmp_path / "maps.npz", padded()))
    np.save(tmp_path / "boxes.npy", np.stack([SECOND, FIRST]))
    replaced = with_boxes(export, tmp_path / "boxes.npy")
    assert boxes_of(replaced) == SECOND.tolist() + FIRST.tolist()
    assert captions_of(replaced) == captions_of(export)
    assert boxes_of(export) != boxes_of(replaced)


def test_images_that_have_no_boxes(tmp_path: Path) -> None:
    path = written(tmp_path / "boxes.tsv", bottom_up("4711", SECOND))
    message = refused(opened(tmp_path), path)
    assert_says(message, str(path), "1 of 2 images", "first: 36979", "COCO_val2014_000000000042")


def test_another_number_of_boxes_than_regions(tmp_path: Path) -> None:
    path = written(tmp_path / "boxes.tsv", bottom_up("36979", FIRST), bottom_up("4711", SECOND[:2]))
    message = refused(opened(tmp_path), path)
    assert_says(message, str(path), "2 boxes", "image 4711", "3 regions", "1 such images")


def test_boxes_that_are_none_are_those_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "boxes.npy", np.stack([FIRST, FIRST[:, [2, 1, 0, 3]]]))
    export = with_boxes(open_export(saved(tmp_path / "maps.npz", padded())), tmp_path / "boxes.npy")
    report = FileProblems(export.path)
    check_images(report, export)
    (problem,) = report.problems
    assert_says(problem, f"boxes of {tmp_path / 'boxes.npy'}:", "4711 region 0 [50.0, 0.0, 0.0, 80.0]")


def test_images_without_captions_may_have_any_number_of_boxes(tmp_path: Path) -> None:
    ids = np.array(["unseen", "36979", "4711"])
    export = open_export(saved(tmp_path / "maps.npz", padded(boxes=None, image_ids=ids)))
    lines = bottom_up("unseen", FIRST[:1]), bottom_up("36979", FIRST), bottom_up("4711", SECOND)
    replaced = with_boxes(export, written(tmp_path / "boxes.tsv", *lines))
    assert replaced.regions.offset.tolist() == [0, 1, 4, 7]
    assert boxes_of(replaced) == FIRST[:1].tolist() + FIRST.tolist() + SECOND.tolist()
    assert captions_of(replaced) == captions_of(export)


# ---------------------------------------------------------------- what should be refused


@pytest.mark.parametrize("name", ["none.tsv", "none"])
def test_a_table_that_is_not_there(tmp_path: Path, name: str) -> None:
    assert_says(refused(opened(tmp_path), tmp_path / name), name, "No such file")


@pytest.mark.parametrize(
    "members",
    [
        {"boxes": np.float32(1)},
        {"boxes": np.concatenate([FIRST, SECOND]), "box_offset": np.array([0.0, 3, 6])},
        {"boxes": np.concatenate([FIRST, SECOND]), "box_offset": np.array(6)},
        {"boxes": np.concatenate([FIRST, SECOND]), "box_offset": np.array([[0], [3], [6]])},
    ],
    ids=["one number", "float offsets", "one offset", "table of offsets"],
)
def test_an_npz_of_odd_arrays(tmp_path: Path, members: dict[str, Any]) -> None:
    path = saved(tmp_path / "boxes.npz", {"image_ids": np.array(["36979", "4711"]), **members})
    assert_says(refused(opened(tmp_path), path), str(path), "box")


@pytest.mark.parametrize(
    "boxes", [np.array([[["a"] * 4] * 3] * 2), np.ones((2, 3, 4), complex)], ids=["text", "complex"]
)
def test_an_npz_of_boxes_that_are_no_numbers(tmp_path: Path, boxes: NDArray[Any]) -> None:
    path = saved(tmp_path / "boxes.npz", {"image_ids": np.array(["36979", "4711"]), "boxes": boxes})
    assert_says(refused(opened(tmp_path), path), str(path), "boxes", str(boxes.dtype))


def test_an_image_twice_in_an_npz(tmp_path: Path) -> None:
    members = {"image_ids": np.array(["36979", "4711", "36979"]), "boxes": np.stack([FIRST, SECOND, SECOND])}
    assert_says(refused(opened(tmp_path), saved(tmp_path / "boxes.npz", members)), "36979", "twice")


@pytest.mark.parametrize("second", ["42", "COCO_val2014_000000000042", "COCO_train2014_000000000042"])
def test_an_image_twice_in_a_table(tmp_path: Path, second: str) -> None:
    lines = bottom_up("COCO_val2014_000000000042", FIRST), bottom_up(second, SECOND), bottom_up("7", SECOND)
    assert_says(refused(opened(tmp_path, "42", "7"), written(tmp_path / "boxes.tsv", *lines)), "42", "twice")


def test_a_negative_number_of_boxes(tmp_path: Path) -> None:
    lines = f"36979\t100\t80\t-1\t{encoded(FIRST)}", bottom_up("4711", SECOND)
    assert_says(refused(opened(tmp_path), written(tmp_path / "boxes.tsv", *lines)), "line 1")


def test_an_empty_line_at_the_end(tmp_path: Path) -> None:
    path = written(tmp_path / "boxes.tsv", bottom_up("36979", FIRST), bottom_up("4711", SECOND), "")
    assert boxes_of(with_boxes(opened(tmp_path), path)) == FIRST.tolist() + SECOND.tolist()


def test_coco_names_count_as_numbers_in_an_npz(tmp_path: Path) -> None:
    names = np.array(["COCO_val2014_000000000042", "COCO_val2014_000000520000"])
    path = saved(tmp_path / "boxes.npz", {"image_ids": names, "boxes": np.stack([FIRST, SECOND])})
    assert boxes_of(with_boxes(opened(tmp_path, "42", "520000"), path)) == FIRST.tolist() + SECOND.tolist()


@pytest.mark.parametrize("side", [str(2**31), "1" + "0" * 60])
def test_sides_beyond_any_image(tmp_path: Path, side: str) -> None:
    export = opened(tmp_path)
    lines = (bottom_up("36979", FIRST, "", size=f"{side}\t80"), bottom_up("4711", SECOND, ""))
    said = refused(export, written(tmp_path / "boxes.tsv", *lines))
    assert_says(said, "boxes.tsv line 1", "an image of more than 2147483648 pixels across")
