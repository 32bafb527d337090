"""A scene as pixels: the photograph, its map, outlines, and the caption beneath."""

from __future__ import annotations

import textwrap
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.report.overlay.outline import outline
from attneval.report.overlay.photos import pillow_needed, shrunk
from attneval.report.overlay.picture import SHADE, by_weight, tiled
from attneval.report.overlay.scene import brightness, sides
from attneval.report.overlay.words import described, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from attneval.report.overlay.outline import Segment
    from attneval.report.overlay.scene import Scene

LONGER_SIDE = 840
GROUND = (236, 232, 222)
ATTENDED, ANNOTATED, CASING = (255, 176, 0), (255, 255, 255), (0, 0, 0)
PAPER, INK = (253, 252, 249), (28, 28, 26)
TEXT_SIZE, DASH = 15, (9.0, 6.0)


def pictured(scene: Scene, photo: Image | None, *, longer: int = LONGER_SIDE, text: bool = True) -> Image:
    """Draw a scene.

    Args:
        scene: What is shown.
        photo: The photograph; an empty frame without.
        longer: Pixels of the longer side of the picture, at most those of the photograph.
        text: Whether the caption and the scores stand beneath.
    """
    with pillow_needed():
        from PIL import Image as Images
        from PIL import ImageDraw
    ground = Images.new("RGB", scene.size, GROUND) if photo is None else photo
    picture = shrunk(ground, longer)
    field = brightness(scene, *picture.size)
    if field is not None:
        light = 1 - SHADE * (1 - field)
        picture = Images.fromarray(np.rint(np.asarray(picture) * light[..., None]).astype(np.uint8))
    else:
        picture = picture.copy()
    draw = ImageDraw.Draw(picture, "RGBA")
    scale = (picture.width / scene.size[0], picture.height / scene.size[1])
    around = [(_scaled(segment, scale), strength) for segment, strength in _attended(scene)]
    for line, strength in around:
        draw.line(line, fill=(*CASING, round(184 * strength)), width=4)
    for line, strength in around:
        draw.line(line, fill=(*ATTENDED, round(255 * strength)), width=2)
    annotated = [_scaled(segment, scale) for segment in scene.annotated]
    for line in annotated:
        draw.line(line, fill=(*CASING, 184), width=4)
    for line in annotated:
        for dash in _dashes(line):
            draw.line(dash, fill=(*ANNOTATED, 255), width=2)
    return _with_text(picture, scene) if text else picture


def _attended(scene: Scene) -> Iterator[tuple[Segment, float]]:
    """The lines around what was attended, each with how strong it is, the strongest last."""
    chosen = np.flatnonzero(scene.attended)
    if len(chosen) and tiled(scene.box):
        for segment in outline(np.asarray(scene.box, np.float64)[chosen]):
            yield segment, 1.0
        return
    largest = 0.0 if scene.weight is None else float(scene.weight.max(initial=0.0))
    for row in by_weight(scene, chosen):
        share = float(scene.weight[row]) / largest if scene.weight is not None and largest > 0 else 1.0
        for segment in sides(scene.box[row].tolist()):
            yield segment, 0.25 + 0.75 * share


def _scaled(segment: Segment, scale: tuple[float, float]) -> Segment:
    """A line in pixels of the picture."""
    return segment[0] * scale[0], segment[1] * scale[1], segment[2] * scale[0], segment[3] * scale[1]


def _dashes(line: Segment) -> Iterator[Segment]:
    x1, y1, x2, y2 = line
    length = float(np.hypot(x2 - x1, y2 - y1))
    if length <= 0:
        return
    step = ((x2 - x1) / length, (y2 - y1) / length)
    for start in np.arange(0.0, length, sum(DASH)).tolist():
        stop = min(start + DASH[0], length)
        yield x1 + start * step[0], y1 + start * step[1], x1 + stop * step[0], y1 + stop * step[1]


def _with_text(picture: Image, scene: Scene) -> Image:
    from PIL import Image as Images
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(TEXT_SIZE)
    columns = max(int(picture.width / (TEXT_SIZE * 0.52)), 20)
    lines = [
        part
        for line in (*lines_of(scene, columns), *described(scene, columns))
        for part in _legible(line, font, columns)
    ]
    leading = TEXT_SIZE + 6
    whole = Images.new("RGB", (picture.width, picture.height + leading * len(lines) + 14), PAPER)
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    for number, line in enumerate(lines):
        draw.text((8, picture.height + 7 + number * leading), line, fill=INK, font=font)
    return whole


def _legible(line: str, font: Any, columns: int) -> list[str]:
    """A line without characters that the font lacks, which would be empty boxes, wrapped anew if there were some.

    A letter with an accent stands without it, and what is no such letter is spelled out.
    """

    def lacks(character: str) -> bool:
        return bytes(font.getmask(character)) == missing

    def drawn(character: str) -> str:
        if character.isascii() or not lacks(character):
            return character
        plain = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
        return plain if plain.isascii() else character.encode("unicode_escape").decode("ascii")

    missing = bytes(font.getmask("\uffff"))
    text = "".join(map(drawn, line))
    return [line] if text == line else textwrap.wrap(text, columns)
