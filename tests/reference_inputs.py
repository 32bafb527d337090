"""What the slow reference is given, and how it reads files: sharing no code with the package either."""

from __future__ import annotations

import itertools
import json
import re
import zipfile
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # x1, y1, x2, y2, continuous edges
Row = Sequence[float]  # a weight for each key
Keys = AbstractSet[int]
Choices = dict[str, Any]  # the protocol


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
    defined: NDArray[np.bool_] | None = None  # [channels, tokens], the rows that have mass; None for all
    window: tuple[int, int] | None = None  # its own regions: the first of its image's, and how many

    def rows_of(self, channel: int | None) -> tuple[list[Row], list[bool]]:
        """Tokens x regions of one channel, or of the mean of the defined rows of all; and which rows are defined."""
        if self.defined is None:
            return self.of_channel(self.weights, channel), [True] * len(self.tokens)
        rows: list[Row] = []
        for token in range(len(self.tokens)):
            chosen = [c for c in range(len(self.weights)) if channel in (None, c) and self.defined[c][token]]
            own = [self.weights[c][token].tolist() for c in chosen]
            rows.append([sum(column) / len(own) for column in zip(*own, strict=True)])
        return rows, [bool(row) for row in rows]

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
    # By image the rows and columns of its grid, and its affine (sx, sy, tx, ty); empty for boxes.
    grids: dict[str, tuple[tuple[int, int], tuple[float, float, float, float]]] = field(default_factory=dict)


def read_entities(path: Path, image_ids: Sequence[str], *, edges: str = "pixel") -> Truth:
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
                for name in node.iter("name"):
                    entities.setdefault(str(name.text), []).append(in_image((x1, y1, x2, y2), edges, size))
        lines = read(f"Sentences/{image_id}.txt").decode("utf-8").rstrip("\n").split("\n")
        images[image_id] = Image(size, entities, {k: _entities_caption(line) for k, line in enumerate(lines)})
    if archive:
        archive.close()
    return images


def in_image(corners: Box, edges: str, size: tuple[int, int]) -> Box:
    """Corners counted from 1 as edges, as far as they lie in the image."""
    low, high = {"pixel": (1, 0), "raw": (0, 0), "corner": (1, 1)}[edges]
    x1, y1, x2, y2 = corners
    return inside((x1 - low, y1 - low, x2 - high, y2 - high), (0, 0, *size))


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


def read_mdetr(path: Path, *, edges: str = "pixel") -> Truth:
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
                    boxes.add(in_image((x, y, x + w, y + h), edges, image.size))
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
    grids = {}
    maps = []
    for row, (image, index) in enumerate(ids):
        if data["attn"].ndim == 4:
            rows, columns = data["attn"].shape[2:]
            width, height = sizes[image]
            boxes[image] = _grid(rows, columns, width / columns, height / rows, 0, 0)
            grids[image] = ((rows, columns), (width / columns, height / rows, 0.0, 0.0))
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
    return Export(boxes, maps, data.get("similarity"), [images.index(image) for image, _ in ids], grids)


def _read_packed(data: dict[str, Any], sizes: Mapping[str, tuple[int, int]]) -> Export:
    images = _strings(data, "image_id")
    boxes: dict[str, list[Box]] = {}
    grids = {}
    for row, image in enumerate(images):
        if "grid_shape" in data:
            rows, columns = data["grid_shape"][row].tolist()
            width, height = data["image_size"][row].tolist() if "image_size" in data else sizes[image]
            affine = (width / columns, height / rows, 0.0, 0.0)
            if "grid_affine" in data:
                affine = tuple(data["grid_affine"][row].astype(np.float64).tolist())
            grids[image] = ((rows, columns), affine)
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
        window = tuple(data["caption_region"][row].tolist()) if "caption_region" in data else None
        shape = (channels, last - first, window[1] if window else len(boxes[image]))
        defined = None
        if "row_mass" in data:
            mass = data["row_mass"][channels * first : channels * last]
            defined = mass.reshape(channels, last - first) > 0
        i2t = None
        if "attention_i2t" in data:
            i2t = data["attention_i2t"][start:stop].astype(np.float64).reshape(shape)
        weights = data["attention"][start:stop].astype(np.float64).reshape(shape)
        maps.append(Map(image, int(data["caption_index"][row]), tokens, weights, i2t, defined, window))
    return Export(boxes, maps, data.get("similarity"), data["caption_image"].tolist(), grids)
