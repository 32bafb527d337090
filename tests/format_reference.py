"""Annotation formats read slowly, one image and one phrase at a time, into plain values.

Nothing is shared with the package. An image is its size and its captions by number; a caption its text and its phrases;
a phrase its spans, its boxes, its category, its marks and the pixels of its masks.
"""

from __future__ import annotations

import io
import itertools
import json
import pickle
import re
import string
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
from mask_reference import compressed_runs, polygons_pixels, runs_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Box = tuple[float, ...]
Span = tuple[int, int]


@dataclass
class Phrase:
    spans: list[Span]
    boxes: list[Box]
    category: str = ""
    marks: set[str] = field(default_factory=set)
    masks: list[NDArray[np.bool_]] = field(default_factory=list)
    types: set[str] = field(default_factory=set)


@dataclass
class Image:
    size: tuple[int, int]
    captions: dict[int, tuple[str, list[Phrase]]] = field(default_factory=dict)


Truth = dict[str, Image]


def load(path: Path) -> Any:
    return json.loads(path.read_bytes().decode("utf-8"))


def clip(box: Sequence[float], size: tuple[int, int]) -> Box:
    if size == (0, 0):
        return tuple(map(float, box))
    return tuple(float(min(max(edge, 0), size[axis % 2])) for axis, edge in enumerate(box))


def corner(box: Sequence[float], size: tuple[int, int]) -> Box:
    x, y, width, height = box
    return clip((x, y, x + width, y + height), size)


def outline_pixels(outline: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    if isinstance(outline, list):
        return polygons_pixels(outline, *size)
    counts = outline["counts"]
    runs = counts if isinstance(counts, list) else compressed_runs(counts.encode())
    return runs_pixels(runs, *size)


def by_image(captions: Path) -> dict[str, list[str]]:
    """Captions by image, in the order of their ids."""
    texts: dict[str, list[tuple[int, str]]] = {}
    for entry in load(captions)["annotations"]:
        texts.setdefault(str(entry["image_id"]), []).append((entry["id"], entry["caption"]))
    return {image: [text for _, text in sorted(listed)] for image, listed in texts.items()}


# ---------------------------------------------------------------- Flickr30k Entities


def entities(root: Path) -> Truth:
    """Sentences letter by letter; boxes counted from 1, the last pixel inside."""
    truth: Truth = {}
    for path in (root / "Annotations").iterdir():
        xml = ET.fromstring(path.read_text("utf-8"))  # noqa: S314 - written by the tests
        size = (int(xml.findtext("size/width", "")), int(xml.findtext("size/height", "")))
        image = truth[path.stem] = Image(size)
        boxes: dict[str, list[Box]] = {}
        for thing in xml.iter("object"):
            if thing.find("bndbox") is not None:
                x1, y1, x2, y2 = (
                    int(thing.findtext(f"bndbox/{edge}", "")) for edge in ("xmin", "ymin", "xmax", "ymax")
                )
                for name in thing.iter("name"):
                    boxes.setdefault(str(name.text), []).append(clip((x1 - 1, y1 - 1, x2, y2), size))
        for number, line in enumerate((root / f"Sentences/{path.stem}.txt").read_text("utf-8").split("\n")[:-1]):
            text, phrases, at, start = "", [], 0, 0
            chain, types = "", set[str]()
            while at < len(line):
                numbered = line[at].isdigit() and re.match(r"\d+:(?=\[/EN#)", line[at:])
                if numbered:
                    at += numbered.end()
                elif line.startswith("[/EN#", at):
                    end = line.index(" ", at)
                    chain, *names = line[at + 5 : end].split("/")
                    types, start, at = set(names), len(text), end + 1
                elif line[at] == "]":
                    seen = [] if "notvisual" in types else sorted(boxes.get(chain, []))
                    phrases.append(Phrase([(start, len(text))], seen, types=types - {"notvisual"}))
                    at += 1
                else:
                    text += line[at]
                    at += 1
            image.captions[number] = (text, phrases)
    return truth


# ---------------------------------------------------------------- COCO


def plural_forms(word: str) -> list[str]:
    table = {
        "person": "people",
        "child": "children",
        "mouse": "mice",
        "goose": "geese",
        "knife": "knives",
        "sheep": "sheep",
    }
    if word in table:
        return [table[word]]
    if word.endswith("man"):
        return [word[:-3] + "men"]
    if re.search("(s|x|z|ch|sh)$", word):
        return [word + "es"]
    if re.search("[^aeiou]y$", word):
        return [word[:-1] + "ies"]
    return [word + "s", word + "es"] if word.endswith("o") else [word + "s"]


def coco(captions: Path, instances: Path, names: Path | None, *, masks: bool = True) -> Truth:
    """Words against all names, each looked for in turn."""
    data = load(instances)
    categories = {entry["id"]: entry["name"] for entry in data["categories"]}
    if names is None:
        listed = []
        for entry in data["categories"]:
            names_ = [re.sub(r" ?\(.*\)", "", name.replace("_", " ")) for name in entry["synonyms"]]
            listed.append((entry["name"], names_))
    else:
        lines = [line.split(",") for line in names.read_text("utf-8").splitlines()]
        listed = [(line[0].strip(), [" ".join(name.split()) for name in line]) for line in lines]
        listed = [(category, group) for category, group in listed if category in categories.values()]
    exact: dict[tuple[str, ...], tuple[str, bool]] = {}
    derived: dict[tuple[str, ...], tuple[str, bool]] = {}
    for category, group in listed:
        for name in group:
            words = re.findall(r"[a-z0-9]+", name.lower())
            for form in plural_forms(words[-1]):
                if form != words[-1]:
                    derived |= {(*words[:-1], form): (category, True)}
            if re.search("[^s]s$", words[-1]):
                derived |= {(*words[:-1], words[-1][:-1]): (category, False)}
    for category, group in listed:
        for name in group:
            words = re.findall(r"[a-z0-9]+", name.lower())
            plural = any(
                tuple(words) == (*other[:-1], form) and form != other[-1]
                for other in (re.findall(r"[a-z0-9]+", another.lower()) for another in group)
                for form in plural_forms(other[-1])
            )
            exact[tuple(words)] = (category, plural)
    truth: Truth = {}
    shapes: dict[str, list[Any]] = {}
    pixels: dict[int, NDArray[np.bool_]] = {}
    for annotation in data["annotations"]:
        shapes.setdefault(str(annotation["image_id"]), []).append(annotation)
    sizes = {str(image["id"]): (image["width"], image["height"]) for image in data["images"]}
    for image, texts in by_image(captions).items():
        if image not in sizes:
            continue
        truth[image] = Image(sizes[image])
        for number, text in enumerate(texts):
            words = [(match[0].lower(), *match.span()) for match in re.finditer(r"[A-Za-z0-9]+", text)]
            phrases, k = [], 0
            while k < len(words):
                for n in (3, 2, 1):
                    part = words[k : k + n]
                    key = tuple(word for word, _, _ in part)
                    between = [text[a[2] : b[1]] for a, b in itertools.pairwise(part)]
                    gaps = all(re.fullmatch(r"\s*-?\s*", gap) for gap in between)
                    if len(part) == n and gaps and (key in exact or key in derived):
                        category, plural = exact.get(key) or derived[key]
                        own = [a for a in shapes.get(image, []) if categories[a["category_id"]] == category]
                        if own:
                            outlined = [a for a in own if masks and a["segmentation"]]
                            for a in outlined:
                                if a["id"] not in pixels:
                                    pixels[a["id"]] = outline_pixels(a["segmentation"], sizes[image])
                            phrases.append(
                                Phrase(
                                    [(part[0][1], part[-1][2])],
                                    sorted(corner(a["bbox"], sizes[image]) for a in own),
                                    category,
                                    {"category"} | ({"plural"} if plural else set()),
                                    [pixels[a["id"]] for a in outlined],
                                )
                            )
                        k += n - 1
                        break
                k += 1
            truth[image].captions[number] = (text, phrases)
    return truth


# ---------------------------------------------------------------- referring expressions


class Nothing(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise AssertionError(f"{module}.{name}")


def plain_pickle(data: bytes) -> Any:
    try:
        return Nothing(io.BytesIO(data), encoding="utf-8").load()
    except UnicodeDecodeError:
        return Nothing(io.BytesIO(data), encoding="latin-1").load()


def refer(references: Path, instances: Path, split: str | None = None) -> Truth:
    listed = load(references) if references.suffix == ".json" else plain_pickle(references.read_bytes())
    data = load(instances)
    names = {entry["id"]: entry["name"] for entry in data["categories"]} if len(data["categories"]) > 1 else {}
    sizes = {image["id"]: (image.get("width", 0), image.get("height", 0)) for image in data["images"]}
    truth: Truth = {}
    count: dict[str, int] = {}
    for reference in listed:
        image = str(reference["image_id"])
        size = sizes[reference["image_id"]]
        ids = reference["ann_id"] if isinstance(reference["ann_id"], list) else [reference["ann_id"]]
        own = [a for k in ids for a in data["annotations"] if a["id"] == k]
        categories = {names.get(a["category_id"], "") for a in own}
        for sentence in reference["sentences"]:
            number = count.get(image, 0)
            count[image] = number + 1
            if split is not None and reference["split"] != split:
                continue
            text = sentence["sent"]
            phrase = Phrase(
                [(len(text) - len(text.lstrip()), len(text.rstrip()))],
                sorted(corner(a["bbox"], size) for a in own),
                categories.pop() if len(categories) == 1 else "",
                set() if own else {"no target"},
                [outline_pixels(a["segmentation"], size) for a in own if a["segmentation"]],
            )
            categories = {names.get(a["category_id"], "") for a in own}
            truth.setdefault(image, Image(size)).captions[number] = (text, [phrase] if text.strip() else [])
    return truth


def rec(path: Path) -> Truth:
    truth: Truth = {}
    for entry in load(path):
        image = str(int(Path(entry["file_name"]).stem))
        size = (entry["width"], entry["height"])
        own = truth.setdefault(image, Image(size))
        text = entry["normal_caption"]
        span = (len(text) - len(text.lstrip()), len(text.rstrip()))
        nothing = entry["solution"] is None
        boxes = [] if nothing else [clip(entry["solution"], size)]
        phrase = Phrase([span], boxes, marks={"no target"} if nothing else set())
        own.captions[len(own.captions)] = (text, [phrase] if text.strip() else [])
    return truth


# ---------------------------------------------------------------- MDETR


def mdetr(path: Path, expression: str = "whole") -> Truth:
    data = load(path)
    names = {entry["id"]: entry["name"] for entry in data["categories"]} if len(data["categories"]) > 1 else {}
    truth: Truth = {}
    for entry in data["images"]:
        size = (int(entry["width"]), int(entry["height"]))
        image = str(entry.get("original_img_id", entry.get("original_id")))
        image = f"vg/{image}" if entry.get("data_source") == "vg" else image
        own = truth.setdefault(image, Image(size))
        text = entry["caption"]
        flickr = entry.get("dataset_name", "flickr") == "flickr"
        marked = []
        for annotation in data["annotations"]:
            if annotation["image_id"] != entry["id"] or annotation["iscrowd"]:
                continue
            x, y, width, height = annotation["bbox"]
            box = [x - 1, y - 1, x + width, y + height] if flickr else [x, y, x + width, y + height]
            boxes = [] if annotation.get("empty") or not any(annotation["bbox"]) else [clip(box, size)]
            spans = [tuple(span) for span in annotation["tokens_positive"]]
            if expression == "whole" and "ref" in entry.get("dataset_name", ""):
                spans = [(len(text) - len(text.lstrip()), len(text.rstrip()))]
            marked.append((spans, boxes, names.get(annotation["category_id"], "")))
        wanted = [[tuple(span) for span in spans] for spans in entry.get("tokens_positive_eval", [])]
        if "tokens_positive_eval" not in entry:
            wanted = []
            for spans, _, _ in marked:
                if spans and spans not in wanted:
                    wanted.append(spans)
        phrases = []
        for spans in wanted:
            near = [m for m in marked if any(a < d and c < b for a, b in spans for c, d in m[0])]
            there = {box for _, listed, _ in near for box in listed}
            categories = {category for _, _, category in near}
            phrases.append(
                Phrase(
                    list(spans),
                    sorted(there),
                    categories.pop() if len(categories) == 1 else "",
                    {"no target"} if near and not there else set(),
                )
            )
        own.captions[entry.get("sentence_id", len(own.captions))] = (text, phrases)
    return truth


# ---------------------------------------------------------------- COCO Entities


def coco_entities(path: Path, raw: Path | None = None, sizes: Path | None = None) -> Truth:
    known = {str(image["id"]): (image["width"], image["height"]) for image in load(sizes)["images"]} if sizes else {}
    texts = {} if raw is None else load(raw)
    if "annotations" in texts:
        assert raw is not None
        texts = by_image(raw)
    truth: Truth = {}
    for image, captions in load(path).items():
        own = truth[image] = Image(known.get(image, (0, 0)))
        for number, (caption, entry) in enumerate(captions.items()):
            text, index = caption, number
            for k, other in enumerate(texts.get(image, [])):
                plain = "".join(letter for letter in other.lower() if letter not in string.punctuation)
                if plain.split() == caption.split() and k not in own.captions:
                    text, index = other, k
                    break
            # Where each character of the caption stands in the text.
            letters = [(letter, at) for at, raw_letter in enumerate(text) for letter in raw_letter.lower()]
            places, at = [], 0
            for letter in caption:
                while letter != " " and letters[at][0] != letter:
                    at += 1
                places.append(letters[min(at, len(letters) - 1)][1])
                at += letter != " "
            phrases, end = [], 0
            for chunk, name in entry["noun_chunks"]:
                start = f" {caption} ".index(f" {chunk} ", max(end - 1, 0) if end else 0)
                end = start + len(chunk) + 1
                span = (places[start], places[end - 2] + 1)
                boxes = [] if name == "_" else [clip(box, own.size) for _, box in entry["detections"][name]]
                phrases.append(Phrase([span], sorted(set(boxes)), "" if name == "_" else name))
            own.captions[index] = (text, phrases)
    return truth


# ---------------------------------------------------------------- panoptic narratives


def png(narratives: Path, panoptic: Path, labels: Callable[[str], NDArray[np.int64]]) -> Truth:
    data = load(panoptic)
    names = {entry["id"]: entry["name"] for entry in data["categories"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in data["images"]}
    truth: Truth = {}
    for entry in load(narratives):
        image = entry["image_id"]
        (annotation,) = [a for a in data["annotations"] if str(a["image_id"]) == image]
        pixels = labels(annotation["file_name"])
        size = sizes[annotation["image_id"]]
        own = truth.setdefault(image, Image(size))
        text, end, phrases = entry["caption"], 0, []
        for part in entry["segments"]:
            start = text.index(part["utterance"], end)
            end = start + len(part["utterance"])
            if not part["noun"]:
                continue
            words = re.search(r"[^\W_].*[^\W_]|[^\W_]", text[start:end], re.DOTALL)
            assert words is not None
            segments = [s for s in annotation["segments_info"] if str(s["id"]) in part["segment_ids"]]
            categories = {names[s["category_id"]] for s in segments}
            phrases.append(
                Phrase(
                    [(start + words.start(), start + words.end())],
                    sorted(corner(s["bbox"], size) for s in segments),
                    categories.pop() if len(categories) == 1 else "",
                    {"plural"} if part["plural"] else set(),
                    [pixels == s["id"] for s in segments],
                )
            )
        own.captions[len(own.captions)] = (text, phrases)
    return truth


# ---------------------------------------------------------------- the rest


def odvg(path: Path) -> Truth:
    truth: Truth = {}
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        size = (entry["width"], entry["height"])
        own = truth.setdefault(Path(entry["filename"]).stem, Image(size))
        phrases = []
        for region in entry["grounding"]["regions"]:
            boxes = region["bbox"] if isinstance(region["bbox"][0], list) else [region["bbox"]]
            spans = [tuple(span) for span in region["tokens_positive"]]
            phrases.append(Phrase(spans, sorted({clip(box, size) for box in boxes})))
        own.captions[len(own.captions)] = (entry["grounding"]["caption"], phrases)
    return truth


def gcg(path: Path) -> Truth:
    truth: Truth = {}
    for entry in load(path):
        masks = [mask for value in entry["groundings"].values() for mask in value["rle_masks"]]
        size = (masks[0]["size"][1], masks[0]["size"][0])
        own = truth.setdefault(Path(entry["file_name"]).stem, Image(size))
        phrases = []
        for value in entry["groundings"].values():
            pixels = [outline_pixels(mask, size) for mask in value["rle_masks"]]
            boxes = []
            for mask in pixels:
                rows, columns = np.nonzero(mask)
                boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
            sorted_boxes = sorted(tuple(map(float, box)) for box in boxes)
            phrases.append(Phrase([tuple(value["token_positives"])], sorted_boxes, masks=pixels))
        own.captions[len(own.captions)] = (entry["caption"].strip('"').strip(), phrases)
    return truth


def phrasecut(path: Path, sizes: Path) -> Truth:
    known = {str(entry["image_id"]): (entry["width"], entry["height"]) for entry in load(sizes)}
    truth: Truth = {}
    for entry in load(path):
        size = known[str(entry["image_id"])]
        own = truth.setdefault(str(entry["image_id"]), Image(size))
        masks = [
            polygons_pixels([[edge for point in polygon for edge in point] for polygon in instance], *size)
            for instance in entry["Polygons"]
        ]
        boxes = sorted(corner(box, size) for box in entry["instance_boxes"])
        own.captions[len(own.captions)] = (
            entry["phrase"],
            [Phrase([(0, len(entry["phrase"]))], boxes, masks=masks)],
        )
    return truth


def visual_genome(path: Path, sizes: Path | None = None) -> Truth:
    known = {str(entry["image_id"]): (entry["width"], entry["height"]) for entry in load(sizes)} if sizes else {}
    truth: Truth = {}
    for image in load(path):
        own = truth.setdefault(str(image["id"]), Image(known.get(str(image["id"]), (0, 0))))
        for region in image["regions"]:
            text = region["phrase"]
            box = corner([region[side] for side in ("x", "y", "width", "height")], own.size)
            span = (len(text) - len(text.lstrip()), len(text.rstrip()))
            own.captions[len(own.captions)] = (text, [Phrase([span], [box])])
    return truth


def gqa(questions: Path, graphs: Path) -> Truth:
    known = load(graphs)
    truth: Truth = {}
    for entry in load(questions).values():
        graph = known[entry["imageId"]]
        size = (graph["width"], graph["height"])
        own = truth.setdefault(entry["imageId"], Image(size))
        text, phrases = entry["question"], []
        for place, name in entry["annotations"]["question"].items():
            first, _, last = place.partition(":")
            words = text.split(" ")[int(first) : int(last or int(first) + 1)]
            start = len(" ".join([*text.split(" ")[: int(first)], ""]))
            thing = graph["objects"].get(name)
            boxes = [] if thing is None else [corner([thing[side] for side in "xywh"], size)]
            phrases.append(Phrase([(start, start + len(" ".join(words).rstrip("?.,!")))], boxes))
        own.captions[len(own.captions)] = (text, phrases)
    return truth
