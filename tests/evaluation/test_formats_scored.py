"""Every annotation format through the command, and masks against a slow score of their own."""

from __future__ import annotations

import itertools
import json
import lzma
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import format_reference
import numpy as np
import pytest
from annotations import annotation, japanese_release, thing
from format_worlds import World, made_up_maps
from here import Here
from mask_reference import overlap

from attneval.config.options import Options
from attneval.config.protocol import Protocol
from attneval.errors import GroundTruthError, ProtocolError
from attneval.evaluation.score import score
from attneval.export.write.writer import ExportWriter
from attneval.groundtruth import open_ground_truth
from attneval.groundtruth.annotation_files import AnnotationFiles
from attneval.groundtruth.category_words import SHIPPED
from attneval.results.result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUICK = Options(resamples=0, cache=False)


SAMPLES: dict[str, tuple[list[str], bool]] = {
    "coco": (["coco/captions.json", "coco/instances.json"], True),
    "lvis": (["coco/captions_val2017_full.json.xz", "lvis/lvis_val.json"], True),
    "refcoco": (["refcoco/refcoco/refs(unc).p", "refcoco/refcoco/instances.json"], True),
    "grefcoco": (["refcoco/grefcoco/grefs(unc).json", "refcoco/grefcoco/instances.json"], True),
    "testA": (["refcoco/refcoco_testA_boxes/refs(unc).p", "refcoco/refcoco_testA_boxes/instances.json"], False),
    "mdetr": (["refcoco/finetune_refcoco_sample.json"], False),
    "rec": (["rec_json/rec.json"], False),
    "coco-entities": (["coco_entities/coco_entities.json"], False),
    "png": (["png/png_coco_val2017.json", "png/panoptic_val2017.json", "png/panoptic_segmentation"], True),
    "odvg": (["odvg/flickr_val_vg.jsonl"], False),
    "visual-genome": (["visual_genome/region_descriptions.json", "visual_genome/image_data.json"], False),
    "gqa": (["gqa/val_balanced_questions.json", "gqa/val_sceneGraphs.json"], False),
    "phrasecut": (["phrasecut/refer_miniv.json", "phrasecut/image_data_split.json"], True),
}


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


@pytest.mark.realdata
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_validated_and_scored(shared: Path, tmp_path: Path, here: Here, name: str) -> None:
    names, masks = SAMPLES[name]
    files = [shared / "annotation_formats" / file for file in names]
    for place, path in enumerate(files):
        if path.suffix == ".xz":
            files[place] = tmp_path / "captions.json"
            files[place].write_bytes(lzma.decompress(path.read_bytes()))
    source = open_ground_truth(files)
    truth = source.read(source.image_ids())
    made_up_maps(tmp_path / "maps.npz", truth)
    gt: list[str | Path] = list(itertools.chain.from_iterable(("--gt", path) for path in files))
    done = here("validate", "maps.npz", *gt)
    assert done.code == 0, done.err
    for flags in ([], ["--geometry", "mask", "--overlap", "iof"]) if masks else ([],):
        done = here("score", "maps.npz", *gt, *flags, "-o", "r.json", "--resamples", "0", "-q")
        assert done.code == 0, done.err
        result = json.loads((tmp_path / "r.json").read_text("utf-8"))
        assert result["counts"]["images"] == len(truth.image_id)
        assert result["counts"]["phrases"] + result["counts"]["phrases_without_box"] == len(truth.phrase_entity)
        assert result["counts"]["items"] > 0
        assert [entry["role"] for entry in result["inputs"]] == ["attn", *["gt"] * len(files)]
    done = here("score", "maps.npz", *gt, "--limit", "1", "-o", "r.json", "-q", "--resamples", "0")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["counts"]["images"] == 1


@pytest.mark.realdata
def test_japanese_lines_are_validated_and_scored(shared: Path, tmp_path: Path, here: Here) -> None:
    japanese_release(shared, tmp_path / "release")
    boxes = [[0, 0, 50, 40], [50, 0, 100, 40], [0, 40, 50, 80], [50, 40, 100, 80]]
    captions = [
        ["ピンクの", "ワンピース", "を", "着た", "子供", "が", "、", "玄関", "の", "階段", "を", "上っている", "。"],
        ["木造の小屋", "の", "中", "に", "入りつつある", "、", "ピンクのワンピース", "を着た", "小さな女の子", "。"],
    ]
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        out.add_image("1000268201", size=(100, 80), boxes=boxes)
        for index, tokens in enumerate(captions):
            out.add_caption("1000268201", [[0.4, 0.3, 0.2, 0.1]] * len(tokens), index=index, tokens=tokens)
    assert here("validate", "maps.npz", "--gt", "release").code == 0
    for flags in ([], ["--limit", "1"]):
        done = here("score", "maps.npz", "--gt", "release", "--unit", "phrase", *flags, "-o", "r.json", "-q")
        assert done.code == 0, done.err
        counts = json.loads((tmp_path / "r.json").read_text("utf-8"))["counts"]
        assert (counts["phrases"], counts["phrases_without_box"], counts["items"]) == (6, 1, 6)


def slow_score(
    truth: format_reference.Truth, maps: dict[tuple[str, int], Any], cells: int, **rules: Any
) -> list[float]:
    """Precision, recall and F1 of phrases that have a relevant cell, and the share of phrases that have one."""
    sums, reached, phrases = np.zeros(3), 0, 0
    for name, image in truth.items():
        width, height = image.size
        x, y = np.linspace(0, width, cells + 1), np.linspace(0, height, cells + 1)
        boxes = [(x[c], y[r], x[c + 1], y[r + 1]) for r in range(cells) for c in range(cells)]
        for index, (text, listed) in image.captions.items():
            bounds, end = [], 0
            for word in text.split():
                start = text.index(word, end)
                end = start + len(word)
                bounds.append((start, end))
            for phrase in listed:
                if not phrase.boxes:
                    continue
                phrases += 1
                words = [k for k, (a, b) in enumerate(bounds) if any(a < d and c < b for c, d in phrase.spans)]
                words = [k for k in words if any(letter.isalnum() for letter in text[slice(*bounds[k])])]
                row = np.mean([maps[name, index][k].astype(np.float64) for k in words], axis=0)
                relevant = {k for k, box in enumerate(boxes) if phrase.masks and relevant_to(phrase, box, **rules)}
                if not relevant:
                    continue
                attended = {k for k, weight in enumerate((row / row.sum()).tolist()) if weight > 1 / len(boxes)}
                hits = len(relevant & attended)
                reached += 1
                precision, recall = hits / len(attended), hits / len(relevant)
                sums += [precision, recall, 2 * hits / (len(attended) + len(relevant))]
    return [*(sums / reached).tolist(), reached / phrases]


def relevant_to(phrase: format_reference.Phrase, box: Sequence[float], rule: str, boxes: str) -> bool:
    return overlap(phrase.masks, box, rule, boxes) >= 0.5


@pytest.mark.parametrize("boxes", ["any", "union", "merged"])
@pytest.mark.parametrize("rule", ["iof", "iou", "center"])
def test_masks_against_a_slow_score(tmp_path: Path, rule: str, boxes: str) -> None:
    (tmp_path / "coco").mkdir()
    files = World(11, 40).coco(tmp_path / "coco")
    expected = format_reference.coco(files[0], files[1], SHIPPED)
    source = open_ground_truth(files)
    maps = made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    protocol = Protocol(unit="phrase", geometry="mask", overlap=rule, boxes=boxes)
    result = score(tmp_path / "maps.npz", files, protocol=protocol, options=QUICK)
    found = [result["precision"], result["recall"], result["f1"], result["coverage"]]
    assert found == pytest.approx(slow_score(expected, maps, 4, rule=rule, boxes=boxes), abs=1e-12)


def test_crowds_are_a_choice(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    files = World(3, 200).coco(tmp_path / "coco")
    source = open_ground_truth(files)
    made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    counts = {
        crowd: score(tmp_path / "maps.npz", files, protocol=Protocol(crowd=crowd), options=QUICK).counts["phrases"]
        for crowd in ("include", "drop", "ignore")
    }
    assert counts["include"] > counts["drop"] > counts["ignore"] > 0


def test_masks_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "rec").mkdir()
    files = World(11, 10).rec(tmp_path / "rec")
    source = open_ground_truth(files)
    made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    with pytest.raises(ProtocolError, match="geometry mask needs masks"):
        score(tmp_path / "maps.npz", files, protocol=Protocol(geometry="mask"), options=QUICK)


def test_sizes_from_the_export(tmp_path: Path) -> None:
    (tmp_path / "vg").mkdir()
    regions, sizes = World(11, 20).visual_genome(tmp_path / "vg")
    source = open_ground_truth([regions, sizes])
    truth = source.read(source.image_ids())
    made_up_maps(tmp_path / "maps.npz", truth)
    whole = score(tmp_path / "maps.npz", [regions, sizes], options=QUICK)
    alone = score(tmp_path / "maps.npz", regions, options=QUICK)
    given = score(tmp_path / "maps.npz", AnnotationFiles((regions,), sizes=(sizes,)), options=QUICK)
    assert whole["f1"] == alone["f1"] == given["f1"]
    with np.load(tmp_path / "maps.npz") as file:
        members = {name: file[name] for name in file if name != "image_size"}
    np.savez(tmp_path / "bare.npz", **members)
    assert score(tmp_path / "bare.npz", [regions, sizes], options=QUICK)["f1"] == whole["f1"]
    with pytest.raises(GroundTruthError, match="sizes of 20 images are neither in the annotations nor in the export"):
        score(tmp_path / "bare.npz", regions, options=QUICK)


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("auto", "and regions no larger than what phrases name"),
        ("iof", "and regions no larger than what phrases name"),
        ("iou", "and small patches need --overlap iof"),
    ],
)
def test_hints_for_regions_that_reach_little(tmp_path: Path, rule: str, hint: str) -> None:
    (tmp_path / "rec").mkdir()
    files = World(11, 40).rec(tmp_path / "rec")
    source = open_ground_truth(files)
    made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    result = score(tmp_path / "maps.npz", files, protocol=Protocol(overlap=rule, iou=0.95), options=QUICK)
    (note,) = [note for note in result.notes if "relevant region" in note]
    assert note.endswith(f"boxes must be in pixels of the original image, {hint}")


def test_expressions_about_nothing_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "rec").mkdir()
    files = World(11, 40).rec(tmp_path / "rec")
    source = open_ground_truth(files)
    maps = made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    entropies, largest, expressions = [], [], 0
    for name, image in format_reference.rec(*files).items():
        for index, (text, phrases) in image.captions.items():
            if phrases and "no target" in phrases[0].marks:
                expressions += 1
                for word, row in zip(text.split(), maps[name, index].astype(np.float64), strict=True):
                    if any(letter.isalnum() for letter in word):
                        share = row / row.sum()
                        entropies.append(-sum(p * np.log(p) for p in share.tolist() if p) / np.log(len(share)))
                        largest.append(share.max())
    result = score(tmp_path / "maps.npz", files, options=QUICK)
    assert result.counts["no_target"] == expressions > 5
    assert (
        f"{expressions} expressions are about nothing in their image and have no items; their maps have entropy "
        f"{100 * np.mean(entropies):.1f} % and a largest weight of {100 * np.mean(largest):.1f} %"
    ) in result.notes


def test_breakdowns_of_categories(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    files = World(11, 60).coco(tmp_path / "coco")
    source = open_ground_truth(files)
    made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    result = score(tmp_path / "maps.npz", files, protocol=Protocol(unit="phrase"), options=QUICK)
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for image in format_reference.coco(files[0], files[1], SHIPPED, masks=False).values():
        for _, phrases in image.captions.values():
            for phrase in phrases:
                counted["category"][phrase.category] += 1
                counted["supercategory"]["animal" if "dog" in phrase.category else "thing"] += 1
                counted["number"]["plural" if "plural" in phrase.marks else "singular"] += 1
                counted["instances"]["1" if len(phrase.boxes) == 1 else "several"] += 1
    for kind, groups in counted.items():
        assert {name: table["coverage"].n for name, table in result.scores.by[kind].items()} == dict(groups)
    assert list(result.scores.by["category"]) == sorted(counted["category"])
    assert "thing" not in result.scores.by
    phrases_ = sum(counted["number"].values())
    assert result.counts["category_level"] == phrases_
    path = tmp_path / "result.json"
    result.save(path)
    assert Result.load(path).scores.by == result.scores.by


@pytest.mark.parametrize("classes", [None, "animals, dog, dogs, sheep, puppies\npeople, man, woman, people\n"])
@pytest.mark.parametrize("format_", ["coco", "odvg"])
def test_means_over_classes(tmp_path: Path, format_: str, classes: str | None) -> None:
    (tmp_path / format_).mkdir()
    files = getattr(World(11, 60), format_)(tmp_path / format_)
    source = open_ground_truth(files)
    maps = made_up_maps(tmp_path / "maps.npz", source.read(source.image_ids()))
    listed = tmp_path / "classes.txt"
    listed.write_text(classes or "", "utf-8")
    given = AnnotationFiles(tuple(files), classes=listed if classes else None)
    protocol = Protocol(unit="phrase", overlap="center", average="class")
    result = score(tmp_path / "maps.npz", given, protocol=protocol, options=Options(resamples=50, cache=False))
    truth = (
        format_reference.coco(files[0], files[1], SHIPPED, masks=False)
        if format_ == "coco"
        else format_reference.odvg(*files)
    )
    f1: dict[str, list[float]] = defaultdict(list)
    words = {word.strip(): line.split(",")[0] for line in (classes or "").splitlines() for word in line.split(",")}
    for name, image in truth.items():
        width, height = image.size
        x, y = np.linspace(0, width, 5), np.linspace(0, height, 5)
        cells = [((x[c] + x[c + 1]) / 2, (y[r] + y[r + 1]) / 2) for r in range(4) for c in range(4)]
        for index, (text, phrases) in image.captions.items():
            bounds, end = [], 0
            for word in text.split():
                start = text.index(word, end)
                end = start + len(word)
                bounds.append((start, end))
            for phrase in phrases:
                if not phrase.boxes:
                    continue
                ((first, last),) = phrase.spans
                own = [k for k, (a, b) in enumerate(bounds) if a < last and first < b]
                row = np.mean([maps[name, index][k].astype(np.float64) for k in own], axis=0)
                attended = {k for k, weight in enumerate((row / row.sum()).tolist()) if weight > 1 / 16}
                relevant = {
                    k
                    for k, (u, v) in enumerate(cells)
                    if any(a <= u <= c and b <= v <= d for a, b, c, d in phrase.boxes)
                }
                word = text[first:last].split()[-1].lower()
                kind = words.get(word, "") if classes else (phrase.category or word)
                if relevant and kind:
                    f1[kind].append(2 * len(relevant & attended) / (len(attended) + len(relevant)))
    assert len(f1) > 1
    assert result["class_f1"] == pytest.approx(np.mean([np.mean(values) for values in f1.values()]), abs=1e-9)
    assert result.metrics["class_f1"].n == len(f1)
    low, high = result.metrics["class_f1"].ci or (0.0, 0.0)
    assert low < (result["class_f1"] or 0.0) < high
    assert set(result.scores.by["category"]) >= set(f1)


def test_japanese_captions_are_scored(tmp_path: Path) -> None:
    for folder in ("Annotations", "Sentences"):
        (tmp_path / "gt" / folder).mkdir(parents=True)
    boxes = annotation(thing("18", (1, 1, 50, 80)), thing("19", (51, 1, 100, 80)))
    (tmp_path / "gt/Annotations/7.xml").write_text(boxes, "utf-8")
    line = "2:[/EN#19/clothing ワンピース]を着た1:[/EN#18/people 子供]。\n"
    (tmp_path / "gt/Sentences/7.txt").write_text(line, "utf-8")
    with ExportWriter(tmp_path / "maps.npz", normalised_over="regions") as out:
        out.add_image("7", size=(100, 80), boxes=[[0, 0, 50, 80], [50, 0, 100, 80]])
        tokens = ["ワンピース", "を", "着た", "子供", "。"]
        out.add_caption("7", [[0.1, 0.9], [0.5, 0.5], [0.5, 0.5], [0.9, 0.1], [0.5, 0.5]], index=0, tokens=tokens)
    result = score(tmp_path / "maps.npz", tmp_path / "gt", protocol=Protocol(unit="phrase"), options=QUICK)
    assert result.counts["phrases"] == 2
