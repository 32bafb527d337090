"""Pages of results: made from the fixtures, and read as a browser would read them, by other means than made them."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from attneval import open_export

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parents[1] / "fixtures"
GT = FIXTURES / "entities"
VOID = {"meta", "br", "input", "img", "link", "hr"}


@dataclass
class Node:
    """An element with what it holds."""

    name: str
    attributes: dict[str, str]
    children: list[Node | str] = field(default_factory=list)
    parent: Node | None = None

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, tag: str, /, **wanted: str) -> list[Node]:
        """The elements of a name within it, with some attributes; `class_` is one of the classes."""
        return [node for node in self.walk() if node.name == tag and node.has(**wanted)]

    def has(self, **wanted: str) -> bool:
        for key, value in wanted.items():
            given = self.attributes.get(key.rstrip("_").replace("_", "-"))
            if given is None or (value not in given.split() if key == "class_" else given != value):
                return False
        return True

    def one(self, tag: str, /, **wanted: str) -> Node:
        found = self.all(tag, **wanted)
        assert len(found) == 1, f"{len(found)} {tag} {wanted}"
        return found[0]

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class Reader(HTMLParser):
    """A page as a tree; elements that are not closed as they should be are an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self._open = [self.root]
        self.feed(text)
        self.close()
        assert self._open == [self.root], f"{self._open[-1].name} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        node = Node(tag, {name: value or "" for name, value in attrs}, parent=self._open[-1])
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"{tag} closes {self._open[-1].name}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def read_page(path: Path) -> Node:
    return Reader(path.read_text(encoding="utf-8")).root


def data_of(page: Node) -> Any:
    """What the script reads."""
    return json.loads(page.one("script", type="application/json").text)


def rounded(value: float, style: str) -> str:
    """A number as a person would write it, to the even digit in the middle."""
    if style == "count":
        return f"{round(value):,}"
    if style == "plain":
        return f"{value:.4g}".replace("-", "\u2212")
    if style == "p":
        return "<0.001" if value < 0.001 else str(Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_EVEN))
    digits = Decimal(1) if style == "way" else Decimal("0.1")
    exact = Decimal(value if style == "rank" else 100 * value).quantize(digits, ROUND_HALF_EVEN)
    text = str(abs(exact))
    if style == "rank" and text.endswith(".0"):
        text = text[:-2]
    if exact == 0:
        return text
    sign = "\u2212" if exact < 0 else "+" if style == "signed" else ""
    return sign + text


def at(values: Any, pointer: str) -> Any:
    """What a JSON pointer leads to."""
    for key in pointer.split("/")[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        values = values[int(name) if isinstance(values, list) else name]
    return values


def chance(result: dict[str, Any], name: str) -> float:
    """Recall@K of an arbitrary order, one place after the other."""
    direction, k = name[:3], int(name.rpartition("@")[2])
    captions = [len(ranks) for ranks in result["per_image"]["t2i_ranks"]]
    if direction == "t2i":
        return min(k / len(captions), 1.0)
    total, hits = sum(captions), []
    for own in captions:
        miss = math.prod((total - own - place) / (total - place) for place in range(min(k, total)))
        hits.append(1 - max(miss, 0.0))
    return float(np.mean(hits))


def many_headed(path: Path, source: Path, channels: list[tuple[int, int]]) -> Path:
    """An export with several channels, each the maps of another with something changed."""
    with np.load(source) as stored:
        members = {name: stored[name] for name in stored.files}
    offset, tokens = members["attention_offset"], np.diff(members["token_offset"])
    random = np.random.default_rng(7)
    blocks = []
    for caption, count in enumerate(tokens.tolist()):
        own = members["attention"][offset[caption] : offset[caption + 1]].reshape(count, -1).astype(np.float64)
        for layer, head in channels:
            map_ = own ** (0.4 + 0.5 * max(head, 0)) * np.exp(random.normal(0, 0.4 * max(layer, 0), own.shape))
            blocks.append((map_ / map_.sum(axis=1, keepdims=True)).astype(np.float32).ravel())
    members["attention"] = np.concatenate(blocks)
    members["attention_offset"] = offset * len(channels)
    members["channel"] = np.array(channels, np.int16)
    np.savez(path, **members)
    return path


def both_ways(path: Path, source: Path) -> Path:
    """An export with maps from regions to words beside those from words to regions."""
    with np.load(source) as stored:
        members = {name: stored[name] for name in stored.files}
    offset, tokens = members["attention_offset"], np.diff(members["token_offset"])
    blocks = []
    for caption, count in enumerate(tokens.tolist()):
        own = members["attention"][offset[caption] : offset[caption + 1]].reshape(count, -1).astype(np.float64)
        blocks.append((own / own.sum(axis=0)).astype(np.float32).ravel())
    members["attention_i2t"] = np.concatenate(blocks)
    np.savez(path, **members)
    return path


def relevance_set(folder: Path, source: Path) -> list[str]:
    """Flags that score an export with a relevance set, in which neighbours are relevant as well."""
    export = open_export(source)
    images = export.image_id
    pairs = zip(export.caption_image.tolist(), export.caption_index.tolist(), strict=True)
    captions = {f"{images[row]}#{index}": [images[row], images[row - 1]] for row, index in pairs}
    path = folder / "near_caption_to_image.json"
    path.write_text(json.dumps(captions))
    return ["--relevance", str(path)]


def photographs(folder: Path, sizes: dict[str, tuple[int, int]], *, suffix: str = ".jpg") -> Path:
    """A folder of pictures that hold something."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(3)
    for name, (width, height) in sizes.items():
        coarse = Image.fromarray(random.integers(0, 255, (6, 8, 3), np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{name}{suffix}")
    return folder


def sizes_of(export: Path) -> dict[str, tuple[int, int]]:
    with np.load(export) as stored:
        text, offset = stored["image_id"].tobytes().decode(), stored["image_id_offset"]
        names = [text[a:b] for a, b in itertools.pairwise(offset)]
        return {name: (int(w), int(h)) for name, (w, h) in zip(names, stored["image_size"].tolist(), strict=True)}
