"""What the slow reference is given, and how it reads files: sharing no code with the package either."""

from __future__ import annotations

import itertools
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # x1, y1, x2, y2, continuous edges
Row = Sequence[float]  # a weight for each key


@dataclass
class Phrase:
    words: list[int]  # positions among the caption's white-space words
    entity: str  # not among the image's entities if it has no box
    types: list[str]


@dataclass
class Caption:
    words: list[str]
    phrases: list[Phrase]


@dataclass
class Image:
    size: tuple[int, int]
    entities: dict[str, list[Box]]
    captions: dict[int, Caption]


Truth = dict[str, Image]


@dataclass
class Map:
    """One exported caption."""

    image: str
    index: int
    tokens: list[str]
    weights: NDArray[np.float64]  # [channels, tokens, regions]
    weights_i2t: NDArray[np.float64] | None = None

    def of_channel(self, weights: NDArray[np.float64], channel: int | None) -> list[Row]:
        """Tokens x regions of one channel, or of the mean of all."""
        chosen = weights.mean(axis=0) if channel is None else weights[channel]
        return [[float(weight) for weight in row] for row in chosen]


@dataclass
class Export:
    boxes: dict[str, list[Box]]
    maps: list[Map]
    similarity: NDArray[np.floating] | None
    caption_image: list[int]  # the row of the similarity that is each caption's own image


def read_entities(path: Path, image_ids: Sequence[str], *, corner: bool = False) -> Truth:
    archive = zipfile.ZipFile(path) if path.is_file() else None

    def read(name: str) -> bytes:
        return archive.read(name) if archive else (path / name).read_bytes()

    images = {}
    for image_id in image_ids:
        root = ET.fromstring(read(f"Annotations/{image_id}.xml"))  # noqa: S314 - files we chose ourselves
        size = (int(root.findtext("size/width", "")), int(root.findtext("size/height", "")))
        entities: dict[str, list[Box]] = {}
        for node in root.iter("object"):
            for box in node.iter("bndbox"):
                x1, y1, x2, y2 = (int(box.findtext(edge, "")) for edge in ("xmin", "ymin", "xmax", "ymax"))
                edges = (x1 - 1, y1 - 1, x2 - corner, y2 - corner)
                for name in node.iter("name"):
                    entities.setdefault(str(name.text), []).append(edges)
        lines = read(f"Sentences/{image_id}.txt").decode("utf-8").rstrip("\n").split("\n")
        images[image_id] = Image(size, entities, {k: _entities_caption(line) for k, line in enumerate(lines)})
    if archive:
        archive.close()
    return images


def _entities_caption(line: str) -> Caption:
    words: list[str] = []
    phrases = []
    for part in re.split(r"(\[/EN#[^\]]*\])", line):
        if part.startswith("[/EN#"):
            head, text = part[1:-1].split(" ", 1)
            _, chain, *types = head.split("/")
            first = len(words)
            words += text.split()
            # A phrase that is not visual is about no entity, whatever chain it is of.
            entity = "" if "notvisual" in types else chain.removeprefix("EN#")
            visual = [t for t in types if t != "notvisual"]
            phrases.append(Phrase(list(range(first, len(words))), entity, visual))
        else:
            words += part.split()
    return Caption(words, phrases)


def read_mdetr(path: Path, *, corner: bool = False) -> Truth:
    data = json.loads(path.read_text(encoding="utf-8"))
    annotations: dict[int, list[Any]] = {}
    for entry in data["annotations"]:
        annotations.setdefault(entry["image_id"], []).append(entry)
    images: Truth = {}
    for entry in data["images"]:
        image = images.setdefault(
            str(entry["original_img_id"]), Image((int(entry["width"]), int(entry["height"])), {}, {})
        )
        caption = entry["caption"]
        bounds = [(m.start(), m.end()) for m in re.finditer(r"\S+", caption)]
        phrases = []
        for spans in entry["tokens_positive_eval"]:
            words = [w for w, (a, b) in enumerate(bounds) if any(a < e and s < b for s, e in spans)]
            boxes = set()
            for annotation in annotations.get(entry["id"], []):
                if any(s < d and c < e for s, e in spans for c, d in annotation["tokens_positive"]):
                    x, y, w, h = annotation["bbox"]
                    boxes.add((x - 1, y - 1, x + w - corner, y + h - corner))
            # Phrases with the same boxes are the same entity.
            name = str(sorted(boxes))
            if boxes:
                image.entities[name] = sorted(boxes)
            phrases.append(Phrase(words, name, []))
        image.captions[int(entry["sentence_id"])] = Caption([caption[a:b] for a, b in bounds], phrases)
    return images


def read_export(path: Path, sizes: Mapping[str, tuple[int, int]] | None = None) -> Export:
    with np.load(path) as file:
        data = dict(file)
    return _read_padded(data, sizes or {}) if "attn" in data else _read_packed(data, sizes or {})


def _strings(data: dict[str, Any], name: str) -> list[str]:
    if data[name].dtype.kind == "U":
        return [str(text) for text in data[name]]
    raw, offset = data[name].tobytes(), data[f"{name}_offset"]
    return [raw[a:b].decode("utf-8") for a, b in itertools.pairwise(offset.tolist())]


def _boxes(array: NDArray[np.floating]) -> list[Box]:
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in array.astype(np.float64).tolist()]


def _grid(rows: int, columns: int, sx: float, sy: float, tx: float, ty: float) -> list[Box]:
    return [
        (sx * c + tx, sy * r + ty, sx * (c + 1) + tx, sy * (r + 1) + ty) for r in range(rows) for c in range(columns)
    ]


def inside(box: Box, limit: Box) -> Box:
    """A box with each edge moved into the limits; nothing is left of one that lies outside."""
    x, y = ([min(max(edge, limit[k]), limit[k + 2]) for edge in (box[k], box[k + 2])] for k in (0, 1))
    return (x[0], y[0], x[1], y[1])


def _read_padded(data: dict[str, Any], sizes: Mapping[str, tuple[int, int]]) -> Export:
    ids = [str(text).rsplit("#", 1) for text in data["caption_ids"]]
    images = [str(i) for i in data["image_ids"]] if "image_ids" in data else list(dict.fromkeys(i for i, _ in ids))
    boxes: dict[str, list[Box]] = {}
    maps = []
    for row, (image, index) in enumerate(ids):
        if data["attn"].ndim == 4:
            rows, columns = data["attn"].shape[2:]
            width, height = sizes[image]
            boxes[image] = _grid(rows, columns, width / columns, height / rows, 0, 0)
        else:
            boxes[image] = _boxes(data["boxes"][images.index(image) if "image_ids" in data else row])
        words = [str(word) for word in data["words"][row]]
        while words and not words[-1]:
            words.pop()
        shape = (1, len(words), len(boxes[image]))
        weights = data["attn"][row, : len(words)].astype(np.float64).reshape(shape)
        i2t = None
        if "attn_i2t" in data:
            i2t = data["attn_i2t"][row, : len(words)].astype(np.float64).reshape(shape)
        maps.append(Map(image, int(index), words, weights, i2t))
    return Export(boxes, maps, data.get("similarity"), [images.index(image) for image, _ in ids])


def _read_packed(data: dict[str, Any], sizes: Mapping[str, tuple[int, int]]) -> Export:
    images = _strings(data, "image_id")
    boxes: dict[str, list[Box]] = {}
    for row, image in enumerate(images):
        if "grid_shape" in data:
            rows, columns = data["grid_shape"][row].tolist()
            width, height = data["image_size"][row].tolist() if "image_size" in data else sizes[image]
            affine = (width / columns, height / rows, 0, 0)
            if "grid_affine" in data:
                affine = data["grid_affine"][row].astype(np.float64).tolist()
            within = (0, 0, width, height)
            boxes[image] = [inside(box, within) for box in _grid(rows, columns, *affine)]
        else:
            first, last = data["region_offset"][row : row + 2]
            boxes[image] = _boxes(data["region_box"][first:last])
    channels = len(data["channel"]) if "channel" in data else 1
    texts = _strings(data, "token_text") if "token_text" in data else []
    captions = _strings(data, "caption_text") if "caption_text" in data else []
    maps = []
    for row, image_row in enumerate(data["caption_image"].tolist()):
        image = images[image_row]
        first, last = data["token_offset"][row : row + 2].tolist()
        tokens = texts[first:last]
        if not texts:
            spans = data["token_span"][first:last].tolist()
            tokens = [captions[row][a:b] if a >= 0 else "<special>" for a, b in spans]
        start, stop = data["attention_offset"][row : row + 2].tolist()
        shape = (channels, last - first, len(boxes[image]))
        i2t = None
        if "attention_i2t" in data:
            i2t = data["attention_i2t"][start:stop].astype(np.float64).reshape(shape)
        weights = data["attention"][start:stop].astype(np.float64).reshape(shape)
        maps.append(Map(image, int(data["caption_index"][row]), tokens, weights, i2t))
    return Export(boxes, maps, data.get("similarity"), data["caption_image"].tolist())
