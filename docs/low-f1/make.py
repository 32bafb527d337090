"""Make the pictures of docs/troubleshooting.md: one sound export, and one for each thing that makes an F1 low.

    python docs/low-f1/make.py [FOLDER]

The annotations are those of the fixtures, whose images have no pixels: coloured shapes stand for what is annotated.
Each picture is what `attneval show` draws of the word `dog`; the exports stay in FOLDER/exports, to be looked at with
`attneval validate` and `attneval score`. Takes the extra `report`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
from PIL import Image, ImageDraw

import attneval
from attneval.__main__ import main

ROOT = Path(__file__).parents[2]
ENTITIES = ROOT / "fixtures" / "entities"
IMAGE, CAPTION, WORD = "700222", "4", "dog"
CELLS = 12
WIDTH = 360
"""Columns of a picture."""
COLOURS = ("#b5651d", "#e0ac69", "#4f6d7a", "#7a9e7e", "#c8553d", "#8d86c9")
PHRASE = re.compile(r"\[/EN#(\d+)/\S+ ([^\]]*)\]")

Maps = Callable[["Scene", list["str | None"]], Any]


@dataclass(frozen=True)
class Scene:
    """An image: its size, and the boxes of each entity in pixels, from edge to edge."""

    name: str
    size: tuple[int, int]
    boxes: dict[str, list[tuple[int, int, int, int]]]

    def centres(self) -> Any:
        """The centres of the cells of a grid over the image: f8[CELLS, CELLS, 2]."""
        steps = (np.arange(CELLS) + 0.5) / CELLS
        return np.stack(np.meshgrid(steps * self.size[0], steps * self.size[1]), axis=-1)

    def attention(self, entity: str | None) -> Any:
        """Attention of a word to its entity's boxes, or evenly to everything: f8[CELLS, CELLS]."""
        weights = np.full((CELLS, CELLS), 1e-3)
        for x1, y1, x2, y2 in self.boxes.get(entity or "", []):
            away = (self.centres() - ((x1 + x2) / 2, (y1 + y2) / 2)) / ((x2 - x1) / 2.4, (y2 - y1) / 2.4)
            weights += np.exp(-np.square(away).sum(axis=-1))
        return weights / weights.sum()


def scenes() -> list[tuple[Scene, list[tuple[str, list[str | None]]]]]:
    """The images of the fixtures, each with its captions: a text, and the entity of each of its words."""
    read = []
    for path in sorted((ENTITIES / "Annotations").glob("*.xml")):
        tree = ET.parse(path).getroot()  # noqa: S314 - the fixtures' own
        size = (int(tree.findtext("size/width", "0")), int(tree.findtext("size/height", "0")))
        boxes: dict[str, list[tuple[int, int, int, int]]] = {}
        for thing in tree.iter("object"):
            box = thing.find("bndbox")
            if box is not None:
                x1, y1, x2, y2 = (int(box.findtext(edge, "0")) for edge in ("xmin", "ymin", "xmax", "ymax"))
                for name in thing.iter("name"):
                    boxes.setdefault(str(name.text), []).append((x1 - 1, y1 - 1, x2, y2))
        captions = []
        for line in (ENTITIES / "Sentences" / f"{path.stem}.txt").read_text(encoding="utf-8").splitlines():
            entities: list[str | None] = []
            for piece in re.split(r"(\[[^\]]*\])", line):
                phrase = PHRASE.fullmatch(piece)
                words = (phrase[2] if phrase else piece).split()
                entities += [phrase[1] if phrase else None] * len(words)
            captions.append((PHRASE.sub(r"\2", line), entities))
        read.append((Scene(path.stem, size, boxes), captions))
    return read


def sound(scene: Scene, entities: list[str | None]) -> Any:
    """Maps as they should be: f8[T, CELLS, CELLS]."""
    return np.stack([scene.attention(entity) for entity in entities])


def even(_scene: Scene, entities: list[str | None]) -> Any:
    """Maps that say nothing."""
    return np.full((len(entities), CELLS, CELLS), 1 / CELLS**2)


def cropped(scene: Scene, entities: list[str | None]) -> Any:
    """Maps of a model that saw the square in the middle, stored as if it had seen the whole image."""
    side = min(scene.size)
    left, top = ((length - side) / 2 for length in scene.size)
    seen = {
        name: [
            tuple(
                int(np.clip((edge - (left, top)[place % 2]) / side, 0, 1) * scene.size[place % 2])
                for place, edge in enumerate(box)
            )
            for box in boxes
        ]
        for name, boxes in scene.boxes.items()
    }
    within: Any = {name: [b for b in boxes if b[0] < b[2] and b[1] < b[3]] for name, boxes in seen.items()}
    return sound(Scene(scene.name, scene.size, within), entities)


def turned(scene: Scene, entities: list[str | None]) -> Any:
    """Maps whose cells are stored column by column."""
    return sound(scene, entities).swapaxes(1, 2)


def of_another_word(scene: Scene, entities: list[str | None]) -> Any:
    """Maps of which each word has that of the next entity."""
    listed = list(dict.fromkeys([*(name for name in entities if name in scene.boxes), *scene.boxes]))
    following = dict(zip(listed, [*listed[1:], *listed[:1]], strict=True))
    return sound(scene, [following.get(name or "") for name in entities])


def with_a_sink(scene: Scene, entities: list[str | None]) -> Any:
    """Maps of which the corner takes most, whatever the word."""
    maps = 0.03 * sound(scene, entities)
    maps[:, 0, 0] += 0.5
    maps[:, 0, 1] += 0.25
    maps[:, 1, 0] += 0.22
    return maps


def soft(scene: Scene, entities: list[str | None]) -> Any:
    """Maps that are barely above even attention over most of the image."""
    maps = sound(scene, entities) ** 0.08
    return maps / maps.sum(axis=(1, 2), keepdims=True)


@dataclass(frozen=True)
class Picture:
    """A picture: its maps, how the regions are written, and flags of `attneval show`."""

    maps: Maps
    boxes_of_an_input: int = 0
    flags: tuple[str, ...] = ()


PICTURES = {
    "sound": Picture(sound),
    "coverage": Picture(sound, flags=("--overlap", "iou")),
    "floors": Picture(even),
    "coordinates": Picture(sound, boxes_of_an_input=224),
    "crop": Picture(cropped),
    "order": Picture(turned),
    "rows": Picture(of_another_word),
    "sinks": Picture(with_a_sink),
    "threshold": Picture(soft),
}
"""Pictures by name; but for the first the sections of docs/troubleshooting.md, in their order."""


def write_export(path: Path, picture: Picture) -> None:
    """Write the maps of a picture for all images."""
    with attneval.ExportWriter(path, normalised_over="regions", model=path.stem) as out:
        for scene, captions in scenes():
            side = picture.boxes_of_an_input
            if side:
                edges = np.arange(CELLS + 1) * side / CELLS
                cells = [(edges[x], edges[y], edges[x + 1], edges[y + 1]) for y in range(CELLS) for x in range(CELLS)]
                out.add_image(scene.name, size=scene.size, boxes=cells)
            else:
                out.add_image(scene.name, size=scene.size, grid=(CELLS, CELLS))
            for index, (text, entities) in enumerate(captions):
                maps = picture.maps(scene, entities).reshape(len(entities), -1).astype(np.float32)
                maps /= maps.sum(axis=1, keepdims=True)
                out.add_caption(scene.name, maps, index=index, text=text, tokens=text.split())


def write_photograph(folder: Path) -> None:
    """Draw what stands for the photograph: a shape for each annotated box."""
    (scene,) = (scene for scene, _ in scenes() if scene.name == IMAGE)
    drawn = Image.new("RGB", scene.size, "#dfe7dc")
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((0, 0, scene.size[0], scene.size[1] // 3), fill="#cfdfea")
    largest = sorted(scene.boxes.items(), key=lambda item: -max((b[2] - b[0]) * (b[3] - b[1]) for b in item[1]))
    for colour, (_, boxes) in zip(COLOURS[1:], largest, strict=False):
        for box in boxes:
            pen.ellipse(box, fill=colour)
    # The dog stands before the others.
    for box in scene.boxes["601"]:
        pen.ellipse(box, fill=COLOURS[0])
    folder.mkdir(parents=True, exist_ok=True)
    drawn.save(folder / f"{IMAGE}.png")


def shrink(path: Path) -> None:
    """Make a picture small: few columns and few colours."""
    with Image.open(path) as drawn:
        small = drawn.convert("RGB").resize(
            (WIDTH, round(drawn.height * WIDTH / drawn.width)), Image.Resampling.LANCZOS
        )
    small.quantize(48, dither=Image.Dither.NONE).save(path, optimize=True)


def make(folder: Path) -> None:
    """Write all exports and pictures."""
    write_photograph(folder / "photos")
    (folder / "exports").mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        export, drawn = folder / "exports" / f"{name}.npz", folder / f"{name}.png"
        write_export(export, picture)
        words = ("--image", IMAGE, "--caption", CAPTION, "--word", WORD, "--gt", str(ENTITIES), "-q")
        flags = ("--images", str(folder / "photos"), "-o", str(drawn), *picture.flags)
        if main(["show", str(export), *words, *flags]):
            raise SystemExit(f"{name} could not be drawn")
        shrink(drawn)


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
