"""Heat maps through the forms that a user has: channels, processes, comparison, gates, detections, masks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import heat_reference
import item_reference
import numpy as np
import pytest
import reference_inputs
import word_reference
from commands import attneval
from here import Here
from hypothesis import given, settings
from worlds import MAPS, Phrase, Scene, Shown, World, cases, make_world, scored

import attneval as package
from attneval import Options, Protocol
from attneval.errors import AttnevalError, ExportError, MetricError, ProtocolError
from attneval.evaluation.score_heads import score_heads
from attneval.matching.function_words import FUNCTION_WORDS

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Options(resamples=0)
ASKED = Protocol(
    threshold="otsu",
    enlarge="bilinear",
    box_from="component:0.5",
    function_words="english",
    pointing="upsampled",
    missing="zero",
)
BESIDE = {"function_specificity", "map_function_f1"}


def files(world: World, root: Path) -> tuple[Path, Path]:
    return world.packed(root / "maps.npz"), world.entities(root / "annotations.zip")


def halves(caption: list[str | Phrase], maps: list[list[float]], tokens: list[str]) -> World:
    """Two images of 8 x 4 pixels and two cells, a man on the left half and a dog on the right one."""
    boxes = {"1": [(1, 1, 4, 4)], "2": [(5, 1, 8, 4)]}
    scene = Scene(8, 4, boxes, [caption], [(0, 0, 4, 4), (4, 0, 8, 4)], (1, 2))
    scenes = {"1": scene, "2": scene}
    shown = [Shown(image, 0, tokens, np.array([maps], np.float32)) for image in scenes]
    return World(scenes, shown, None, kind="relevance")


MAN, DOG = Phrase("1", ("people",), ("man",)), Phrase("2", ("animals",), ("dog",))
PERFECT = halves([MAN, DOG], [[1, 0], [0, 1]], ["man", "dog"])


# ---------------------------------------------------------------- what is measured


def test_nothing_is_measured_unless_it_is_asked_for() -> None:
    assert not (MAPS | BESIDE) & set(scored(PERFECT, Protocol()).metrics)
    assert not (MAPS | BESIDE) & set(scored(PERFECT, Protocol()).scores.sums.columns)
    assert MAPS & set(scored(PERFECT, Protocol(enlarge="nearest")).metrics) == MAPS - {"box_accuracy"}


@pytest.mark.parametrize("box_from", ["component:0.5", "component:1"])
@pytest.mark.parametrize("rule", ["uniform", "abs:0", "max:1", "mass:1", "otsu"])
def test_a_perfect_map_scores_1(box_from: str, rule: str) -> None:
    result = scored(PERFECT, Protocol(enlarge="nearest", box_from=box_from, threshold=rule))
    assert {name: result[name] for name in MAPS} == dict.fromkeys(MAPS, 1.0)
    even = result.scores.baselines["uniform"]
    assert [even[name].value for name in ("map_iou", "map_precision", "map_recall")] == [0.5, 0.5, 1.0]
    # The box of an even map is the whole image, of which either half is half.
    assert even["box_accuracy"].value == 1
    shuffled = result.scores.baselines["shuffled"]
    assert [shuffled[name].value for name in sorted(MAPS)] == [0, 0, 0, 0]
    assert not MAPS & set(result.scores.baselines["oracle"])


def test_captions_without_attention_score_0(tmp_path: Path) -> None:
    world = PERFECT.with_captions(lambda own: own.image == "1")
    result = scored(world, Protocol(enlarge="nearest", box_from="component:1", missing="zero"))
    assert {name: result[name] for name in MAPS} == dict.fromkeys(MAPS, 0.5)
    assert result.metrics["map_iou"].n == 4
    lacking, gt = world.with_images(lambda image: image == "1").packed(tmp_path / "maps.npz"), tmp_path / "gt.zip"
    split = tmp_path / "both.txt"
    split.write_text("1\n2\n")
    result = package.score(
        lacking, world.entities(gt), split=split, protocol=replace(ASKED, pointing="region"), options=QUICK
    )
    assert (result["map_recall"], result.metrics["map_recall"].n) == (0.5, 4)


def test_function_words_by_hand() -> None:
    """Above 0.25 + 1 x (Otsu of 0.75 and 0.25) the man's pixels are attended, and the dog's above that of 0.5 and 0.

    Nearest pixels have two levels, so that Otsu's threshold is the edge of the first of 256 bins: 0.25 + 0.5 / 256 and
    0.5 / 256, 0.126953125 in the mean. "a" is below it in one cell of two, "the" in both, "and" in none.
    """
    words = ["a", "man", "and", "the", "dog"]
    maps = [[0.1, 0.2], [0.75, 0.25], [0.2, 0.3], [0.05, 0.0], [0.0, 0.5]]
    world = halves(["a", MAN, "and", "the", DOG], maps, words)
    protocol = Protocol(enlarge="nearest", threshold="otsu", normalize="none", function_words="english")
    result = scored(world, protocol)
    assert result["function_specificity"] == pytest.approx((0.5 + 0 + 1) / 3)
    assert result.metrics["function_specificity"].n == 6
    iou, function = result["map_iou"], result["function_specificity"]
    assert iou == 1
    assert function is not None
    assert result["map_function_f1"] == pytest.approx(2 * function / (1 + function))
    # A function word within a phrase is one, and no annotated word.
    within = halves([Phrase("1", ("people",), ("a", "man")), "and", "the", DOG], maps, words)
    assert scored(within, protocol)["function_specificity"] == pytest.approx(0.5)
    # An even map attends to everything, and says nothing of what is faint.
    even = halves([MAN, "and", "the"], [[0.3, 0.3], [0.1, 0.2], [0.2, 0.1]], ["man", "and", "the"])
    result = scored(even, protocol)
    assert (result["function_specificity"], result["map_function_f1"]) == (None, None)
    assert result.metrics["function_specificity"].n == 0


@pytest.mark.parametrize("seed", range(4))
def test_function_words_against_a_slow_reference(tmp_path: Path, seed: int) -> None:
    """Word by word as TAM's evaluator has it: thresholds of annotated words, and cells below their mean."""
    world = make_world(seed, images=3, captions=3, grid=True).attention_alone()
    export, gt = files(world, tmp_path)
    protocol = Protocol(
        threshold="otsu", enlarge="bilinear", normalize="none", function_words="english", missing="skip", pool="mean"
    )
    result = package.score(export, gt, protocol=protocol, options=QUICK)
    truth = reference_inputs.read_entities(gt, list(world.scenes))
    read, shares = reference_inputs.read_export(export), []
    for image_id, image in truth.items():
        for index, caption in image.captions.items():
            shown = item_reference.find_map(read, image_id, index)
            if shown is None:
                continue
            tokens, real = (
                word_reference.tokens_of_words(shown.tokens, caption.words),
                item_reference.keys_of(read, image_id, None),
            )
            weights, _ = shown.rows_of(None)
            rows = {
                word: [float(value) for value in np.mean([[weights[t][r] for r in real] for t in of], axis=0)]
                for word, of in enumerate(tokens)
                if of
            }
            faint = [word for word in rows if caption.words[word].strip("'\".,:;!?()[]-").lower() in FUNCTION_WORDS]
            cuts = []
            for _, words, _ in item_reference.scored_phrases(image, caption, protocol.to_dict()):
                for word in words:
                    row = tuple(rows.get(word, ()))
                    if not row or word in faint or max(row) - min(row) <= 1e-12 * max(row):
                        continue
                    picture = item_reference.picture_of(read, image_id, image.size, [], protocol.to_dict())
                    values = list(heat_reference.enlarged(row, picture, "bilinear").values())
                    share = heat_reference.otsu_share(values, min(row), max(row))
                    cuts.append(min(row) + share * (max(row) - min(row)))
            if cuts:
                limit = sum(cuts) / len(cuts)
                shares += [sum(value < limit for value in rows[word]) / len(rows[word]) for word in faint]
    assert shares
    assert result.metrics["function_specificity"].n == len(shares)
    assert result["function_specificity"] == pytest.approx(sum(shares) / len(shares), abs=1e-9)


def test_words_of_open_classes_are_no_function_words() -> None:
    assert {"the", "and", "his", "which", "there", "should"} <= FUNCTION_WORDS
    assert not {"in", "on", "two", "man", "red", "is", "running"} & FUNCTION_WORDS


# ---------------------------------------------------------------- the same in every way of working


@given(cases(grid=True, channels=3, back=False, images=2, fields={"direction": "t2i"}))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_sums_of_channels_are_those_of_each_alone(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[World, Protocol]
) -> None:
    world, protocol = case
    protocol = replace(
        protocol, threshold="otsu", enlarge="bilinear", box_from="component:0.5", pointing="upsampled", missing="zero"
    )
    export, gt = files(world, tmp_path_factory.getbasetemp())
    options = replace(QUICK, channel_metrics=(*sorted(MAPS), "pointing"))
    try:
        result = package.score(export, gt, protocol=protocol, options=options)
    except AttnevalError:
        return
    assert result.channel_sums is not None
    table = result.channel_sums.table
    for row, name in enumerate(table.name):
        alone = result.channels[f"{name}/t2i"].sums
        for column, values in table.sums("t2i", row).columns.items():
            assert np.allclose(values, alone.columns[column], rtol=1e-12, atol=1e-12), column


def test_heads_are_ranked_by_them(tmp_path: Path) -> None:
    world = make_world(3, images=6, captions=2, channels=3, grid=True)
    export, gt = files(world, tmp_path)
    ranking = score_heads(export, gt, metric="map_iou", protocol=ASKED, options=QUICK)
    values = [head.chosen.value for head in ranking.heads]
    assert values == sorted(values, key=lambda value: -(value or 0))
    with pytest.raises(MetricError, match="map_iou is measured of enlarged maps"):
        score_heads(export, gt, metric="map_iou", options=QUICK)


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Here(capsys, monkeypatch, tmp_path)


FLAGS = (
    *("--gt", "annotations.zip", "--threshold", "otsu", "--enlarge", "bilinear", "--box-from", "component:0.5"),
    *("--function-words", "english", "--missing", "zero", "--resamples", "50", "-q"),
)


def test_processes_comparison_gates_and_merging(here: Here, tmp_path: Path) -> None:
    world = make_world(8, images=6, captions=2, grid=True).attention_alone()
    files(world, tmp_path)
    for name, jobs in (("one", "1"), ("two", "2")):
        done = attneval("score", "maps.npz", *FLAGS, "--jobs", jobs, "--name", "it", "-o", f"{name}.json", cwd=tmp_path)
        assert done.code == 0, done.err
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert one == two
    assert set(one["metrics"]) >= MAPS | BESIDE
    assert all(one["metrics"][name]["ci"] for name in MAPS)
    compared = here("compare", "one.json", "two.json", "-m", "map_iou", "-m", "function_specificity", "-q")
    assert compared.code == 0, compared.err
    assert "map_iou" in compared.out
    value = one["metrics"]["map_iou"]["value"]
    assert here("gate", "one.json", "--min", f"map_iou={value - 0.01}").code == 0
    assert here("gate", "one.json", "--min", f"map_iou={value + 0.01}").code == 1
    again = package.Result.load(tmp_path / "one.json")
    assert again.protocol.box_from == "component:0.5"
    assert again["map_function_f1"] == one["metrics"]["map_function_f1"]["value"]
    # Parts are merged to the whole.
    ids = list(world.scenes)
    for number, part in enumerate((ids[:3], ids[3:])):
        (tmp_path / "part.txt").write_text("\n".join(part))
        done = here("score", "maps.npz", *FLAGS, "--split", "part.txt", "-o", f"part{number}.json")
        assert done.code == 0, done.err
    assert here("merge", "part0.json", "part1.json", "-o", "merged.json").code == 0
    merged = json.loads((tmp_path / "merged.json").read_text())["metrics"]
    for name in (*MAPS, *BESIDE):
        assert merged[name]["value"] == pytest.approx(one["metrics"][name]["value"], abs=1e-12), name


# ---------------------------------------------------------------- detections


DETECTED: dict[str, Any] = {
    "json": {"1": [[0, 0, 4, 4, 0.9, 7], [4, 0, 4, 4]], "2": [[0, 0, 4, 4], [4, 0, 4, 4]]},
    "results": [{"image_id": k, "category_id": 1, "bbox": [x, 0, 4, 4], "score": 1} for k in (1, 2) for x in (0, 4)],
}


@pytest.mark.parametrize("form", ["json", "results", "npz"])
def test_forms_of_detections(here: Here, tmp_path: Path, form: str) -> None:
    files(PERFECT, tmp_path)
    path = tmp_path / ("found.npz" if form == "npz" else "found.json")
    if form == "npz":
        boxes = np.array([[[0, 0, 4, 4], [4, 0, 8, 4]]] * 2, np.float32)
        np.savez(path, image_ids=np.array(["1", "2"]), boxes=boxes)
    else:
        path.write_text(json.dumps(DETECTED[form]))
    flags = ("--gt", "annotations.zip", "--preset", "albef-refcoco", "--detections", path.name, "--resamples", "0")
    done = here("score", "maps.npz", *flags, "-o", "result.json", "-q")
    assert done.code == 0, done.err
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["metrics"]["box_accuracy"] == {"value": 1.0, "ci": None, "n": 4, "higher_is_better": True}
    assert [entry["role"] for entry in result["inputs"]] == ["attn", "detections", "gt"]
    assert here("compare", "maps.npz", "result.json", *flags, "-m", "box_accuracy", "-q").code in {0, 2}


def test_images_without_detections_have_no_box(tmp_path: Path) -> None:
    export, gt = files(PERFECT, tmp_path)
    found = tmp_path / "results.json"
    found.write_text(json.dumps(DETECTED["results"][:2]))
    protocol = Protocol(enlarge="bilinear", box_from="detections:0.5")
    assert package.score(export, gt, protocol=protocol, detections=found, options=QUICK)["box_accuracy"] == 0.5
    with pytest.raises(ProtocolError, match="chooses among detected boxes, and there are none"):
        package.score(export, gt, protocol=protocol, options=QUICK)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"1": [[0, 0, 4, 4]]}', "has no boxes for 1 of 2 images .first: 2"),
        ('{"1": [[0, 0, 4]], "2": []}', "a box of 1 is not x, y, width and height"),
        ('{"1": [[0, 0, -4, 4]], "2": []}', "a box of 1 is not x, y, width and height"),
        ('{"1": [[0, 0, NaN, 4]], "2": []}', "NaN is no number of JSON"),
        ('{"1": 3}', "1 is no list of boxes"),
        ("3", "the file is no list of boxes"),
        ('[{"bbox": [0, 0, 1, 1]}]', "entry 0 has no image_id"),
        ('[{"image_id": 1}]', "a box of entry 0 is not x, y, width and height"),
        ('[{"image_id": 7, "bbox": [0, 0, 1, 1]}]', "has no boxes for 2 of 2 images"),
        ('{"1"', "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_detections_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    export, gt = files(PERFECT, tmp_path)
    found = tmp_path / "found.json"
    found.write_text(text)
    protocol = Protocol(enlarge="bilinear", box_from="detections:0.5")
    with pytest.raises(ExportError, match=message):
        package.score(export, gt, protocol=protocol, detections=found, options=QUICK)


# ---------------------------------------------------------------- masks


def test_masks_of_coco(tmp_path: Path) -> None:
    """A dog that is the left half of the image but for its upper right quarter, of 4 x 4 pixels: 12 of 16."""
    polygon = [0, 0, 2, 0, 2, 2, 4, 2, 4, 4, 0, 4]
    image = {"id": 1, "width": 8, "height": 4, "file_name": "000000000001.jpg"}
    instance = {"id": 5, "image_id": 1, "category_id": 18, "iscrowd": 0, "area": 12, "bbox": [0, 0, 4, 4]}
    instances = {
        "images": [image],
        "annotations": [instance | {"segmentation": [polygon]}],
        "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}, {"id": 1, "name": "person"}],
    }
    captions = {"images": [image], "annotations": [{"id": 9, "image_id": 1, "caption": "a dog"}]}
    for name, data in (("instances", instances), ("captions", captions)):
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    export = tmp_path / "maps.npz"
    with package.ExportWriter(export, kind="relevance", normalised_over="none") as out:
        out.add_image("1", size=(8, 4), grid=(2, 4))
        weight = np.zeros((2, 8), np.float32)
        weight[1, [0, 4, 5]] = 1
        out.add_caption("1", weight, index=0, text="a dog", spans=[(0, 1), (2, 5)])
    protocol = Protocol(geometry="mask", enlarge="nearest", pointing="upsampled", box_from="component:0.5")
    gt = [tmp_path / "instances.json", tmp_path / "captions.json"]
    result = package.score(export, gt, protocol=protocol, options=QUICK)
    names = ("map_iou", "map_precision", "map_recall", "pointing", "box_accuracy")
    assert {name: result[name] for name in names} == dict.fromkeys(names, 1.0)
    as_box = package.score(export, gt, protocol=replace(protocol, geometry="box"), options=QUICK)
    assert as_box["map_iou"] == 12 / 16
