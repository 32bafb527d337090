"""Reading grounding JSON as MDETR writes it: phrases, boxes, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from annotations import DOGS, box_entry, boxes_of, caption_entry, phrases, read, types_of, write_dogs, write_json

from attneval.errors import GroundTruthError
from attneval.geometry.masks import from_pixels
from attneval.groundtruth import Reading, open_ground_truth
from attneval.groundtruth.columns import NO_TARGET

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
    # Corners are pixels counted from 1, the last one inside.
    assert boxes_of(truth, 0) == [[0.5, 1, 11.5, 22]]
    assert boxes_of(truth, 1) == [[19, 19, 25, 25], [29, 29, 35, 35]]
    assert boxes_of(truth, 2) == [[0.5, 1, 11.5, 22], [29, 29, 35, 35]]
    assert truth.entity_offset.tolist() == [0, 0, 3]
    assert types_of(truth) == [[]] * 6
    assert truth.digests == {"gt.json": hashlib.sha256(path.read_bytes()).digest()}


def test_phrases_without_tokens_positive_eval(tmp_path: Path) -> None:
    truth = open_ground_truth(write_dogs(tmp_path / "gt.json", None)).read(["36979"])
    # The distinct tokens_positive, in order; the second and the third overlap.
    assert phrases(truth, 0) == [(["A dog"], 0), (["and", "two dogs"], 1), (["two dogs"], 1)]
    assert boxes_of(truth, 1) == [[19, 19, 25, 25], [29, 29, 35, 35]]
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
        ({"file_name": "COCO_" + "0" * 20_000 + "x.jpg"}, "COCO_" + "0" * 20_000 + "x"),
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
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[]", "is no COCO-style JSON"),
        ("5", "is no COCO-style JSON"),
        ("\x00\x01", "is no JSON"),
        ("[" * 100_000, "is no JSON .it nests too deeply"),
        ('{"images": [{"id": ' + "1" * 5000 + "}]}", "is no JSON .it holds a number of too many digits"),
        ('{"images": [], "annotations": [], "categories": []}', "holds no images"),
        ('{"info": {}}', "is no COCO-style JSON"),
        ('{"images": [{"id": 3, "file_name": "1.jpg"}]}', r"has images without a caption \(ids: 3\)"),
        ('{"images": [{"id": 3, "caption": 5}]}', r"has images without a caption \(ids: 3\)"),
        ('{"images": [{"caption": "no id"}]}', "image entry 0 .*no 'id'"),
        ('{"annotations": [{"id": 1}], "images": [{"id": 3, "caption": "a"}]}', "annotation 1 .*no 'image_id'"),
        ('{"annotations": [1], "images": [{"id": 3, "caption": "a"}]}', "annotation 0 .*it is 1"),
        ('{"annotations": 5, "images": [{"id": 3, "caption": "a"}]}', "the annotation entries are 5, and no list"),
        ('{"images": [{"id": 1e30, "caption": "a"}]}', "image entry 1e.30 .*out of range"),
        ('{"images": [{"id": 9223372036854775808, "caption": "a"}]}', "image entry .*out of range"),
        ('{"images": [{"id": 1.5, "caption": "a"}]}', "image entry 1.5 .*no whole number"),
        ('{"images": [{"id": NaN, "caption": "a"}]}', "image entry nan .*no whole number"),
    ],
)
def test_json_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "gt.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GroundTruthError, match=rf"gt\.json:? {why}"):
        open_ground_truth(path, "mdetr")


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
    assert "is not UTF-8" in str(caught.value)
    assert len(str(caught.value)) < 1000


NUMBERS = ["NaN", "Infinity", "1e999", "1e20000", "9" * 400, '"3"', "true", "null", "[1]"]


@pytest.mark.parametrize(
    ("entry", "box", "why"),
    [
        ({"tokens_positive_eval": [[[0, 6]]]}, {}, r"tokens_positive_eval: span \[0, 6\) lies outside a caption of 5"),
        ({"tokens_positive_eval": [[[3, 3]]]}, {}, r"tokens_positive_eval: span \[3, 3\) lies outside"),
        ({"tokens_positive_eval": [[[-1, 3]]]}, {}, r"tokens_positive_eval: span \[-1, 3\) lies outside"),
        ({"tokens_positive_eval": [[[0, 2.5]]]}, {}, "tokens_positive_eval is 2.5, and no whole number"),
        ({"tokens_positive_eval": [[["a", "b"]]]}, {}, "tokens_positive_eval is 'a', and no whole number"),
        ({"tokens_positive_eval": [[[0, 1, 2]]]}, {}, "tokens_positive_eval holds .* no first and last character"),
        ({"tokens_positive_eval": None}, {}, "tokens_positive_eval is None, and no list"),
        ({"width": None}, {}, "width is None, and no whole number"),
        ({"width": 10.5}, {}, "width is 10.5, and no whole number"),
        ({"width": "1" * 400}, {}, "width is '1+...1+', which is out of range"),
        ({"width": float("inf")}, {}, "width is inf, and no whole number"),
        ({"height": "tall"}, {}, "height is 'tall', and no whole number"),
        ({"width": 0}, {}, "width is 0, which is out of range"),
        ({"sentence_id": "first"}, {}, "sentence_id is 'first', and no whole number"),
        ({"sentence_id": 1.5}, {}, "sentence_id is 1.5, and no whole number"),
        ({}, {"tokens_positive": [[0, 50]]}, r"tokens_positive: span \[0, 50\) lies outside"),
        ({}, {"tokens_positive": None}, "tokens_positive is None, and no list"),
        ({}, {"bbox": [1, 2, 3]}, "bbox holds 3 numbers instead of 4"),
        ({}, {"bbox": None}, "bbox is None, and no list"),
        ({}, {"bbox": [5, 5, -3, 2]}, "bbox .* negative width or height"),
        ({}, {"bbox": [500, 5, 3, 2]}, "bbox .* lies outside its image of 100 x 80"),
        ({}, {"bbox": [5, -9, 3, 2]}, "bbox .* lies outside its image of 100 x 80"),
        ({}, {"iscrowd": 2}, "iscrowd is 2, and neither 0 nor 1"),
    ],
)
def test_entries_refused(tmp_path: Path, entry: dict[str, object], box: dict[str, object], why: str) -> None:
    good = caption_entry(8, "fine", [[[0, 4]]], original_img_id=8)
    bad = caption_entry(9, "A dog", [[[0, 5]]]) | entry
    path = write_json(tmp_path / "gt.json", [good, bad], [box_entry(1, 9, [1, 1, 5, 5], [[0, 5]]) | box])
    source = open_ground_truth(path)
    assert len(source.read(["8"]).text) == 1
    place = "annotation 1" if box else "image entry 9"
    with pytest.raises(GroundTruthError, match=rf"gt\.json: {place} cannot be read: {why}"):
        source.read(["36979"])


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("place", range(4))
def test_numbers_of_boxes_are_checked(tmp_path: Path, number: str, place: int) -> None:
    marked = [box_entry(1, 9, [1, 2, 3, 4], [[0, 5]])]
    path = write_json(tmp_path / "gt.json", [caption_entry(9, "A dog", None)], marked)
    box = ["1", "2", "3", "4"]
    box[place] = number
    text = path.read_text("utf-8").replace('"bbox": [1, 2, 3, 4]', f'"bbox": [{", ".join(box)}]')
    path.write_text(text, "utf-8")
    with pytest.raises(GroundTruthError, match=r"gt\.json: annotation 1 cannot be read: bbox holds"):
        open_ground_truth(path).read(["36979"])


def test_boxes_are_clipped_to_their_image(tmp_path: Path) -> None:
    marked = [
        box_entry(k, 9, box, [[0, 5]])
        for k, box in enumerate([[-5.0, -5.0, 10.0, 10.0], [95.0, 70.0, 20.0, 20.0], [-1.0, -1.0, 300.0, 300.0]])
    ]
    truth = read(write_json(tmp_path / "gt.json", [caption_entry(9, "A dog", None, dataset_name="coco")], marked))
    assert boxes_of(truth, 0) == [[0, 0, 5, 5], [0, 0, 100, 80], [95, 70, 100, 80]]


def test_sizes_that_disagree_are_refused(tmp_path: Path) -> None:
    entries = [caption_entry(1, "A dog", []), caption_entry(2, "A dog", [], width=101)]
    with pytest.raises(GroundTruthError, match=r"image entry 2 .* says that image 36979 is .101, 80.*says .100, 80"):
        read(write_json(tmp_path / "gt.json", entries, []))


@pytest.mark.parametrize(
    ("edges", "box"), [("pixel", [9, 19, 40, 60]), ("raw", [10, 20, 40, 60]), ("corner", [9, 19, 39, 59])]
)
def test_edges_of_flickr_files(tmp_path: Path, edges: str, box: list[float]) -> None:
    images = [caption_entry(1, "A dog", None), caption_entry(2, "A dog", None, dataset_name="mixed", original_img_id=5)]
    marked = [box_entry(k, k, [10, 20, 30, 40], [[0, 5]]) for k in (1, 2)]
    truth = read(write_json(tmp_path / "gt.json", images, marked), "36979", "5", edges=edges)
    assert boxes_of(truth, 0) == [box]
    assert boxes_of(truth, 1) == [[10, 20, 40, 60]]  # of a set that counts from 0


# ---------------------------------------------------------------- beyond Flickr


def test_nothing_meant_is_a_phrase_without_a_box(tmp_path: Path) -> None:
    entries = [
        caption_entry(1, "no such cat", None, dataset_name="grefcoco", original_img_id=7, sentence_id=0),
        caption_entry(2, "the dog", None, dataset_name="grefcoco", original_img_id=7, sentence_id=1),
    ]
    marked = [
        box_entry(1, 1, [0, 0, 0, 0], [[8, 11]]) | {"category_id": -1, "empty": True},
        box_entry(2, 2, [1, 1, 5, 5], [[4, 7]]),
    ]
    path = write_json(tmp_path / "gt.json", entries, marked)
    truth = read(path)
    assert phrases(truth, 0) == [(["no such cat"], -1)]
    assert phrases(truth, 1) == [(["the dog"], 0)]
    assert truth.phrase_flags.tolist() == [NO_TARGET, 0]
    heads = open_ground_truth(path, reading=Reading(expression="head")).read(["7"])
    assert [phrases(heads, caption) for caption in (0, 1)] == [[(["cat"], -1)], [(["dog"], 0)]]


def test_images_of_two_sources_with_one_number(tmp_path: Path) -> None:
    entries = [
        caption_entry(1, "A dog", None, original_img_id=2, data_source="coco", dataset_name="mixed"),
        caption_entry(2, "A cat", None, original_img_id=2, data_source="vg", dataset_name="mixed", width=640),
    ]
    truth = read(write_json(tmp_path / "gt.json", entries, [box_entry(1, 2, [1, 1, 5, 5], [[0, 5]])]))
    assert truth.image_id == ["2", "vg/2"]
    assert truth.image_size.tolist() == [[100, 80], [640, 80]]
    assert truth.phrase_offset.tolist() == [0, 0, 1]


def test_crowds_and_empty_spans_are_left_out(tmp_path: Path) -> None:
    marked = [
        box_entry(1, 1, [1, 1, 50, 50], [[0, 5]]) | {"iscrowd": 1},
        box_entry(2, 1, [1, 1, 5, 5], []),
        box_entry(3, 1, [2, 2, 5, 5], [[2, 5]]),
    ]
    truth = read(write_json(tmp_path / "gt.json", [caption_entry(1, "A dog", None, dataset_name="mixed")], marked))
    assert phrases(truth) == [(["dog"], 0)]
    assert boxes_of(truth, 0) == [[2, 2, 7, 7]]


def test_a_span_without_its_list(tmp_path: Path) -> None:
    marked = [box_entry(1, 1, [1, 1, 5, 5], []) | {"tokens_positive": [0, 5]}]
    truth = read(write_json(tmp_path / "gt.json", [caption_entry(1, "A dog", None)], marked))
    assert phrases(truth) == [(["A dog"], 0)]


def test_masks_of_annotations(tmp_path: Path) -> None:
    pixels = np.zeros((80, 100), np.bool_)
    pixels[10:20, 30:50] = True
    mask = {"size": [80, 100], "counts": from_pixels(pixels).decode()}
    marked = [box_entry(1, 1, [30, 10, 20, 10], [[0, 5]]) | {"sam_mask": mask}]
    path = write_json(tmp_path / "gt.json", [caption_entry(1, "A dog", None)], marked)
    assert not read(path).has_masks
    truth = open_ground_truth(path, reading=Reading(masks=True)).read(["36979"])
    assert truth.mask_area.tolist() == [200]
    assert truth.mask_offset.tolist() == [0, 1]


def test_text_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    path = write_json(tmp_path / "gt.json", [caption_entry(1, "café 犬", [[[5, 6]]])], [])
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(json.loads(path.read_text("utf-8")), ensure_ascii=False).encode())
    script = (
        "from attneval.groundtruth import open_ground_truth\n"
        f"print(ascii(list(open_ground_truth({str(path)!r}).read(['36979']).text)))"
    )
    environment = os.environ | {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == ascii(["café 犬"])


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
