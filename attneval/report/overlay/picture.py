"""A scene as SVG in the pixels of its image: the map, what was attended, what was annotated."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

from attneval.report.markup import Markup
from attneval.report.overlay.outline import loops, outline
from attneval.report.overlay.scene import brightness
from attneval.report.overlay.svg import tag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.report.overlay.outline import Point, Segment
    from attneval.report.overlay.scene import Scene

SHADE = 0.6
"""How dark the pixels without weight are."""
LONGER_SIDE = 140


def drawn(scene: Scene) -> Markup:
    """The overlay of a scene, to lie on its photograph."""
    parts = [_map(scene), *attended(scene)]
    if scene.shapes is not None:
        parts += [tag("g", *annotated(scene), class_=class_, stroke="#fff") for class_ in ("an-case", "an")]
    return Markup("").join(parts)


def attended(scene: Scene) -> list[Markup]:
    """The attended regions: the outline of the cells, or boxes as strong as their weights."""
    chosen = np.flatnonzero(scene.attended)
    if not len(chosen):
        return []
    if tiled(scene.box):
        line = lines(outline(np.asarray(scene.box, np.float64)[chosen]))
        return [tag("path", d=line, class_="at-case"), tag("path", d=line, class_="at")]
    largest = float(scene.weight.max()) if scene.weight is not None else 0.0
    made = []
    for row in by_weight(scene, chosen):
        strength = float(scene.weight[row]) / largest if scene.weight is not None and largest > 0 else 1.0
        class_ = "at top" if strength >= 1 else "at"
        made.append(_rect(scene.box[row], class_=class_, opacity=round(0.25 + 0.75 * strength, 2)))
    return made


def by_weight(scene: Scene, rows: NDArray[np.intp]) -> list[int]:
    """The regions of rows i8[k], the one with the largest weight last, so that it lies on top."""
    if scene.weight is None:
        return list(map(int, rows))
    return list(map(int, rows[np.argsort(scene.weight[rows], kind="stable")]))


def tiled(box: NDArray[np.floating]) -> bool:
    """True if regions f[n, 4] lie beside each other without overlapping, as the cells of a grid do."""
    edge = np.asarray(box, np.float64)
    area = float(((edge[:, 2] - edge[:, 0]) * (edge[:, 3] - edge[:, 1])).sum())
    around = edge[:, 2:].max(axis=0) - edge[:, :2].min(axis=0)
    return len(edge) >= 16 and abs(area / float(around.prod()) - 1) < 1e-3


def annotated(scene: Scene) -> list[Markup]:
    """The annotated shapes: the outline of masks, or boxes."""
    if scene.mask is not None:
        return [tag("path", d=lines(scene.annotated))]
    return [] if scene.shapes is None else [_rect(box) for box in scene.shapes]


def lines(segments: list[Segment]) -> str:
    """The commands of a path along an outline."""
    return "".join(_path(corners) for corners in loops(segments))


def _path(corners: list[Point]) -> str:
    sides = (f"V{_short(y)}" if place % 2 else f"H{_short(x)}" for place, (x, y) in enumerate(corners[1:]))
    return f"M{_short(corners[0][0])} {_short(corners[0][1])}{''.join(sides)}Z"


def _map(scene: Scene) -> Markup:
    factor = min(LONGER_SIDE / max(scene.size), 1.0)
    width, height = (max(round(side * factor), 1) for side in scene.size)
    field = brightness(scene, width, height)
    if field is None:
        return Markup("")
    alpha = np.rint(255 * SHADE * (1 - field)).astype(np.uint8)
    return tag("image", href=black_png(alpha), width=scene.size[0], height=scene.size[1], class_="map")


def black_png(alpha: NDArray[np.uint8]) -> str:
    """A black image that lets through what it should, as a data URI.

    Args:
        alpha: u1[h, w], 0 where nothing is covered.
    """
    height, width = alpha.shape
    levels, index = np.unique(alpha, return_inverse=True)
    rows = np.concatenate((np.zeros((height, 1), np.uint8), index.reshape(height, width).astype(np.uint8)), axis=1)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(3 * len(levels))),
        (b"tRNS", levels.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    ]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _rect(box: NDArray[np.floating], **attributes: object) -> Markup:
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return tag("rect", x=x1, y=y1, width=x2 - x1, height=y2 - y1, **attributes)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
