"""Every annotation format against a slow reader of its own, on real samples and on a made-up world."""

from __future__ import annotations

import lzma
import pickle
from typing import TYPE_CHECKING, Any

import format_reference as reference
import numpy as np
import pytest
from annotations import japanese_release
from format_worlds import World
from mask_reference import pixels_of

from attneval.groundtruth import FORMATS, GroundTruth, Reading, open_ground_truth
from attneval.groundtruth.category_words import SHIPPED
from attneval.groundtruth.columns import CATEGORY_LEVEL, NO_TARGET, PLURAL, joined_truth
from attneval.groundtruth.label_images import read_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MARKS = {"plural": PLURAL, "no target": NO_TARGET, "category": CATEGORY_LEVEL}
IMAGES = 1000


def plain(truth: GroundTruth) -> reference.Truth:
    """Columns as the plain values of the reference."""
    images: reference.Truth = {}
    for i, name in enumerate(truth.image_id):
        size = (int(truth.image_size[i, 0]), int(truth.image_size[i, 1]))
        image = images[name] = reference.Image(size)
        for c in range(*truth.caption_offset[i : i + 2].tolist()):
            phrases = [phrase_of(truth, p, size) for p in range(*truth.phrase_offset[c : c + 2].tolist())]
            image.captions[int(truth.caption_index[c])] = (truth.text[c], phrases)
    return images


def phrase_of(truth: GroundTruth, p: int, size: tuple[int, int]) -> reference.Phrase:
    entity, category = int(truth.phrase_entity[p]), int(truth.phrase_category[p])
    spans = [(int(a), int(b)) for a, b in truth.span[slice(*truth.span_offset[p : p + 2].tolist())]]
    phrase = reference.Phrase(spans, [], truth.categories[category] if category >= 0 else "")
    phrase.types = {name for bit, name in enumerate(truth.types) if int(truth.phrase_types[p]) >> bit & 1}
    phrase.marks = {name for name, bit in MARKS.items() if truth.phrase_flags[p] & bit}
    if entity >= 0:
        boxes = truth.box[slice(*truth.box_offset[entity : entity + 2].tolist())]
        phrase.boxes = sorted(tuple(box) for box in boxes.tolist())
        for m in range(*truth.mask_offset[entity : entity + 2].tolist()):
            counts = truth.mask[slice(*truth.mask_at[m : m + 2].tolist())].tobytes()
            phrase.masks.append(pixels_of(counts, *size))
            assert truth.mask_area[m] == phrase.masks[-1].sum()
    return phrase


def key(mask: NDArray[np.bool_]) -> tuple[int, bytes]:
    return int(mask.sum()), mask.tobytes()


def assert_agrees(truth: GroundTruth, expected: reference.Truth) -> None:
    found = plain(truth)
    assert set(found) == set(expected)
    for name, image in expected.items():
        assert found[name].size == image.size, name
        assert set(found[name].captions) == set(image.captions), name
        for number, (text, phrases) in image.captions.items():
            own_text, own = found[name].captions[number]
            assert own_text == text, (name, number)
            assert len(own) == len(phrases), (name, number, own, phrases)
            for one, other in zip(own, phrases, strict=True):
                where = (name, number, one.spans)
                assert one.spans == other.spans, where
                assert len(one.boxes) == len(other.boxes), where
                assert np.allclose(one.boxes, other.boxes, rtol=0, atol=1e-9), where
                assert one.category == other.category, where
                assert one.marks == other.marks, where
                assert one.types == other.types, where
                assert sorted(map(key, one.masks)) == sorted(map(key, other.masks)), where


def assert_same(truth: GroundTruth, other: GroundTruth, *, by_image: bool) -> None:
    """Hold columns against others, in the order of their images or by their ids."""
    if by_image:
        row = {name: k for k, name in enumerate(truth.image_id)}
        truth = truth.take(np.array([row[name] for name in other.image_id]))
    for name, values in vars(truth).items():
        if isinstance(values, np.ndarray):
            assert np.array_equal(values, getattr(other, name)), name
    assert list(truth.text) == list(other.text)


def read_all(paths: Sequence[Path], *, masks: bool = True, **choices: Any) -> GroundTruth:
    source = open_ground_truth(paths, reading=Reading(masks=masks, **choices))
    return source.read(source.image_ids())


def labels_in(folder: Path) -> Callable[[str], NDArray[np.int64]]:
    return lambda name: read_labels(next(folder.rglob(name)))


WORLDS: dict[str, tuple[str, Callable[..., reference.Truth]]] = {
    "entities": ("entities", reference.entities),
    "japanese": ("entities", reference.entities),
    "coco": ("coco", lambda captions, instances: reference.coco(captions, instances, SHIPPED)),
    "lvis": ("coco", lambda captions, instances: reference.coco(captions, instances, None)),
    "refer": ("refer", reference.refer),
    "mdetr": ("mdetr", reference.mdetr),
    "coco_entities": ("coco-entities", reference.coco_entities),
    "png": ("png", lambda narratives, panoptic, folder: reference.png(narratives, panoptic, labels_in(folder))),
    "odvg": ("odvg", reference.odvg),
    "rec": ("rec", reference.rec),
    "gcg": ("gcg", reference.gcg),
    "phrasecut": ("phrasecut", reference.phrasecut),
    "visual_genome": ("visual-genome", reference.visual_genome),
    "gqa": ("gqa", reference.gqa),
}


def test_every_format_has_a_world() -> None:
    assert {format_ for format_, _ in WORLDS.values()} == set(FORMATS)


@pytest.mark.parametrize("name", WORLDS)
def test_a_made_up_world(tmp_path: Path, name: str) -> None:
    format_, read_slowly = WORLDS[name]
    files = getattr(World(len(name), IMAGES), name)(tmp_path)
    expected = read_slowly(*files)
    source = open_ground_truth(files, reading=Reading(masks=True))
    assert source.format == format_
    images = source.image_ids()
    truth = source.read(images)
    assert_agrees(truth, expected)
    # Files in another order, or by their folder, are the same; so are parts, taken and joined.
    half = len(images) // 2
    parts = [source.read(images[half:]), truth.take(np.arange(half))]
    others = [joined_truth(parts)]
    for paths in (files[::-1], [tmp_path]) if name != "lvis" else ():
        other = open_ground_truth(paths, reading=Reading(masks=True))
        assert other.format == format_
        others.append(other.read(images))
    for again in others:
        assert_same(again, truth, by_image=again is others[0])
    boxes = open_ground_truth(files, format_).read(images)
    assert not boxes.has_masks
    assert (boxes.box.tolist(), boxes.phrase_entity.tolist()) == (truth.box.tolist(), truth.phrase_entity.tolist())
    phrases = sum(len(listed) for image in expected.values() for _, listed in image.captions.values())
    assert phrases > 300


def test_general_references_in_a_made_up_world(tmp_path: Path) -> None:
    files = World(5, IMAGES).refer(tmp_path, protocol=None)
    expected = reference.refer(files[0], files[1])
    assert_agrees(read_all(files), expected)
    phrases = [phrase for image in expected.values() for _, listed in image.captions.values() for phrase in listed]
    assert {mark for phrase in phrases for mark in phrase.marks} == {"no target"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    files = World(6, 40).refer(tmp_path, protocol=protocol)
    assert_agrees(read_all(files), reference.refer(files[0], files[1]))


def test_splits(tmp_path: Path) -> None:
    files = World(7, 100).refer(tmp_path)
    for split in ("train", "val"):
        assert_agrees(read_all(files, split_name=split), reference.refer(files[0], files[1], split))
    test_a, both = (reference.refer(files[0], files[1], split) for split in ("testA", "testAB"))
    captions = read_all(files, split_name="testA").caption_index
    assert len(captions) == sum(len(image.captions) for truth in (test_a, both) for image in truth.values())


# ---------------------------------------------------------------- real samples

SAMPLES: dict[str, tuple[list[str], Callable[..., reference.Truth]]] = {
    "coco": (
        ["coco/captions.json", "coco/instances.json"],
        lambda captions, instances: reference.coco(captions, instances, SHIPPED),
    ),
    "refcoco": (["refcoco/refcoco/refs(unc).p", "refcoco/refcoco/instances.json"], reference.refer),
    "grefcoco": (["refcoco/grefcoco/grefs(unc).json", "refcoco/grefcoco/instances.json"], reference.refer),
    "testA": (
        ["refcoco/refcoco_testA_boxes/refs(unc).p", "refcoco/refcoco_testA_boxes/instances.json"],
        reference.refer,
    ),
    "mdetr": (["refcoco/finetune_refcoco_sample.json"], reference.mdetr),
    "rec": (["rec_json/rec.json"], reference.rec),
    "coco-entities": (["coco_entities/coco_entities.json"], reference.coco_entities),
    "coco-entities and more": (
        ["coco_entities/coco_entities.json", "coco_entities/raw_captions.json", "coco_entities/image_sizes.json"],
        reference.coco_entities,
    ),
    "png": (
        ["png/png_coco_val2017.json", "png/panoptic_val2017.json", "png/panoptic_segmentation"],
        WORLDS["png"][1],
    ),
    "odvg": (["odvg/flickr_val_vg.jsonl"], reference.odvg),
    "visual-genome": (
        ["visual_genome/region_descriptions.json", "visual_genome/image_data.json"],
        reference.visual_genome,
    ),
    "visual-genome alone": (["visual_genome/region_descriptions.json"], reference.visual_genome),
    "gqa": (["gqa/val_balanced_questions.json", "gqa/val_sceneGraphs.json"], reference.gqa),
    "phrasecut": (["phrasecut/refer_miniv.json", "phrasecut/image_data_split.json"], reference.phrasecut),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", SAMPLES)
def test_real_samples(shared: Path, name: str) -> None:
    names, read_slowly = SAMPLES[name]
    files = [shared / "annotation_formats" / file for file in names]
    assert_agrees(read_all(files), read_slowly(*files))


@pytest.mark.realdata
def test_lvis_with_the_captions_of_coco(shared: Path, tmp_path: Path) -> None:
    folder = shared / "annotation_formats"
    captions = tmp_path / "captions.json"
    captions.write_bytes(lzma.decompress((folder / "coco/captions_val2017_full.json.xz").read_bytes()))
    files = [captions, folder / "lvis/lvis_val.json"]
    truth = read_all(files)
    assert (len(truth.image_id), len(truth.categories)) == (30, 1230)
    assert_agrees(truth, reference.coco(captions, folder / "lvis/lvis_val.json", None))


@pytest.mark.realdata
def test_japanese_lines(shared: Path, tmp_path: Path) -> None:
    root = japanese_release(shared, tmp_path / "release")
    truth = read_all([root])
    assert_agrees(truth, reference.entities(root))
    text, phrases = plain(truth)["1000268201"].captions[0]
    assert text == "ピンクのワンピースを着た子供が、玄関の階段を上っている。"
    assert [text[slice(*phrase.spans[0])] for phrase in phrases] == ["ピンクのワンピース", "子供", "玄関", "階段"]
    assert [len(phrase.boxes) for phrase in phrases] == [1, 1, 0, 2]


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["coco", "refcoco/refcoco", "refcoco/grefcoco", "visual_genome", "gqa", "phrasecut", "png"]
)
def test_folders_of_samples(shared: Path, name: str) -> None:
    source = open_ground_truth(shared / "annotation_formats" / name)
    assert source.image_ids()
