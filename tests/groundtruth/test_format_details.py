"""What is particular to a format: recognition, sizes, splits, heads, ids, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from format_worlds import World, dump

from attneval.errors import GroundTruthError, ProtocolError
from attneval.geometry.masks import from_pixels
from attneval.groundtruth import Reading, open_ground_truth
from attneval.groundtruth.columns import NO_TARGET, GroundTruth
from attneval.groundtruth.crowds import without_crowds
from attneval.groundtruth.heads import head_span
from attneval.groundtruth.image_names import image_name
from attneval.groundtruth.index import Cached

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read(paths: Sequence[Path] | Path, **choices: Any) -> GroundTruth:
    source = open_ground_truth(paths, reading=Reading(**choices))
    return source.read(source.image_ids())


# ---------------------------------------------------------------- recognition


def test_files_that_do_not_make_a_format(tmp_path: Path) -> None:
    captions, instances = World(1, 5).coco(tmp_path)
    with pytest.raises(GroundTruthError, match="coco also needs instances") as caught:
        open_ground_truth(captions)
    assert "--gt once for each file" in caught.value.hint
    with pytest.raises(GroundTruthError, match="coco also needs captions; refer also needs references"):
        open_ground_truth(instances)
    other = dump(tmp_path / "other.json", {"a": 1})
    with pytest.raises(GroundTruthError, match=r"other\.json holds no ground truth of a known format"):
        open_ground_truth([captions, instances, other])
    other.unlink()
    assert open_ground_truth(tmp_path).format == "coco"
    with pytest.raises(ProtocolError, match="no annotation format 'cocoo'") as unknown:
        open_ground_truth(captions, "cocoo")
    assert "did you mean coco" in unknown.value.hint


def test_a_folder_of_several_formats(tmp_path: Path) -> None:
    World(1, 5).coco(tmp_path)
    World(1, 5).rec(tmp_path)
    with pytest.raises(GroundTruthError, match="several formats: coco, rec"):
        open_ground_truth(tmp_path)
    assert open_ground_truth(tmp_path, "rec").format == "rec"


def test_a_folder_of_several_releases(tmp_path: Path) -> None:
    references, _ = World(1, 5).refer(tmp_path)
    (tmp_path / "refs(google).p").write_bytes(references.read_bytes())
    with pytest.raises(GroundTruthError, match=r"refs\(google\)\.p, .*refs\(unc\)\.p hold the same part"):
        open_ground_truth(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"image_id": "1", "caption": "a", "timed_caption": [], "traces": []}', "Localized Narratives"),
        ('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]', "results of a detector"),
        ('{"annotations": {"v_1": {"segments": {}}}}', "ActivityNet-Entities"),
    ],
)
def test_what_cannot_be_scored_against_is_said(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "gt.json"
    path.write_text(text, "utf-8")
    with pytest.raises(GroundTruthError, match=rf"gt\.json cannot be scored against: it holds {why}"):
        open_ground_truth(path)


def test_paths_are_asked_first(tmp_path: Path) -> None:
    for path in (tmp_path / ("a" * 300), tmp_path / "a\0b", tmp_path / "nowhere"):
        with pytest.raises(GroundTruthError, match=r"cannot be read|does not exist"):
            open_ground_truth(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GroundTruthError, match="pipe is a device or a pipe"):
        open_ground_truth(tmp_path / "pipe")


# ---------------------------------------------------------------- COCO


def test_several_files_of_a_part(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        files = World(seed, 6).coco(tmp_path / name)
        if name == "b":
            for path in files:
                data = json.loads(path.read_text("utf-8"))
                for entry in data["images"]:
                    entry["id"] += 100
                for entry in data["annotations"]:
                    entry["image_id"] += 100
                dump(path, data)
    files = [tmp_path / folder / f"{part}.json" for folder in "ab" for part in ("captions", "instances")]
    assert set(read(files).image_id) == {*map(str, range(1, 7)), *map(str, range(101, 107))}
    with pytest.raises(GroundTruthError, match=r"instances\.json: 6 ids stand for several images"):
        read([*files[:2], files[1]])


def test_images_are_known_by_the_names_of_their_files(tmp_path: Path) -> None:
    source = open_ground_truth(World(1, 5).coco(tmp_path))
    names = ["3", "000000000003", "COCO_val2014_000000000003", "3.jpg", "00003", "COCO_val2014_000000000099"]
    assert source.missing(names) == names[3:]
    truth = source.read(names[:3])
    assert truth.image_id == names[:3]
    assert len({truth.text[row] for row in truth.caption_offset[:-1]}) == 1


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("val2017/000000009400.jpg", "9400"),
        ("COCO_train2014_000000580957_3.jpg", "3"),
        ("x\\y\\36979.png", "36979"),
        ("n161313.jpg", "n161313"),
        ("000000000000", "0"),
        ("COCO_x.jpg", "COCO_x"),
    ],
)
def test_names_of_images(name: str, image: str) -> None:
    assert image_name(name) == image


def test_absent_categories_are_counted_on_request(tmp_path: Path) -> None:
    files = World(3, 60).coco(tmp_path)
    present, every = read(files), read(files, mentions="all")
    assert (present.phrase_entity >= 0).all()
    assert len(every.phrase_entity) > len(present.phrase_entity)
    assert (every.phrase_entity >= 0).sum() == len(present.phrase_entity)
    assert (every.phrase_category >= 0).all()


def test_names_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    files = World(3, 60).coco(tmp_path / "coco")
    names = tmp_path / "names.txt"
    names.write_text("dog, man\nzebra\nyak\n", "utf-8")
    truth = read(files, synonyms=names)
    assert {truth.categories[row] for row in truth.phrase_category} == {"dog"}
    assert truth.warnings == (f"{names}: 2 lines name no category of the annotations (first: zebra, yak): left out",)


def test_crowds(tmp_path: Path) -> None:
    truth = read(World(3, 200).coco(tmp_path), masks=True)
    assert 0 < truth.box_crowd.sum() < len(truth.box)
    assert truth.box_crowd.tolist() == truth.mask_crowd.tolist()
    owner = np.repeat(np.arange(len(truth.box_offset) - 1), np.diff(truth.box_offset))
    with_crowd = set(owner[truth.box_crowd].tolist())
    alone = {entity for entity in with_crowd if truth.box_crowd[owner == entity].all()}
    assert with_crowd > alone
    dropped, ignored = without_crowds(truth, "drop"), without_crowds(truth, "ignore")
    for part in (dropped, ignored):
        assert not part.box_crowd.any()
        assert len(part.phrase_entity) == len(truth.phrase_entity)
        assert part.entity_offset[-1] == len(part.box_offset) - 1 == len(part.mask_offset) - 1
        assert part.mask_at[-1] == len(part.mask)
    lost = [phrase for phrase, entity in enumerate(truth.phrase_entity.tolist()) if entity in alone]
    touched = [phrase for phrase, entity in enumerate(truth.phrase_entity.tolist()) if entity in with_crowd]
    assert np.flatnonzero(dropped.phrase_entity < 0).tolist() == lost
    assert np.flatnonzero(ignored.phrase_entity < 0).tolist() == touched
    for phrase in set(range(len(truth.phrase_entity))) - set(lost):
        old, new = int(truth.phrase_entity[phrase]), int(dropped.phrase_entity[phrase])
        boxes = truth.box[truth.box_offset[old] : truth.box_offset[old + 1]]
        kept = boxes[~truth.box_crowd[truth.box_offset[old] : truth.box_offset[old + 1]]]
        assert dropped.box[dropped.box_offset[new] : dropped.box_offset[new + 1]].tolist() == kept.tolist()
    assert without_crowds(truth, "include") is truth


def test_an_index_keeps_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "coco").mkdir()
    files = World(3, 220).coco(tmp_path / "coco")

    def cached(**choices: Any) -> tuple[Cached, list[str]]:
        source = open_ground_truth(files, reading=Reading(**choices))
        ids = source.image_ids()
        return Cached(source, ids), ids

    first, ids = cached(masks=True)
    truth = first.read(ids)
    first.collect(truth)
    first.save("0" * 64)
    second, _ = cached(masks=True)
    assert second.index is not None
    again = second.read(ids)
    for name, values in vars(truth).items():
        other = getattr(again, name)
        if isinstance(values, np.ndarray):
            assert np.array_equal(values, other), name
        elif name not in {"text", "digests"}:
            assert values == other, name
    assert again.mask.dtype == np.uint8
    assert again.box_crowd.dtype == np.bool_
    # Other choices, or another file, are another index.
    assert cached(masks=True, mentions="all")[0].index is None
    assert cached()[0].index is None
    files[0].write_text(files[0].read_text("utf-8") + " ", "utf-8")
    assert cached(masks=True)[0].index is None


# ---------------------------------------------------------------- referring expressions

HEADS = [
    ("the man in red", "man"),
    ("woman wearing a hat", "woman"),
    ("left guy", "guy"),
    ("in the middle", "middle"),
    ("a red bowl that is not on the counter", "bowl"),
    ("the bear's paw", "paw"),
    ("king with crown", "king"),
    ("the", "the"),
    ("wing of plane", "wing"),
    ("", ""),
    (" ?! ", ""),
]


@pytest.mark.parametrize(("text", "head"), HEADS)
def test_heads(text: str, head: str) -> None:
    assert [text[a:b] for a, b in head_span(text)] == ([head] if head else [])


def test_heads_of_expressions(tmp_path: Path) -> None:
    files = World(5, 30).refer(tmp_path)
    whole, heads = read(files), read(files, expression="head")
    assert whole.phrase_entity.tolist() == heads.phrase_entity.tolist()
    texts = list(heads.text)
    owner = np.repeat(np.arange(len(texts)), np.diff(heads.phrase_offset))
    words = [texts[c][a:b] for c, (a, b) in zip(owner.tolist(), heads.span.tolist(), strict=True)]
    assert all(len(word.split()) == 1 for word in words)


def test_splits_that_are_not_there(tmp_path: Path) -> None:
    files = World(5, 30).refer(tmp_path)
    with pytest.raises(GroundTruthError, match=r"refs\(unc\)\.p has no split 'tset'") as caught:
        read(files, split_name="tset")
    assert "did you mean" in caught.value.hint or "it has" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ann_id": 7}, "ann_id 7 is no annotation of"),
        ({"ann_id": 1.5}, "ann_id is 1.5, and no whole number"),
        ({"ann_id": [[1]]}, r"ann_id is \[1\], and no whole number"),
        ({"image_id": 3}, "ann_id [0-9]+ is an annotation of image"),
        ({"sentences": None}, "sentences is None, and no list"),
        ({"sentences": [{"sent": 5}]}, "sent is 5, and no text"),
        ({"sentences": [{}]}, "it has no 'raw'"),
        ({"no_target": "maybe"}, "no_target is 'maybe', and neither 0 nor 1"),
    ],
)
def test_references_refused(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    world = World(5, 6)
    files = world.refer(tmp_path)
    image = next(scene.number for scene in world.scenes if scene.things)
    sentence = {"sent": "a dog", "raw": "a dog", "sent_id": 0}
    reference = {"ref_id": 4, "ann_id": 1000 * image, "image_id": image, "split": "val", "sentences": [sentence]}
    change = {key: (image % 6 + 1 if key == "image_id" else value) for key, value in change.items()}
    files[0].write_bytes(pickle.dumps([reference | change], 2))
    with pytest.raises(
        GroundTruthError,
        match=r"refs\(unc\)\.p: .* cannot be read: " + why,
    ):
        read(files)


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x02]q\x00cbuiltins\nlen\nq\x01(]tRa.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x031+1\x85R.",
        b"\x80\x02}b.",
        b"\x80\x02" + b"(" * 1000,
        b"\x80\x02]r\xff\xff\xff\xff.",
        b"\x80\x02]}\x8f.",
        b"\x80\xff",
    ],
)
def test_pickles_refused(tmp_path: Path, data: bytes) -> None:
    files = World(5, 6).refer(tmp_path)
    files[0].write_bytes(data)
    with pytest.raises(GroundTruthError, match=r"refs\(unc\)\.p"):
        open_ground_truth(files, "refer")


@pytest.mark.realdata
def test_real_pickles(shared: Path) -> None:
    folder = shared / "annotation_formats/refcoco"
    instances = folder / "refcoco/instances.json"
    texts = set()
    for path in sorted((folder / "pickle_variants").iterdir()):
        if path.name.startswith("refs_protocol") or "python2" in path.name:
            truth = read([path, instances])
            assert len(truth.text) == 4
            texts.add(tuple(truth.text)[1:])
            assert ("café table" in list(truth.text)) == ("python2" in path.name)
        else:
            with pytest.raises(GroundTruthError, match="is no pickle of plain lists"):
                read([path, instances])
    assert len(texts) == 1


# ---------------------------------------------------------------- sizes


def test_sizes_from_a_file(tmp_path: Path) -> None:
    files = World(4, 20).visual_genome(tmp_path)
    unknown = read(files[0])
    assert unknown.image_size.tolist() == [[0, 0]] * 20
    known = read(files)
    assert read(files[0], sizes=(files[1],)).box.tolist() == known.box.tolist()
    sized = unknown.with_sizes(known.image_size)
    assert sized.box.tolist() == known.box.tolist()
    assert sized.image_size.tolist() == known.image_size.tolist()
    assert known.with_sizes(np.full((20, 2), 5)) is known
    with pytest.raises(GroundTruthError, match="lies outside its size"):
        unknown.with_sizes(np.full((20, 2), 1))


def test_sizes_that_are_not_there(tmp_path: Path) -> None:
    tasks, sizes = World(4, 6).phrasecut(tmp_path)
    with pytest.raises(GroundTruthError, match=r"refer\.json has no sizes of [0-9]+ images") as caught:
        open_ground_truth(tasks)
    assert "--gt-sizes" in caught.value.hint
    images = [{"id": e["image_id"], "width": e["width"], "height": e["height"]} for e in json.loads(sizes.read_text())]
    other = dump(tmp_path / "coco.json", {"images": images})
    by_name = dump(
        tmp_path / "by_name.json", {str(e["id"]): {"width": e["width"], "height": e["height"]} for e in images}
    )
    expected = read([tasks, sizes])
    for path in (other, by_name):
        assert read(tasks, sizes=(path,)).image_size.tolist() == expected.image_size.tolist()
    images[0]["width"] += 1
    with pytest.raises(GroundTruthError, match=r"image 1 is .* here and .* elsewhere"):
        read([tasks, sizes], sizes=(dump(tmp_path / "coco.json", {"images": images}),))


# ---------------------------------------------------------------- the rest


def test_shares_of_the_image_are_scaled(tmp_path: Path) -> None:
    line = {"filename": "5.jpg", "width": 100, "height": 50}
    region = {"bbox": [0.1, 0.2, 0.5, 1], "phrase": "a Dog"}
    path = dump(tmp_path / "odvg.jsonl", line | {"grounding": {"caption": "see A dog", "regions": [region]}})
    truth = read(path)
    assert truth.box.tolist() == [[10, 10, 50, 50]]
    assert truth.span.tolist() == [[4, 9]]  # without marks, where the phrase stands
    assert truth.warnings == (f"{path}: all boxes lie within 0 and 1: read as shares of width and height",)
    detection = json.dumps(line | {"detection": {"instances": []}})
    path.write_text(path.read_text() + "\n" + detection, "utf-8")
    assert read(path).warnings[0] == f"{path}: 1 lines of detection data have no caption: left out"


def test_masks_of_references(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30), np.bool_)
    pixels[3:7, 10:20] = True
    mask = {"size": [20, 30], "counts": from_pixels(pixels).decode()}
    references = [
        {"sentence": "The dog", "segmentation": mask},
        {"sentence": "a cat", "segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]]},
    ]
    entry = {"img_file_name": "COCO_train2014_000000000042.jpg", "caption": '"the dog and a cat"', "refs": references}
    truth = read(dump(tmp_path / "gcg.json", [entry]), masks=True)
    assert (truth.image_id, list(truth.text)) == (["42"], ["the dog and a cat"])
    assert truth.span.tolist() == [[0, 7], [12, 17]]
    assert truth.box.tolist() == [[10, 3, 20, 7], [1, 1, 5, 5]]
    assert truth.mask_area.tolist() == [40, 16]


def test_nothing_meant(tmp_path: Path) -> None:
    entry = {"file_name": "1.jpg", "width": 10, "height": 10, "normal_caption": "the yak", "solution": None}
    truth = read(dump(tmp_path / "rec.json", [entry]))
    assert truth.phrase_entity.tolist() == [-1]
    assert truth.phrase_flags.tolist() == [NO_TARGET]


def test_masks_need_label_images(tmp_path: Path) -> None:
    narratives, panoptic, folder = World(4, 6).png(tmp_path)
    assert read([narratives, panoptic]).has_masks is False
    with pytest.raises(GroundTruthError, match="folder of label images, which was not given"):
        open_ground_truth([narratives, panoptic], reading=Reading(masks=True))
    image = next(folder.rglob("*1.png"))
    image.write_bytes(image.read_bytes()[:-40])
    with pytest.raises(GroundTruthError, match=r"1\.png is no label image"):
        read([narratives, panoptic, folder], masks=True)


@pytest.mark.parametrize("place", ["9", "1:0", "-1", "a", "0:9", "99999999999999999999"])
def test_words_of_questions_refused(tmp_path: Path, place: str) -> None:
    questions, graphs = World(4, 6).gqa(tmp_path)
    data = json.loads(questions.read_text("utf-8"))
    next(iter(data.values())).update(question="Is it?", annotations={"question": {place: "1"}})
    dump(questions, data)
    with pytest.raises(GroundTruthError, match=r"questions\.json: question .* annotations mark the words"):
        read([questions, graphs])
