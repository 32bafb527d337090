"""What evaluators are given: maps as numpy reads them, and annotations as ElementTree and a loop over words do."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Boxes = dict[str, list[list[int]]]
"""Annotated boxes x1, y1, x2, y2 of an image by entity, as they stand in the file."""


@dataclass(frozen=True)
class Phrase:
    """A phrase: its words and their places among the sentence's, without punctuation; its entity and its types."""

    words: list[str]
    places: list[int]
    entity: str
    types: list[str]


@dataclass(frozen=True)
class Maps:
    """An export with a token for each word.

    Attributes:
        caption: Image, number among its captions and weights f[T, R] of each caption.
        boxes: f[R, 4] by image; none for a grid.
        grid: Rows and columns of the grid; none for boxes.
    """

    caption: list[tuple[str, int, NDArray[np.floating]]]
    boxes: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    grid: tuple[int, int] | None = None


@dataclass(frozen=True)
class Annotations:
    """Boxes, sizes (width, height) and the phrases of captions, by image."""

    boxes: dict[str, Boxes]
    size: dict[str, tuple[int, int]]
    captions: dict[str, list[list[Phrase]]]


def read_maps(path: Path) -> Maps:
    """The maps of a file in either layout."""
    with np.load(path) as file:
        return _padded(file) if "attn" in file else _packed(file)


def _padded(file: Mapping[str, NDArray[np.generic]]) -> Maps:
    attention = np.asarray(file["attn"], np.float32)
    grid = (attention.shape[2], attention.shape[3])
    lengths = np.count_nonzero(file["words"] != "", axis=1).tolist()
    captions = []
    for name, rows, length in zip(file["caption_ids"].tolist(), attention, lengths, strict=True):
        image, _, number = name.partition("#")
        captions.append((image, int(number), rows[:length].reshape(length, -1)))
    return Maps(captions, grid=grid)


def _packed(file: Mapping[str, NDArray[np.generic]]) -> Maps:
    offset = np.asarray(file["image_id_offset"], np.int64).tolist()
    data = bytes(np.asarray(file["image_id"], np.uint8))
    images = [data[start:stop].decode() for start, stop in itertools.pairwise(offset)]
    tokens = np.diff(np.asarray(file["token_offset"], np.int64)).tolist()
    starts = np.asarray(file["attention_offset"], np.int64).tolist()
    owner = np.asarray(file["caption_image"], np.int64).tolist()
    numbers = np.asarray(file["caption_index"], np.int64).tolist()
    weights = np.asarray(file["attention"], np.float32)
    captions = [
        (images[image], number, weights[start:stop].reshape(length, -1))
        for image, number, length, start, stop in zip(owner, numbers, tokens, starts, starts[1:], strict=False)
    ]
    if "grid_shape" in file:
        rows, columns = np.asarray(file["grid_shape"], np.int64)[0].tolist()
        return Maps(captions, grid=(rows, columns))
    region = np.asarray(file["region_offset"], np.int64).tolist()
    box = np.asarray(file["region_box"], np.float32)
    return Maps(captions, {image: box[region[i] : region[i + 1]] for i, image in enumerate(images)})


def read_annotations(folder: Path, images: list[str]) -> Annotations:
    """The annotations of some images, file by file."""
    boxes, sizes, captions = {}, {}, {}
    for image in images:
        root = ET.parse(folder / "Annotations" / f"{image}.xml").getroot()  # noqa: S314 - files we chose ourselves
        size = {node.tag: node.text or "" for node in root.findall("size")[0]}
        sizes[image] = (int(size["width"]), int(size["height"]))
        own: Boxes = {}
        for node in root.findall("object"):
            edge = node.find("bndbox")
            if edge is None:
                continue
            corners = [int(side.text or "") for side in edge]
            for name in node.findall("name"):
                own.setdefault(str(name.text), []).append(corners)
        boxes[image] = own
        captions[image] = [phrases_of(line) for line in sentences(folder, image)]
    return Annotations(boxes, sizes, captions)


def sentences(folder: Path, image: str) -> list[str]:
    """The annotated sentences of an image."""
    return [line for line in (folder / "Sentences" / f"{image}.txt").read_text(encoding="utf-8").split("\n") if line]


def words_of(line: str) -> list[str]:
    """The words of a sentence."""
    return [word.removesuffix("]") for word in line.split() if not word.startswith("[/EN#")]


def as_json(truth: Annotations) -> dict[str, Any]:
    """Annotations as evaluators keep them that convert a data set once: `boxes`, `size` and `captions`."""
    return asdict(truth)


def phrases_of(line: str) -> list[Phrase]:
    """The phrases of a sentence, word by word."""
    phrases: list[Phrase] = []
    count, inside = 0, False
    for word in line.split():
        if word.startswith("[/EN#"):
            _, chain, *types = word.split("/")
            phrases.append(Phrase([], [], chain.removeprefix("EN#"), types))
            inside = True
            continue
        if inside:
            if any(map(str.isalnum, word)):
                phrases[-1].words.append(word.removesuffix("]"))
                phrases[-1].places.append(count)
            inside = not word.endswith("]")
        count += 1
    return phrases


def boxed_phrases(maps: Maps, truth: Annotations) -> Iterator[tuple[str, int, NDArray[np.floating], Phrase]]:
    """Every phrase that has boxes: its image, the number and the weights of its caption, and the phrase itself."""
    for image, number, rows in maps.caption:
        for phrase in boxed(truth.captions[image][number], truth.boxes[image]):
            yield image, number, rows, phrase


def boxed(phrases: list[Phrase], boxes: Boxes) -> list[Phrase]:
    """Those of a caption's phrases that have boxes."""
    return [phrase for phrase in phrases if phrase.entity in boxes and "notvisual" not in phrase.types]


def images_of(maps: Maps) -> list[str]:
    """The images that have captions, in the order of the maps."""
    return list(dict.fromkeys(image for image, _, _ in maps.caption))
