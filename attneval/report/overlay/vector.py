"""A scene as an SVG file."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from attneval.report.markup import Markup
from attneval.report.overlay.photos import as_data_uri, shrunk
from attneval.report.overlay.picture import drawn
from attneval.report.overlay.svg import tag
from attneval.report.overlay.words import described

if TYPE_CHECKING:
    from PIL.Image import Image

    from attneval.report.overlay.scene import Scene

LONGER_SIDE = 840
STYLE = Markup("""
rect, path { fill: none; vector-effect: non-scaling-stroke; }
.ground { fill: #ece8de; }
.map { image-rendering: pixelated; }
.at-case, .an-case > * { stroke: #000; stroke-opacity: .72; stroke-width: 3.6; }
.at { stroke: #ffb000; stroke-width: 1.8; }
.at.top { stroke-width: 2.6; }
.an > * { stroke: #fff; stroke-width: 1.8; stroke-dasharray: 5 3; }
text { font: 15px Georgia, serif; fill: #1c1c1a; }
.small { font: 12px sans-serif; fill: #5b5850; }
.word { font-weight: bold; text-decoration: underline; }
.other { fill: #9c3d08; text-decoration: underline dotted; }
""")
CHARACTERS = 7.2
"""Pixels of a character of text, more or less."""


def vector(scene: Scene, photo: Image | None) -> str:
    """Draw a scene with its caption beneath.

    Args:
        scene: What is shown.
        photo: The photograph; an empty frame without.
    """
    width, height = scene.size
    frame: dict[str, object] = {"width": width, "height": height}
    if photo is None:
        ground = tag("rect", class_="ground", **frame)
    else:
        ground = tag("image", href=as_data_uri(shrunk(photo, LONGER_SIDE)), preserveAspectRatio="none", **frame)
    columns = max(int(width / CHARACTERS), 20)
    rows = [_row(line, 24 + 21 * place) for place, line in enumerate(_wrapped(scene, columns))]
    y = 24 + 21 * len(rows)
    rows += [tag("text", line, x=6, y=y + 17 * k, class_="small") for k, line in enumerate(described(scene, columns))]
    total = height + y + 17 * (len(described(scene, columns)) - 1) + 10
    title = tag("title", f"{scene.text} in image {scene.image_id}: {scene.kind}")
    return (
        tag(
            "svg",
            title,
            tag("style", STYLE),
            tag("rect", width=width, height=total, style="fill:#fdfcf9"),
            ground,
            drawn(scene),
            tag("g", *rows, transform=f"translate(0 {height})"),
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width} {total}",
            width=width,
            height=total,
        )
        + "\n"
    )


Piece = tuple[str, str]
"""Text and the class of its mark."""


def pieces(scene: Scene) -> list[Piece]:
    """A caption in pieces, each with the marks that it bears: `word`, `phrase`, `other`."""
    marks = {"phrase": scene.phrase, "word": scene.word, "other": scene.other}
    spans = {name: span for name, span in marks.items() if span is not None and span[1] > span[0]}
    ends = sorted({0, len(scene.caption), *(end for span in spans.values() for end in span)})
    marked_pieces = []
    for start, stop in itertools.pairwise(ends):
        classes = [name for name, (a, b) in spans.items() if a <= start and stop <= b]
        marked_pieces.append((scene.caption[start:stop], " ".join(classes)))
    return marked_pieces


def _wrapped(scene: Scene, columns: int) -> list[list[Piece]]:
    """The pieces on lines of some width, broken at spaces."""
    lines: list[list[Piece]] = [[]]
    used = 0
    for text, classes in pieces(scene):
        for word in _words(text):
            if used and used + len(word.rstrip()) > columns:
                lines.append([])
                used = 0
            lines[-1].append((word, classes))
            used += len(word)
    return lines


def _words(text: str) -> list[str]:
    """Words, each with the spaces after it."""
    words: list[str] = []
    for character in text:
        if words and (character == " " or words[-1][-1] != " "):
            words[-1] += character
        else:
            words.append(character)
    return words


def _row(line: list[Piece], y: int) -> Markup:
    spans = [tag("tspan", "".join(map(_printable, word)), class_=classes or None) for word, classes in line]
    return tag("text", *spans, x=6, y=y, **{"xml:space": "preserve"})


def _printable(character: str) -> str:
    """A character that XML allows."""
    code = ord(character)
    allowed = code >= 0x20 and not 0xD800 <= code < 0xE000 and code not in {0xFFFE, 0xFFFF}
    return character if allowed else "\ufffd"
