"""Reading grounding JSON as MDETR writes it: phrases, boxes, and what is refused."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from annotations import DOGS, box_entry, boxes_of, caption_entry, phrases, read, types_of, write_dogs, write_json

from attneval.errors import GroundTruthError
from attneval.groundtruth import open_ground_truth

if TYPE_CHECKING:
    from pathlib import Path


def test_grounding_json_by_hand(tmp_path: Path) -> None:
    # One phrase of two spans, one without a box, one that two annotations overlap.
    path = write_dogs(tmp_path / "gt.json", [[[0, 1], [2, 5]], [[25, 28]], [[14, 18]], [[2, 9]]])
    source = open_ground_truth(path)
    assert source.format == "mdetr"
    assert source.image_ids() == ["36979", "7"]
    assert source.missing(["36979", "8", "7"]) == ["8"]
    truth = source.read(["7", "36979"])
    assert truth.image_id == ["7", "36979"]
    assert truth.image_size.tolist() == [[640, 480], [100, 80]]
    assert truth.caption_offset.tolist() == [0, 1, 3]
    assert truth.caption_index.tolist() == [0, 0, 2]
    assert list(truth.text) == ["Elsewhere", DOGS, "A dog"]
    assert phrases(truth, 0) == [(["Elsewhere"], -1)]
    # Phrases with the same boxes are one entity, in whichever caption of the image.
    assert phrases(truth, 1) == [(["A", "dog"], 0), (["wow"], -1), (["dogs"], 1), (["dog and"], 2)]
    assert phrases(truth, 2) == [(["A dog"], 0)]
    assert boxes_of(truth, 0) == [[1.5, 2, 11.5, 22]]
    assert boxes_of(truth, 1) == [[20, 20, 25, 25], [30, 30, 35, 35]]
    assert boxes_of(truth, 2) == [[1.5, 2, 11.5, 22], [30, 30, 35, 35]]
    assert truth.entity_offset.tolist() == [0, 0, 3]
    assert types_of(truth) == [[]] * 6
    assert truth.digests == {"gt.json": hashlib.sha256(path.read_bytes()).digest()}


def test_phrases_without_tokens_positive_eval(tmp_path: Path) -> None:
    truth = open_ground_truth(write_dogs(tmp_path / "gt.json", None)).read(["36979"])
    # The distinct tokens_positive, in order; the second and the third overlap.
    assert phrases(truth, 0) == [(["A dog"], 0), (["and", "two dogs"], 1), (["two dogs"], 1)]
    assert boxes_of(truth, 1) == [[20, 20, 25, 25], [30, 30, 35, 35]]
    assert phrases(truth, 1) == [(["A dog"], 0)]


def test_two_mentions_are_two_phrases(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "gt.json",
        [caption_entry(1, "dog , dog", [[[0, 3]], [[6, 9]]])],
        [box_entry(1, 1, [0, 0, 5, 5], [[0, 3], [6, 9]])],
    )
    assert phrases(open_ground_truth(path).read(["36979"])) == [(["dog"], 0), (["dog"], 0)]


def test_touching_spans_do_not_overlap(tmp_path: Path) -> None:
    path = write_json(
        tmp_path / "gt.json",
        [caption_entry(1, "redhat", [[[0, 3]], [[3, 6]]])],
        [box_entry(1, 1, [0, 0, 5, 5], [[0, 3]])],
    )
    assert phrases(open_ground_truth(path).read(["36979"])) == [(["red"], 0), (["hat"], -1)]


@pytest.mark.parametrize(
    ("given", "image_id"),
    [
        ({"original_img_id": 42, "original_id": 43}, "42"),
        ({"original_id": 43, "file_name": "1.jpg"}, "43"),
        ({"file_name": "flickr30k/36979.jpg"}, "36979"),
        ({"file_name": "COCO_val2014_000000391895.jpg"}, "391895"),
        ({"file_name": "000000391895.jpg"}, "000000391895"),
        ({}, "1"),
    ],
)
def test_what_an_image_is_called(tmp_path: Path, given: dict[str, object], image_id: str) -> None:
    entry = {"id": 1, "width": 10, "height": 10, "caption": "a", "tokens_positive_eval": []} | given
    source = open_ground_truth(write_json(tmp_path / "gt.json", [entry], []))
    assert source.image_ids() == [image_id]
    assert source.read([image_id]).caption_index.tolist() == [0]


def test_captions_without_a_number_are_counted(tmp_path: Path) -> None:
    entries = [
        {"id": k, "width": 10, "height": 10, "caption": "a", "file_name": name}
        for k, name in enumerate(["5.jpg", "6.jpg", "5.jpg"])
    ]
    truth = open_ground_truth(write_json(tmp_path / "gt.json", entries, [])).read(["6", "5"])
    assert truth.caption_index.tolist() == [0, 0, 1]


def test_pycocotools_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_ground_truth(write_dogs(tmp_path / "gt.json", None)).read(["36979"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no COCO-style JSON"),
        ("{", "is no COCO-style JSON"),
        ("[]", "is no COCO-style JSON"),
        ("\x00\x01", "is no COCO-style JSON"),
        ('{"images": [], "annotations": [], "categories": []}', "holds no images"),
        ('{"info": {}}', "holds no images"),
        ('{"images": [{"id": 3, "file_name": "1.jpg"}]}', r"has images without a caption \(ids: 3\)"),
        ('{"images": [{"id": 3, "caption": 5}]}', r"has images without a caption \(ids: 3\)"),
        ('{"images": [{"caption": "no id"}]}', "is no COCO-style JSON"),
        ('{"annotations": [{"id": 1}], "images": [{"id": 3, "caption": "a"}]}', "is no COCO-style JSON"),
    ],
)
def test_json_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "gt.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GroundTruthError, match=rf"gt\.json {why}"):
        open_ground_truth(path)


@pytest.mark.parametrize(
    ("images", "boxes", "why"),
    [
        ([1, 2, 1, 2, 3], [], "2 ids stand for several images: 1, 2"),
        ([1, None], [], "an image entry has the id null"),
        ([1], [1, 7, 8, 7], "annotations of 2 images that are not there: 7, 8"),
    ],
)
def test_entries_that_would_be_left_out_are_refused(
    tmp_path: Path, images: list[int | None], boxes: list[int], why: str
) -> None:
    entries = [caption_entry(1, "a dog", []) | {"id": image} for image in images]
    marked = [box_entry(number, image, [0, 0, 5, 5], [[0, 1]]) for number, image in enumerate(boxes)]
    with pytest.raises(GroundTruthError, match=rf"gt\.json: {why}"):
        open_ground_truth(write_json(tmp_path / "gt.json", entries, marked))


def test_a_large_file_that_is_none_is_told_in_brief(tmp_path: Path) -> None:
    path = tmp_path / "gt.json"
    path.write_bytes(b"\xff" * 100_000)
    with pytest.raises(GroundTruthError) as caught:
        open_ground_truth(path)
    assert "UnicodeDecodeError" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("entry", "box", "why"),
    [
        ({"tokens_positive_eval": [[[0, 6]]]}, {}, r"span \[0, 6\) outside a caption of 5 characters"),
        ({"tokens_positive_eval": [[[3, 3]]]}, {}, r"span \[3, 3\) outside"),
        ({"tokens_positive_eval": [[[-1, 3]]]}, {}, r"span \[-1, 3\) outside"),
        ({"tokens_positive_eval": [[0, 3]]}, {}, "TypeError"),
        ({"tokens_positive_eval": [[["a", "b"]]]}, {}, "ValueError"),
        ({"tokens_positive_eval": None}, {}, "TypeError"),
        ({"width": None}, {}, "TypeError"),
        ({"height": "tall"}, {}, "ValueError"),
        ({"sentence_id": "first"}, {}, "ValueError"),
        ({}, {"tokens_positive": [[0, 50]]}, r"span \[0, 50\) outside"),
        ({}, {"tokens_positive": None}, "TypeError"),
        ({}, {"bbox": [1, 2, 3]}, "ValueError"),
        ({}, {"bbox": None}, "TypeError"),
        ({"width": 0}, {}, "width"),
        ({}, {"bbox": [5, 5, -3, 2]}, "bbox"),
    ],
)
def test_entries_refused(tmp_path: Path, entry: dict[str, object], box: dict[str, object], why: str) -> None:
    good = caption_entry(8, "fine", [[[0, 4]]], original_img_id=8)
    bad = caption_entry(9, "A dog", [[[0, 5]]]) | entry
    path = write_json(tmp_path / "gt.json", [good, bad], [box_entry(1, 9, [0, 0, 5, 5], [[0, 5]]) | box])
    source = open_ground_truth(path)
    assert len(source.read(["8"]).text) == 1
    with pytest.raises(GroundTruthError, match=rf"gt\.json: image entry 9 cannot be read .*{why}"):
        source.read(["36979"])


@pytest.mark.realdata
def test_separate_and_merged_grounding_json(shared: Path) -> None:
    for name in ("flickr_separateGT_val.json", "flickr_mergedGT_val.json"):
        path = shared / "mdetr" / name
        truth = read(path)
        data = json.loads(path.read_text("utf-8"))
        assert len(truth.text) == len(data["images"]) == 5000
        assert len(truth.image_id) == len({entry["original_img_id"] for entry in data["images"]})
        assert len(truth.phrase_entity) == sum(len(entry["tokens_positive_eval"]) for entry in data["images"])
        assert len(truth.span) == sum(len(s) for entry in data["images"] for s in entry["tokens_positive_eval"])
