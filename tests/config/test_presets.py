"""Protocols with a name: documented, explained, and held against the evaluators that they follow.

MDETR's Flickr30k evaluator takes, for every mention of a phrase with a box, the model's boxes in the order of their
scores, the score of a phrase being the largest of its tokens. A mention is a hit at k when one of the first k boxes
has an IoU of 0.5 with one of the annotated boxes, or with the box around them all. Coordinates of the annotations
are taken as they stand. What follows says this again, mention by mention, on weights without ties.

The evaluator of info-ground does the same, and a pointing game beside it, but takes 1 from all coordinates, counts
pixels in its IoU (every side is one longer) and takes a point on the border of a box to lie outside.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from commands import attneval
from here import Here
from results import FIXTURES

import attneval as package
from attneval import Protocol
from attneval.config.presets import PRESETS, preset
from attneval.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Box = tuple[float, float, float, float]

DEFAULT = {field: str(value) for field, value in Protocol().to_dict().items()}
CHANGES = {
    "default": {},
    "chen2023": {},
    "mdetr-any": {"unit": "phrase", "overlap": "iou", "pool": "max", "unreachable": "zero", "edges": "raw"},
    "mdetr-merged": {
        "unit": "phrase",
        "overlap": "iou",
        "boxes": "merged",
        "pool": "max",
        "unreachable": "zero",
        "edges": "raw",
    },
    "info-ground": {
        "unit": "phrase",
        "overlap": "iou",
        "pool": "max",
        "pointing": "center",
        "unreachable": "zero",
        "edges": "corner",
        "extent": "pixel",
        "border": "outside",
    },
    "multigrounding": {
        "unit": "phrase",
        "pointing": "upsampled",
        "unreachable": "zero",
        "min_area": "0.05",
        "edges": "raw",
        "extent": "pixel",
    },
    "gvd": {
        "unit": "phrase",
        "overlap": "iou",
        "boxes": "merged",
        "pool": "last",
        "unreachable": "zero",
        "average": "class",
        "edges": "raw",
        "extent": "pixel",
    },
    "tam": {
        "unit": "phrase",
        "threshold": "otsu",
        "normalize": "none",
        "pool": "last",
        "unreachable": "zero",
        "enlarge": "bilinear-8bit",
        "function_words": "english",
    },
    "albef-refcoco": {
        "unit": "phrase",
        "normalize": "none",
        "unreachable": "zero",
        "enlarge": "bicubic",
        "box_from": "detections:0.5",
    },
    "localization-heads": {
        "unit": "phrase",
        "pool": "last",
        "unreachable": "zero",
        "enlarge": "bilinear",
        "box_from": "component:0.5",
    },
}
OF_GRIDS = {"multigrounding", "tam", "albef-refcoco", "localization-heads"}


# ---------------------------------------------------------------- the table


def test_all_presets_are_known_here() -> None:
    assert list(PRESETS) == list(CHANGES)


@pytest.mark.parametrize("name", PRESETS)
def test_the_signature_of_a_preset(name: str) -> None:
    signature = preset(name).protocol.signature()
    fields = dict(part.split(":", 1) for part in signature.split("|")[1:])
    expected = Protocol.parse(Protocol().signature()).to_dict() | CHANGES[name]
    assert {key: float(v) if key in {"iou", "min_area"} else v for key, v in fields.items()} == {
        key: float(v) if key in {"iou", "min_area"} else str(v) for key, v in expected.items()
    }
    assert Protocol.parse(signature) == PRESETS[name].protocol


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_whose_it_is_and_what_it_reproduces(name: str) -> None:
    own = PRESETS[name]
    assert own.name == name
    assert own.source
    metrics = {metric for metric in re.split(r"[\s,:;()]+", own.reproduces) if metric in KNOWN}
    assert metrics or name in {"default", "mdetr-merged"}
    assert own.reproduces.endswith(".")


KNOWN = {"precision", "recall", "f1", "r@1", "r@5", "r@10", "r@all", "pointing", "area_mass"}
KNOWN |= {"class_pointing", "map_iou", "box_accuracy", "spatial_entropy"}


def test_presets_are_explained(tmp_path: Path) -> None:
    every = attneval("explain", "--presets", cwd=tmp_path)
    assert (every.code, every.err) == (0, "")
    paragraphs = every.out.rstrip("\n").split("\n\n")
    assert len(paragraphs) == len(PRESETS)
    for name, paragraph in zip(PRESETS, paragraphs, strict=True):
        own = attneval("explain", name, cwd=tmp_path)
        assert own.out == paragraph + "\n"
        # Lines may be broken at hyphens as well as at spaces.
        text = "".join(paragraph.split())
        assert text.startswith("".join(f"{name}: {PRESETS[name].source}".split()))
        assert text.endswith("".join(PRESETS[name].reproduces.split()))
        for field, value in CHANGES[name].items():
            assert f"{field}={value}" in text
        assert max(map(len, paragraph.splitlines())) <= 88
    assert ("all fields at their defaults" in paragraphs[0]) == (CHANGES["default"] == {})


def test_the_documents_lead_to_the_presets() -> None:
    text = (FIXTURES.parent / "docs" / "deciding.md").read_text(encoding="utf-8")
    assert "--preset NAME" in text
    assert "attneval explain --presets" in text


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch, tmp_path)


SCORE = ("score", FIXTURES / "good.npz", "--gt", FIXTURES / "entities", "-q", "--resamples", "0")


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in OF_GRIDS])
def test_the_command_scores_under_a_preset(here: Here, name: str) -> None:
    done = here(*SCORE, "--preset", name)
    assert done.code == 0, done.err
    # The regions of the fixtures are boxes, for which `auto` is `iou`.
    assert f"\nsignature: {replace(PRESETS[name].protocol, overlap='iou').signature()}\n" in done.out


@pytest.mark.parametrize("name", sorted(OF_GRIDS))
def test_a_preset_of_grids_refuses_boxes(here: Here, name: str) -> None:
    refused = here.refused(*SCORE, "--preset", name)
    asked, flag = "enlarge", "--enlarge none"
    if name == "multigrounding":
        asked, flag = "pointing=upsampled", "--pointing region"
    assert f"good.npz has region boxes, and {asked} enlarges the maps of grids" in refused
    assert flag in refused


def test_other_flags_change_a_preset(here: Here) -> None:
    done = here(*SCORE, "--preset", "mdetr-merged", "--boxes", "any", "--iou", "0.3")
    changed = Protocol.from_dict(PRESETS["mdetr-any"].protocol.to_dict() | {"iou": 0.3})
    assert f"\nsignature: {changed.signature()}\n" in done.out


def test_a_preset_that_is_none(here: Here) -> None:
    with pytest.raises(ProtocolError, match="'mdetr' does not exist; did you mean mdetr-any"):
        preset("mdetr")
    assert "did you mean chen2023?" in here.refused(*SCORE, "--preset", "chen")


# ---------------------------------------------------------------- MDETR's evaluator once more


@dataclass
class Mention:
    """A phrase in a caption: where its words stand, and its annotated boxes."""

    image: str
    caption: int
    words: list[int]
    boxes: list[Box]


@dataclass
class Model:
    """Weights [words, regions] by image and caption, and the boxes of the regions by image."""

    weights: dict[tuple[str, int], list[list[float]]]
    regions: dict[str, list[Box]]


def iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area_a + area_b - shared)


def around(boxes: Sequence[Box]) -> Box:
    return (
        min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    )


def without_marks(mentions: Sequence[Mention], words: dict[tuple[str, int], list[str]]) -> list[Mention]:
    """The mentions without those of their words that have no letter or digit, which attneval never takes for words."""
    return [
        replace(m, words=[k for k in m.words if any(c.isalnum() for c in words[m.image, m.caption][k])])
        for m in mentions
    ]


def counted_iou(a: Box, b: Box) -> float:
    """The IoU of boxes whose sides are numbers of pixels, those of both ends included."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    shared = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return shared / (sum(areas) - shared)


def info_ground(mentions: Sequence[Mention], model: Model) -> dict[str, float]:
    """Recall, and the pointing game of the top region's centre, which must lie strictly inside; by mention."""
    hits = dict.fromkeys(("r@1", "r@5", "r@10", "r@all", "pointing"), 0)
    for mention in mentions:
        rows = [model.weights[mention.image, mention.caption][word] for word in mention.words]
        scores = [max(column) for column in zip(*rows, strict=True)]
        regions = model.regions[mention.image]
        ranked = sorted(range(len(regions)), key=lambda region: -scores[region])
        right = [any(counted_iou(regions[region], box) >= 0.5 for box in mention.boxes) for region in ranked]
        for name in ("r@1", "r@5", "r@10", "r@all"):
            k = len(right) if name == "r@all" else int(name[2:])
            hits[name] += any(right[:k])
        x1, y1, x2, y2 = regions[ranked[0]]
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        hits["pointing"] += any(box[0] < x < box[2] and box[1] < y < box[3] for box in mention.boxes)
    return {name: count / len(mentions) for name, count in hits.items()}


def mdetr_recall(mentions: Sequence[Mention], model: Model, *, merged: bool) -> dict[str, float]:
    hits = dict.fromkeys(("r@1", "r@5", "r@10", "r@all"), 0)
    for mention in mentions:
        rows = [model.weights[mention.image, mention.caption][word] for word in mention.words]
        scores = [max(column) for column in zip(*rows, strict=True)]
        assert len(set(scores)) == len(scores), "weights tie"
        regions = model.regions[mention.image]
        ranked = sorted(range(len(regions)), key=lambda region: -scores[region])
        truth = [around(mention.boxes)] if merged else mention.boxes
        right = [any(iou(regions[region], box) >= 0.5 for box in truth) for region in ranked]
        for name in hits:
            k = len(right) if name == "r@all" else int(name[2:])
            hits[name] += any(right[:k])
    return {name: count / len(mentions) for name, count in hits.items()}


def read(path: Path, name: str) -> str:
    if path.is_dir():
        return (path / name).read_text(encoding="utf-8")
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode("utf-8")


def entities_of(
    path: Path, images: Sequence[str], less: float = 0.0
) -> tuple[dict[tuple[str, int], list[str]], list[Mention]]:
    """The words of all captions, and the mentions of phrases with a box: all coordinates less some number."""
    words: dict[tuple[str, int], list[str]] = {}
    mentions = []
    for image in images:
        boxes: dict[str, list[Box]] = {}
        for node in ET.fromstring(read(path, f"Annotations/{image}.xml")).iter("object"):  # noqa: S314
            box = node.find("bndbox")
            for name in node.iter("name"):
                if box is not None:
                    edges = [int(box.findtext(edge, "")) - less for edge in ("xmin", "ymin", "xmax", "ymax")]
                    boxes.setdefault(str(name.text), []).append((edges[0], edges[1], edges[2], edges[3]))
        for index, line in enumerate(read(path, f"Sentences/{image}.txt").strip("\n").split("\n")):
            own: list[str] = []
            # A closing bracket ends a phrase; what stands between an opening one and the first space is its head.
            for piece in re.findall(r"\[[^\]]*\]|[^\s\[\]]+", line):
                if not piece.startswith("[/EN#"):
                    own.append(piece)
                    continue
                head, *phrase = piece[5:-1].split()
                places = list(range(len(own), len(own) + len(phrase)))
                own += phrase
                chain = head.split("/")[0]
                if chain in boxes:
                    mentions.append(Mention(image, index, places, boxes[chain]))
            words[image, index] = own
    return words, mentions


def grounding_of(
    path: Path, images: int
) -> tuple[dict[tuple[str, int], list[str]], list[Mention], dict[str, tuple[int, int]]]:
    """The same of a grounding JSON, its corners as they stand; and the images' sizes."""
    data = json.loads(path.read_text(encoding="utf-8"))
    chosen = list(dict.fromkeys(str(entry["original_img_id"]) for entry in data["images"]))[:images]
    annotations: dict[int, list[dict[str, list[float]]]] = {}
    for annotation in data["annotations"]:
        annotations.setdefault(annotation["image_id"], []).append(annotation)
    words: dict[tuple[str, int], list[str]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    mentions = []
    for entry in data["images"]:
        image = str(entry["original_img_id"])
        if image not in chosen:
            continue
        sizes[image] = int(entry["width"]), int(entry["height"])
        key = (image, int(entry["sentence_id"]))
        bounds = [(match.start(), match.end()) for match in re.finditer(r"\S+", entry["caption"])]
        words[key] = [entry["caption"][start:stop] for start, stop in bounds]
        for spans in entry["tokens_positive_eval"]:
            boxes = []
            for annotation in annotations.get(entry["id"], []):
                positive: list[tuple[int, int]] = annotation["tokens_positive"]  # type: ignore[assignment]
                if any(max(a, c) < min(b, d) for a, b in spans for c, d in positive):
                    x, y, w, h = annotation["bbox"]
                    boxes.append((x, y, x + w, y + h))
            places = [k for k, (c, d) in enumerate(bounds) if any(max(a, c) < min(b, d) for a, b in spans)]
            if boxes:
                mentions.append(Mention(*key, places, boxes))
    return words, mentions, sizes


def random_model(
    words: dict[tuple[str, int], list[str]], boxes: dict[str, list[Box]], sizes: dict[str, tuple[int, int]], seed: int
) -> Model:
    """Random weights on regions of which some lie near annotated boxes, so that there are hits and misses."""
    random = np.random.default_rng(seed)
    regions = {}
    for image, (width, height) in sizes.items():
        own = []
        for box in boxes.get(image, []):
            shift = random.normal(0, 0.12, 4) * (np.array(box)[[2, 3, 2, 3]] - np.array(box)[[0, 1, 0, 1]])
            x1, y1, x2, y2 = np.clip(np.array(box) + shift, 0, [width, height, width, height]).astype(np.float32)
            if x2 - x1 >= 1 and y2 - y1 >= 1:
                own.append((float(x1), float(y1), float(x2), float(y2)))
        own = [own[k] for k in random.permutation(len(own))[:20]]
        while len(own) < 24:
            x1, x2 = np.sort(random.integers(0, width + 1, 2)).tolist()
            y1, y2 = np.sort(random.integers(0, height + 1, 2)).tolist()
            if x1 < x2 and y1 < y2:
                own.append((float(x1), float(y1), float(x2), float(y2)))
        regions[image] = own
    weights = {}
    for key, texts in words.items():
        # Whole numbers in random order never tie, whatever they are divided by.
        count = len(texts) * len(regions[key[0]])
        weights[key] = (1.0 + random.permutation(count)).reshape(len(texts), -1).tolist()
    return Model(weights, regions)


def exported(path: Path, model: Model, words: dict[tuple[str, int], list[str]]) -> Path:
    """The model in the padded layout, its tokens being the annotated words."""
    longest = max(map(len, words.values()))
    regions = len(next(iter(model.regions.values())))
    attention = np.zeros((len(words), longest, regions), np.float32)
    for row, key in enumerate(words):
        attention[row, : len(words[key])] = model.weights[key]
    np.savez(
        path,
        attn=attention,
        words=np.array([own + [""] * (longest - len(own)) for own in words.values()]),
        caption_ids=np.array([f"{image}#{index}" for image, index in words]),
        boxes=np.array([model.regions[image] for image, _ in words], np.float32),
    )
    return path


def measured(attn: Path, gt: Path, name: str) -> tuple[dict[str, float | None], int]:
    result = package.score(attn, gt, protocol=PRESETS[name].protocol, options=package.Options(resamples=0))
    return {metric: result[metric] for metric in ("r@1", "r@5", "r@10", "r@all")}, result.counts["items"]


def assert_parity(attn: Path, gt: Path, mentions: Sequence[Mention], model: Model) -> None:
    values = {}
    for name in ("mdetr-any", "mdetr-merged"):
        found, items = measured(attn, gt, name)
        assert items == len(mentions)
        values[name] = mdetr_recall(mentions, model, merged=name.endswith("merged"))
        assert found == pytest.approx(values[name], abs=1e-12)
    # The data tell the two apart, and hits from misses.
    assert values["mdetr-any"] != values["mdetr-merged"]
    for own in values.values():
        assert 0.01 < own["r@1"] < own["r@5"] < own["r@10"] < own["r@all"] < 1


def sizes_of(path: Path, images: Sequence[str]) -> dict[str, tuple[int, int]]:
    roots = ((image, ET.fromstring(read(path, f"Annotations/{image}.xml"))) for image in images)  # noqa: S314
    return {
        image: (int(root.findtext("size/width", "")), int(root.findtext("size/height", ""))) for image, root in roots
    }


def boxes_by_image(mentions: Sequence[Mention]) -> dict[str, list[Box]]:
    found: dict[str, dict[Box, None]] = {}
    for mention in mentions:
        # Near merged boxes too, so that both protocols have hits.
        for box in (*mention.boxes, around(mention.boxes)):
            found.setdefault(mention.image, {})[box] = None
    return {image: list(own) for image, own in found.items()}


FIXTURE_IMAGES = sorted(path.stem for path in (FIXTURES / "entities" / "Annotations").iterdir())


@pytest.fixture
def random_on_fixtures(tmp_path: Path) -> tuple[Path, Model, list[Mention]]:
    gt = FIXTURES / "entities"
    words, mentions = entities_of(gt, FIXTURE_IMAGES)
    model = random_model(words, boxes_by_image(mentions), sizes_of(gt, FIXTURE_IMAGES), seed=7)
    return exported(tmp_path / "random.npz", model, words), model, mentions


def test_parity_on_random_weights_and_entities(random_on_fixtures: tuple[Path, Model, list[Mention]]) -> None:
    path, model, mentions = random_on_fixtures
    assert_parity(path, FIXTURES / "entities", mentions, model)


def test_parity_with_info_ground(random_on_fixtures: tuple[Path, Model, list[Mention]]) -> None:
    path, model, raw = random_on_fixtures
    _, mentions = entities_of(FIXTURES / "entities", FIXTURE_IMAGES, less=1)
    # Regions whose centre lies on the border of the first mention's box, and on its middle.
    x1, y1, x2, y2 = mentions[0].boxes[0]
    for index, x in enumerate((x1, (x1 + x2) / 2)):
        model.regions[mentions[0].image][index] = (x - 4, y1 + 1, x + 4, y2 - 1) if x >= 4 else (x, y1, x + 8, y2)
    words, _ = entities_of(FIXTURES / "entities", FIXTURE_IMAGES)
    exported(path, model, words)
    result = package.score(
        path, FIXTURES / "entities", protocol=PRESETS["info-ground"].protocol, options=package.Options(resamples=0)
    )
    expected = info_ground(mentions, model)
    assert {name: result[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert result.counts["items"] == len(mentions)
    # Coordinates as they stand, and lengths from edge to edge, give other numbers.
    assert info_ground(raw, model) != expected
    assert mdetr_recall(mentions, model, merged=False) != {n: v for n, v in expected.items() if n != "pointing"}


def test_edges_tell_the_protocols_apart(random_on_fixtures: tuple[Path, Model, list[Mention]]) -> None:
    """A box whose IoU with the annotation is 0.5 by one reading of its edges and not by the other."""
    path, model, mentions = random_on_fixtures
    image, mention = mentions[0].image, mentions[0]
    x1, y1, x2, y2 = mention.boxes[0]
    # As many pixels wide as the annotation, half of it high: exactly 0.5 without the last row and column.
    half = (x1, y1, x2, y1 + (y2 - y1) / 2)
    assert iou(half, mention.boxes[0]) == 0.5
    model.regions[image][0] = half
    words, _ = entities_of(FIXTURES / "entities", FIXTURE_IMAGES)
    exported(path, model, words)
    assert_parity(path, FIXTURES / "entities", mentions, model)


def test_parity_on_random_weights_and_grounding_json(tmp_path: Path) -> None:
    gt = FIXTURES / "grounding.json"
    words, mentions, sizes = grounding_of(gt, images=60)
    model = random_model(words, boxes_by_image(mentions), sizes, seed=8)
    assert_parity(exported(tmp_path / "random.npz", model, words), gt, mentions, model)


def test_punctuation_within_a_phrase_is_the_one_difference(tmp_path: Path) -> None:
    """Alignment knows words with a letter or digit only, and so the tokens of a phrase are those of its words."""
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Sentences").mkdir()
    (tmp_path / "Annotations/1.xml").write_text(
        "<annotation><size><width>100</width><height>100</height></size><object><name>5</name>"
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>41</xmax><ymax>41</ymax></bndbox></object></annotation>"
    )
    (tmp_path / "Sentences/1.txt").write_text('by [/EN#5/other a " canal]\n')
    words, mentions = entities_of(tmp_path, ["1"])
    # The word looks elsewhere, the quotation mark where the canal is.
    weights = [[0.6, 0.4], [0.55, 0.45], [0.1, 0.9], [0.7, 0.3]]
    model = Model({("1", 0): weights}, {"1": [(50.0, 50.0, 90.0, 90.0), (0.0, 0.0, 40.0, 40.0)]})
    assert mdetr_recall(mentions, model, merged=False)["r@1"] == 1
    expected = mdetr_recall(without_marks(mentions, words), model, merged=False)
    found, _ = measured(exported(tmp_path / "m.npz", model, words), tmp_path, "mdetr-any")
    assert found == expected
    assert found["r@1"] == 0
    assert "punctuation" in PRESETS["mdetr-any"].reproduces


@pytest.mark.realdata
def test_how_many_phrases_hold_punctuation(shared: Path) -> None:
    words, mentions, _ = grounding_of(shared / "mdetr" / "flickr_separateGT_val.json", images=1000)
    changed = sum(m != own for m, own in zip(mentions, without_marks(mentions, words), strict=True))
    assert (changed, len(mentions)) == (82, 14433)
    assert "0.6 %" in PRESETS["mdetr-any"].reproduces


@pytest.mark.parametrize("name", ["good", "twin", "noisy"])
def test_parity_on_the_fixtures(name: str) -> None:
    import reference_inputs
    import word_reference

    export = reference_inputs.read_export(FIXTURES / f"{name}.npz")
    words, mentions = entities_of(FIXTURES / "entities", FIXTURE_IMAGES)
    weights = {}
    for own in export.maps:
        rows = own.of_channel(own.weights, None)
        # A word is the largest of its pieces, as a phrase is the largest of its tokens.
        pieces = word_reference.tokens_of_words(own.tokens, words[own.image, own.index])
        regions = len(export.boxes[own.image])
        weights[own.image, own.index] = [
            [max((rows[t][r] for t in tokens), default=-1.0) for r in range(regions)] for tokens in pieces
        ]
    model = Model(weights, export.boxes)
    for protocol in ("mdetr-any", "mdetr-merged"):
        found, items = measured(FIXTURES / f"{name}.npz", FIXTURES / "entities", protocol)
        assert items == len(mentions)
        assert found == pytest.approx(mdetr_recall(mentions, model, merged=protocol == "mdetr-merged"), abs=1e-12)


@pytest.mark.realdata
def test_parity_on_real_grounding_json(shared: Path, tmp_path: Path) -> None:
    for number, gt in enumerate(("flickr_separateGT_val.json", "flickr_mergedGT_val.json")):
        words, mentions, sizes = grounding_of(shared / "mdetr" / gt, images=100)
        model = random_model(words, boxes_by_image(mentions), sizes, seed=9 + number)
        path = exported(tmp_path / f"{number}.npz", model, words)
        mentions = without_marks(mentions, words)
        if number == 0:
            assert_parity(path, shared / "mdetr" / gt, mentions, model)
            continue
        # Where boxes are merged already both protocols are the same.
        found, items = measured(path, shared / "mdetr" / gt, "mdetr-any")
        assert items == len(mentions)
        assert found == pytest.approx(mdetr_recall(mentions, model, merged=True), abs=1e-12)


@pytest.mark.realdata
def test_parity_on_real_entities(shared: Path, tmp_path: Path) -> None:
    gt = shared / "flickr30k_entities_val.zip"
    _, _, sizes = grounding_of(shared / "mdetr" / "flickr_separateGT_val.json", images=100)
    words, mentions = entities_of(gt, list(sizes))
    assert sizes_of(gt, list(sizes)) == sizes
    mentions = without_marks(mentions, words)
    model = random_model(words, boxes_by_image(mentions), sizes, seed=11)
    assert_parity(exported(tmp_path / "random.npz", model, words), gt, mentions, model)
