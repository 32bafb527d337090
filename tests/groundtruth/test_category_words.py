"""Words that name a category: lists, singular and plural, the longest match."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING

import pytest

from attneval.errors import GroundTruthError
from attneval.groundtruth import Reading, open_ground_truth
from attneval.groundtruth.category_words import SHIPPED, CategoryWords, plurals, read_names

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["person", "dog", "hot dog", "toilet", "tie", "elephant", "train", "scissors", "bear"]
LISTED = [
    (0, ["person", "man", "people", "baby", "adult", "street sign maker"]),
    (1, ["dog", "puppy"]),
    (2, ["hot dog", "wiener"]),
    (3, ["toilet", "seat"]),
    (4, ["tie", "bow"]),
    (5, ["elephant"]),
    (6, ["train", "puppy"]),
    (7, ["scissors"]),
    (8, ["bear"]),
]


def found(text: str, *, exceptions: bool = False) -> list[tuple[str, str, bool]]:
    words = CategoryWords(LISTED, exceptions=exceptions)
    return [(text[m.span[0] : m.span[1]], NAMES[m.category], m.plural) for m in words.find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "A man, two DOGS and a hot dog.",
            [("man", "person", False), ("DOGS", "dog", True), ("hot dog", "hot dog", False)],
        ),
        ("hot-dogs or hot  \n dog", [("hot-dogs", "hot dog", True), ("hot  \n dog", "hot dog", False)]),
        ("hot, dog", [("dog", "dog", False)]),
        ("The last line wins: puppy", [("puppy", "train", False)]),
        ("three street sign makers", [("street sign makers", "person", True)]),
        ("people and babies", [("people", "person", True), ("babies", "person", True)]),
        ("scissors, a scissor", [("scissors", "scissors", False), ("scissor", "scissors", False)]),
        ("the man's doghouse", [("man", "person", False)]),
        ("İ man", [("man", "person", False)]),
        ("", []),
    ],
)
def test_the_longest_match(text: str, expected: list[tuple[str, str, bool]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "plain", "chair"),
    [
        ("a baby elephant", ["person", "elephant"], ["elephant"]),
        ("adult bears", ["person", "bear"], ["bear"]),
        ("a passenger train", ["train"], ["train"]),
        ("a bow tie", ["tie", "tie"], ["tie"]),
        ("toilet seat", ["toilet", "toilet"], ["toilet"]),
        ("a seat by the toilet", ["toilet", "toilet"], ["toilet"]),
        ("a seat", ["toilet"], ["toilet"]),
        ("a baby animal", ["person"], []),
    ],
)
def test_exceptions_on_request(text: str, plain: list[str], chair: list[str]) -> None:
    assert [category for _, category, _ in found(text)] == plain
    assert [category for _, category, _ in found(text, exceptions=True)] == chair


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dog", ["dogs"]),
        ("wine glass", ["wine glasses"]),
        ("person", ["people"]),
        ("fire woman", ["fire women"]),
        ("knife", ["knives"]),
        ("sheep", ["sheep"]),
        ("teddy", ["teddies"]),
        ("toy", ["toys"]),
        ("potato", ["potatos", "potatoes"]),
        ("y", ["ys"]),
    ],
)
def test_plurals(name: str, expected: list[str]) -> None:
    assert plurals(name) == expected


def test_lists_of_names(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("﻿person, man,  woman \n\ncart, wagon\ndog\n", "utf-8")
    assert read_names(path, ["dog", "person"]) == ([(1, ["person", "man", "woman"]), (0, ["dog"])], ["cart"])
    path.write_text("cart, wagon\n", "utf-8")
    with pytest.raises(GroundTruthError, match=r"no line of .*names\.txt names a category"):
        read_names(path, ["dog"])
    path.write_bytes(b"\xff")
    with pytest.raises(GroundTruthError, match=r"names\.txt cannot be read"):
        read_names(path, ["dog"])
    with pytest.raises(GroundTruthError, match="cannot be read"):
        read_names(tmp_path / "nowhere", ["dog"])


def test_the_list_that_is_shipped() -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    names, unknown = read_names(SHIPPED, [line.split(",")[0] for line in lines])
    assert (len(lines), len(names), unknown) == (80, 80, [])
    assert len({name for _, group in names for name in group}) == 409
    assert "MIT License" in (SHIPPED.parent / "LICENSE.coco_names").read_text("utf-8")


@pytest.mark.realdata
def test_coverage_of_real_captions(shared: Path, tmp_path: Path) -> None:
    """Shares that were counted for COCO at large hold for the samples."""
    folder = shared / "annotation_formats/coco"
    files = [folder / "captions.json", folder / "instances.json"]
    captions = tmp_path / "captions.json"
    captions.write_bytes(lzma.decompress((folder / "captions_val2017_full.json.xz").read_bytes()))
    everything = open_ground_truth(files, reading=Reading(mentions="all"))
    truth = everything.read(everything.image_ids())
    present = truth.phrase_entity >= 0
    assert 1.3 < len(present) / len(truth.text) < 1.8
    assert 0.88 < present.mean() < 0.96
    several = (truth.box_offset[1:] - truth.box_offset[:-1] > 1)[truth.phrase_entity[present]]
    assert 0.3 < several.mean() < 0.5
    # Captions are numbered by id, whatever their order in the file.
    texts: dict[int, list[tuple[int, str]]] = {}
    for entry in json.loads(captions.read_text("utf-8"))["annotations"]:
        texts.setdefault(entry["image_id"], []).append((entry["id"], entry["caption"]))
    for row, image in enumerate(truth.image_id):
        if int(image) in texts:
            own = list(truth.text)[truth.caption_offset[row] : truth.caption_offset[row + 1]]
            assert own == [text for _, text in sorted(texts[int(image)])]
