"""A made-up world of images with things in them, written in every annotation format."""

from __future__ import annotations

import json
import pickle
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.export.write.writer import ExportWriter
from attneval.geometry.masks import from_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from attneval.groundtruth import GroundTruth

SIZE = (640, 640)
"""Width and height of images whose annotations do not say them."""
NAMES = ["person", "dog", "hot dog", "wine glass", "bus", "sheep", "teddy bear", "bear"]
WORDS = {
    "person": ["man", "people", "A woman", "children", "Policeman"],
    "dog": ["dog", "puppies", "The dogs"],
    "hot dog": ["hot dog", "hot-dogs"],
    "wine glass": ["wine glass", "wine  glasses"],
    "bus": ["bus", "buses", "minibus"],
    "sheep": ["sheep", "lamb"],
    "teddy bear": ["teddy bear", "stuffed animals"],
    "bear": ["bear", "grizzlies", "polar bear"],
}
TYPES = ["people", "clothing", "animals", "scene", "other", "notvisual", "balloon"]
FILLERS = ["runs ,", "with a hat", "é-", "near the 7th", "\n", "of", "İ 犬", "seats .", "holding", "and"]


@dataclass(frozen=True)
class Thing:
    number: int
    category: int
    box: list[float]
    polygons: list[list[float]]
    crowd: bool


@dataclass(frozen=True)
class Scene:
    number: int
    width: int
    height: int
    things: list[Thing]
    captions: list[tuple[str, list[tuple[int, int, list[int]]]]]
    """Texts, and for their phrases first and last character and the numbers of things."""


class World:
    """Scenes of a few things each, small so that slow references can draw them."""

    def __init__(self, seed: int, images: int) -> None:
        self.random = np.random.default_rng(seed)
        self.scenes = [self._scene(number) for number in range(1, images + 1)]

    def _scene(self, number: int) -> Scene:
        random = self.random
        width, height = (int(side) for side in random.integers(8, 40, 2))
        things = [self._thing(1000 * number + k, width, height) for k in range(int(random.integers(0, 5)))]
        captions = []
        for _ in range(int(random.integers(1, 4))):
            text, phrases = "", []
            for _ in range(int(random.integers(0, 4))):
                text += f"{random.choice(FILLERS)} "
                category = int(random.integers(0, len(NAMES)))
                words = str(random.choice(WORDS[NAMES[category]]))
                named = [k for k in range(len(things)) if random.random() < 0.4]
                phrases.append((len(text), len(text) + len(words), named))
                text += f"{words} "
            text += str(random.choice(FILLERS)).strip() + str(random.choice(["", " ", ".", " ."]))
            captions.append((text, phrases))
        return Scene(number, width, height, things, captions)

    def _thing(self, number: int, width: int, height: int) -> Thing:
        random = self.random
        crowd = bool(random.random() < 0.1)
        low = random.uniform(-0.1, 0.7, 2) * [width, height]
        side = random.uniform(0.15, 0.6, 2) * [width, height]
        box = [round(float(value), 2) for value in (*low, *side)]
        polygons = []
        for _ in range(int(random.integers(1, 3))):
            corners = low + random.uniform(0, 1, (int(random.integers(3, 7)), 2)) * side
            polygons.append([round(float(value), 2) for value in corners.ravel()])
        return Thing(number, int(random.integers(0, len(NAMES))), box, polygons, crowd)

    # ------------------------------------------------------------ Flickr30k Entities

    def entities(self, folder: Path, *, japanese: bool = False) -> list[Path]:
        """Chains of several boxes, boxes of several chains, chains without a box, and phrases of several types."""

        def spaced(text: str) -> str:
            return re.sub(r"\s", "" if japanese else " ", text)

        for part in ("Annotations", "Sentences"):
            (folder / "release" / part).mkdir(parents=True)
        for scene in self.scenes:
            chains: dict[tuple[int, ...], int] = {}
            lines: list[str] = []
            for text, phrases in scene.captions:
                line, end = "", 0
                for place, (a, b, things) in enumerate(phrases):
                    chain = chains.setdefault(tuple(things), len(chains))
                    types = [str(name) for name in self.random.choice(TYPES, int(self.random.integers(1, 4)), False)]
                    number = f"{place + 9}:" if japanese else ""
                    line += f"{spaced(text[end:a])}{number}[/EN#{chain}/{'/'.join(types)} {spaced(text[a:b])}]"
                    end = b
                lines.append(line + spaced(text[end:]))
            objects = []
            for t, thing in enumerate(scene.things):
                names = "".join(f"<name>{chain}</name>" for things, chain in chains.items() if t in things)
                if names:
                    x1, y1, x2, y2 = corners(thing.box)
                    edges = {"xmin": int(x1) + 1, "ymin": int(y1) + 1, "xmax": int(x2) + 1, "ymax": int(y2) + 1}
                    box = "".join(f"<{edge}>{value}</{edge}>" for edge, value in edges.items())
                    objects.append(f"<object>{names}<bndbox>{box}</bndbox></object>")
            if () in chains:
                objects.append(f"<object><name>{chains[()]}</name><scene>1</scene><nobndbox>1</nobndbox></object>")
            size = f"<size><width>{scene.width}</width><height>{scene.height}</height></size>"
            xml = f"<annotation>{size}{''.join(objects)}</annotation>"
            (folder / f"release/Annotations/{scene.number}.xml").write_text(xml, "utf-8")
            (folder / f"release/Sentences/{scene.number}.txt").write_text("\n".join(lines) + "\n", "utf-8")
        return [folder / "release"]

    def japanese(self, folder: Path) -> list[Path]:
        return self.entities(folder, japanese=True)

    # ------------------------------------------------------------ COCO and its relatives

    def _images(self) -> list[dict[str, Any]]:
        return [
            {"id": s.number, "width": s.width, "height": s.height, "file_name": f"{s.number:012}.jpg"}
            for s in self.scenes
        ]

    def coco(self, folder: Path) -> list[Path]:
        captions = [
            {"image_id": scene.number, "id": 10_000 * k - scene.number, "caption": text}
            for scene in self.scenes
            for k, (text, _) in enumerate(scene.captions, 1)
        ]
        self.random.shuffle(captions)
        return [
            dump(folder / "captions.json", {"images": self._images(), "annotations": captions}),
            dump(folder / "instances.json", self._instances()),
        ]

    def _instances(self) -> dict[str, Any]:
        annotations = [
            {
                "id": thing.number,
                "image_id": scene.number,
                "category_id": 3 * thing.category + 1,
                "bbox": thing.box,
                "area": 1.0,
                "iscrowd": int(thing.crowd),
                "segmentation": run_lengths(drawn(scene, thing)) if thing.crowd else thing.polygons,
            }
            for scene in self.scenes
            for thing in scene.things
        ]
        categories = [
            {"id": 3 * row + 1, "name": name, "supercategory": "animal" if "dog" in name else "thing"}
            for row, name in enumerate(NAMES)
        ]
        return {"images": self._images(), "annotations": annotations, "categories": categories}

    def lvis(self, folder: Path) -> list[Path]:
        captions, instances = self.coco(folder)
        data = json.loads(instances.read_text("utf-8"))
        synonyms = {
            "person": ["person", "man", "woman", "child", "bear"],
            "wine glass": ["wine_glass", "glass_(drink_container)"],
        }
        for category in data["categories"]:
            category["synonyms"] = synonyms.get(category["name"], [category["name"].replace(" ", "_")])
        for annotation in data["annotations"]:
            del annotation["iscrowd"]
        return [captions, dump(instances, data)]

    def refer(self, folder: Path, protocol: int | None = 2) -> list[Path]:
        references: list[dict[str, Any]] = []
        sentence = 0
        for scene in self.scenes:
            for k, (text, phrases) in enumerate(scene.captions):
                named = sorted({thing for _, _, things in phrases for thing in things})
                ids = [scene.things[thing].number for thing in named]
                if protocol is not None:
                    ids = ids[:1]
                    if not ids:
                        continue
                sentences = []
                for form in (text, text.lower()):
                    sentences.append({"sent_id": sentence, "sent": form, "raw": form, "tokens": form.split()})
                    sentence += 1
                references.append(
                    {
                        "ref_id": len(references),
                        "image_id": scene.number,
                        "ann_id": ids[0] if protocol is not None else ids or [-1],
                        "category_id": 1 if protocol is not None else [1],
                        "split": ["train", "val", "testA", "testAB"][k % 4],
                        "file_name": f"{scene.number}_{len(references)}.jpg",
                        "sentences": sentences,
                        "sent_ids": [],
                    }
                    | ({} if protocol is not None else {"no_target": not ids})
                )
        instances = dump(folder / "instances.json", self._instances())
        if protocol is None:
            return [dump(folder / "grefs(unc).json", references), instances]
        path = folder / "refs(unc).p"
        path.write_bytes(pickle.dumps(references, protocol))
        return [path, instances]

    def mdetr(self, folder: Path) -> list[Path]:
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for scene in self.scenes:
            for k, (text, phrases) in enumerate(scene.captions):
                number = len(images)
                kind = ["flickr", "mixed", "refcoco", "gqa"][scene.number % 4]
                entry = {"id": number, "original_img_id": scene.number, "caption": text, "dataset_name": kind}
                entry |= {"width": str(scene.width), "height": scene.height, "sentence_id": k}
                if kind == "mixed" and scene.number % 3:
                    entry["data_source"] = "vg"
                if kind == "flickr":
                    entry["tokens_positive_eval"] = [[[a, b]] for a, b, _ in phrases]
                images.append(entry)
                for a, b, things in phrases[:1] if kind == "refcoco" else phrases:
                    listed: list[tuple[list[float], Thing | None]]
                    listed = [(scene.things[t].box, scene.things[t]) for t in things] or [([0, 0, 0, 0], None)]
                    for box, thing in listed[:1] if kind == "refcoco" else listed:
                        annotations.append(
                            {
                                "id": len(annotations),
                                "image_id": number,
                                "bbox": box,
                                "category_id": -1 if thing is None else 3 * thing.category + 1,
                                "iscrowd": int(thing is not None and thing.crowd),
                                "tokens_positive": [[a, b]],
                            }
                            | ({"empty": True} if thing is None and kind == "refcoco" else {})
                        )
        return [dump(folder / "grounding.json", self._instances() | {"images": images, "annotations": annotations})]

    def coco_entities(self, folder: Path) -> list[Path]:
        data: dict[str, Any] = {}
        raw = {}
        for scene in self.scenes:
            captions: dict[str, Any] = {}
            texts = []
            for text, phrases in scene.captions:
                plain = [(word, normal(word)) for word in text.split()]
                caption = " ".join(word for _, word in plain if word)
                chunks: list[list[str]] = []
                detections: dict[str, Any] = {}
                for a, b, things in phrases:
                    name = f"class {scene.things[things[0]].category}" if things else "_"
                    chunks.append([" ".join(normal(text[a:b]).split()), name])
                    if things:
                        boxes = [corners(scene.things[thing].box) for thing in things]
                        detections.setdefault(name, [[k, box] for k, box in enumerate(boxes)])
                if caption and caption not in captions:
                    entry = {"det_sequences": [], "noun_chunks": chunks, "detections": detections}
                    captions[caption] = entry | {"split": "test"}
                    texts.append(text)
            if captions:
                data[str(scene.number)] = captions
                raw[str(scene.number)] = ["something else", *reversed(texts)]
        return [
            dump(folder / "entities.json", data),
            dump(folder / "raw.json", raw),
            dump(folder / "sizes.json", {"images": self._images()}),
        ]

    # ------------------------------------------------------------ panoptic narratives

    def png(self, folder: Path) -> list[Path]:
        narratives, annotations = [], []
        (folder / "labels" / "val2017").mkdir(parents=True)
        for scene in self.scenes:
            labels = np.zeros((scene.height, scene.width), np.int64)
            numbers = {}
            for k, thing in enumerate(scene.things):
                numbers[k] = int(self.random.integers(1, 2**24))
                labels[drawn(scene, thing)] = numbers[k]
            there = {k: number for k, number in numbers.items() if (labels == number).any()}
            write_png(folder / "labels" / "val2017" / f"{scene.number:012}.png", labels, self.random)
            segments = []
            for k, number in there.items():
                rows, columns = np.nonzero(labels == number)
                x, y = int(columns.min()), int(rows.min())
                box = [x, y, int(columns.max()) + 1 - x, int(rows.max()) + 1 - y]
                segments.append(
                    {"id": number, "category_id": 3 * scene.things[k].category + 1, "bbox": box, "area": len(rows)}
                    | {"iscrowd": int(scene.things[k].crowd)}
                )
            annotations.append(
                {"image_id": scene.number, "file_name": f"{scene.number:012}.png", "segments_info": segments}
            )
            for text, phrases in scene.captions:
                parts: list[dict[str, Any]] = []
                end = 0
                for a, b, things in phrases:
                    parts.append({"utterance": text[end:a].strip(), "noun": False, "plural": False, "segment_ids": []})
                    ids = [str(there[thing]) for thing in things if thing in there]
                    parts.append({"utterance": text[a:b], "noun": True, "plural": len(ids) > 1, "segment_ids": ids})
                    end = b
                narratives.append({"image_id": str(scene.number), "caption": text, "segments": parts})
        data = self._instances() | {"annotations": annotations}
        for category in data["categories"]:
            category["isthing"] = category["id"] % 2
        return [dump(folder / "png.json", narratives), dump(folder / "panoptic.json", data), folder / "labels"]

    # ------------------------------------------------------------ the rest

    def odvg(self, folder: Path) -> list[Path]:
        lines = []
        for scene in self.scenes:
            for text, phrases in scene.captions:
                regions = []
                for a, b, things in phrases:
                    boxes = [corners(scene.things[thing].box) for thing in things]
                    if boxes:
                        bbox = boxes[0] if len(boxes) == 1 else boxes
                        regions.append({"bbox": bbox, "phrase": text[a:b], "tokens_positive": [[a, b]]})
                grounding = {"caption": text, "regions": regions}
                image = {"filename": f"f/{scene.number}.jpg", "height": scene.height, "width": scene.width}
                lines.append(image | {"grounding": grounding})
        path = folder / "odvg.jsonl"
        path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n", "utf-8")
        return [path]

    def rec(self, folder: Path) -> list[Path]:
        entries = []
        for scene in self.scenes:
            for text, phrases in scene.captions:
                things = [thing for _, _, listed in phrases for thing in listed]
                entries.append(
                    {"file_name": f"{scene.number:012}.jpg", "width": scene.width, "height": scene.height}
                    | {"normal_caption": text, "solution": corners(scene.things[things[0]].box) if things else None}
                )
        return [dump(folder / "rec.json", entries)]

    def gcg(self, folder: Path) -> list[Path]:
        entries = []
        for scene in self.scenes:
            pixels = [drawn(scene, thing) for thing in scene.things]
            for text, phrases in scene.captions:
                groundings = {}
                for a, b, things in phrases:
                    masks = [
                        {"size": [scene.height, scene.width], "counts": from_pixels(pixels[t]).decode()}
                        for t in things
                        if pixels[t].any()
                    ]
                    if masks:
                        groundings[f"{text[a:b]} {a}"] = {"token_positives": [a, b], "rle_masks": masks}
                if groundings and text.strip('"').strip() == text.rstrip():
                    entries.append({"file_name": f"{scene.number}.jpg", "caption": text, "groundings": groundings})
        return [dump(folder / "gcg.json", entries)]

    def phrasecut(self, folder: Path) -> list[Path]:
        tasks = []
        for scene in self.scenes:
            for k, (text, phrases) in enumerate(scene.captions):
                things = [scene.things[t] for t in sorted({t for _, _, listed in phrases for t in listed})]
                polygons = [
                    [
                        [list(point) for point in zip(polygon[::2], polygon[1::2], strict=True)]
                        for polygon in thing.polygons
                    ]
                    for thing in things
                ]
                tasks.append(
                    {"task_id": f"{scene.number}__{k}", "image_id": scene.number, "phrase": text.strip() or "x"}
                    | {"ann_ids": [thing.number for thing in things], "Polygons": polygons}
                    | {"instance_boxes": [thing.box for thing in things]}
                )
        sizes = [{"image_id": s.number, "width": s.width, "height": s.height} for s in self.scenes]
        return [dump(folder / "refer.json", tasks), dump(folder / "image_data.json", sizes)]

    def visual_genome(self, folder: Path) -> list[Path]:
        images = []
        for scene in self.scenes:
            regions: list[dict[str, Any]] = []
            for text, phrases in scene.captions:
                for _, _, things in phrases:
                    for thing in things:
                        box = dict(zip(("x", "y", "width", "height"), scene.things[thing].box, strict=True))
                        regions.append({"region_id": len(regions), "phrase": f" {text}"} | box)
            images.append({"id": scene.number, "regions": regions})
        sizes = [{"image_id": s.number, "width": s.width, "height": s.height} for s in self.scenes]
        return [dump(folder / "region_descriptions.json", images), dump(folder / "image_data.json", sizes)]

    def gqa(self, folder: Path) -> list[Path]:
        questions, graphs = {}, {}
        for scene in self.scenes:
            objects = {
                str(thing.number): dict(zip("xywh", thing.box, strict=True)) | {"name": NAMES[thing.category]}
                for thing in scene.things
            }
            graphs[str(scene.number)] = {"width": scene.width, "height": scene.height, "objects": objects}
            for k, (text, _) in enumerate(scene.captions):
                words = text.split()
                marks = {
                    (f"{w}:{w + 2}" if w + 2 <= len(words) and w % 2 else str(w)): str(1000 * scene.number + w)
                    for w, word in enumerate(words)
                    if word[0].isalnum() and words[min(w + 1, len(words) - 1)][-1].isalnum() and word[-1].isalnum()
                }
                questions[f"{scene.number}_{k}"] = {
                    "question": " ".join(words) + "?",
                    "imageId": str(scene.number),
                    "annotations": {"question": marks, "answer": {}, "fullAnswer": {}},
                }
        return [dump(folder / "questions.json", questions), dump(folder / "sceneGraphs.json", graphs)]


def dump(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data, ensure_ascii=False), "utf-8")
    return path


def corners(box: list[float]) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height]


def normal(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter not in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def drawn(scene: Scene, thing: Thing) -> NDArray[np.bool_]:
    """Pixels of a thing: those whose centre lies in an ellipse in its box."""
    x, y, width, height = thing.box
    row, column = np.mgrid[0 : scene.height, 0 : scene.width] + 0.5
    return np.asarray(((column - x) / width - 0.5) ** 2 + ((row - y) / height - 0.5) ** 2 < 0.25)


def run_lengths(pixels: NDArray[np.bool_]) -> dict[str, Any]:
    flat = pixels.T.ravel()
    runs, value, count = [], False, 0
    for pixel in flat.tolist():
        if pixel != value:
            runs.append(count)
            value, count = pixel, 0
        count += 1
    return {"counts": [*runs, count], "size": list(pixels.shape)}


def write_png(path: Path, labels: NDArray[np.int64], random: np.random.Generator) -> None:
    """Write a label image with a random filter on each row."""
    height, width = labels.shape
    pixels = np.stack((labels % 256, labels // 256 % 256, labels // 65536), axis=2)
    rows = b""
    for y in range(height):
        kind = int(random.integers(0, 5))
        row = bytearray([kind])
        for x in range(width):
            for c in range(3):
                a = int(pixels[y, x - 1, c]) if x else 0
                b = int(pixels[y - 1, x, c]) if y else 0
                d = int(pixels[y - 1, x - 1, c]) if x and y else 0
                guess = a + b - d
                nearest = min((abs(guess - a), 0, a), (abs(guess - b), 1, b), (abs(guess - d), 2, d))[2]
                row.append((int(pixels[y, x, c]) - [0, a, b, (a + b) // 2, nearest][kind]) % 256)
        rows += bytes(row)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows)
    half = len(packed) // 2
    body = chunk(b"IHDR", header) + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def made_up_maps(path: Path, truth: GroundTruth, cells: int = 4, seed: int = 0) -> dict[tuple[str, int], Any]:
    """Write random maps over a grid for all captions of some annotations; their words are the tokens."""
    random = np.random.default_rng(seed)
    maps = {}
    with ExportWriter(path, normalised_over="regions") as out:
        for row, name in enumerate(truth.image_id):
            width, height = truth.image_size[row].tolist() if truth.image_size[row].all() else SIZE
            x, y = np.linspace(0, width, cells + 1), np.linspace(0, height, cells + 1)
            boxes = [[x[c], y[r], x[c + 1], y[r + 1]] for r in range(cells) for c in range(cells)]
            out.add_image(name, size=(width, height), boxes=boxes)
            for caption in range(*truth.caption_offset[row : row + 2].tolist()):
                words = truth.text[caption].split() or ["."]
                weights = random.dirichlet(np.full(len(boxes), 0.3), len(words)).astype(np.float32)
                index = int(truth.caption_index[caption])
                out.add_caption(name, weights, index=index, tokens=words)
                maps[name, index] = weights
    return maps
