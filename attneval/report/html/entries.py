"""Items and images as the page's script reads them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from attneval.report.overlay.picture import lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attneval.report.overlay.scenes import Scenes


def image_of(scenes: Scenes, row: int, name: str) -> dict[str, Any]:
    """Lay out an image and its regions."""
    width, height = scenes.size(row)
    image: dict[str, Any] = {"id": name, "w": width, "h": height}
    grid = (0, 0) if scenes.pictures is None else tuple(scenes.pictures.grid[row].tolist())
    if all(grid):
        image["grid"] = list(grid)
    image["boxes"] = boxes_of(scenes.table.regions_of_image(row)) if scenes.table.caption_group is None else []
    return image


def boxes_of(box: NDArray[np.float32]) -> list[list[float]]:
    """Lay out regions f4[R, 4], which are those of an image or of a caption alone."""
    return [[_pixels(edge) for edge in edges] for edges in box.tolist()]


def entry_of(scenes: Scenes, item: int) -> dict[str, Any]:
    """Lay out one item as the script reads it; spans count UTF-16 units, as scripts do."""
    table, scene = scenes.table, scenes.scene(item)
    attended, relevant = int(scene.attended.sum()), int(scene.relevant.sum())
    n = len(scene.box)
    ap = pointing = None
    if scenes.pictures is not None:
        ap, pointing = (defined(float(v[item])) for v in (scenes.pictures.ap, scenes.pictures.pointing))
    entry: dict[str, Any] = {
        "c": 0,
        "w": _units(scene.caption, scene.word),
        "p": _units(scene.caption, scene.phrase),
        "o": _units(scene.caption, scene.other),
        "t": [bit for bit in range(len(table.types)) if int(table.item_types[item]) >> bit & 1],
        "k": int(table.item_kind[item]),
        "v": [*(round(value, 6) for value in scene.scores), ap, pointing],
        # Attending to everything has a recall of 1 and the share of relevant regions as precision.
        "e": round(2 * relevant / (n + relevant), 6) if relevant else None,
        "na": attended,
        "nr": relevant,
        "s": bool(table.scored[item]),
        "a": _bits(scene.attended),
        "r": _bits(scene.relevant),
    }
    if scene.weight is not None:
        largest = float(scene.weight.max())
        entry["mx"] = float(f"{largest:.6g}")
        entry["q"] = _bytes(scene.weight, largest)
    if scene.shapes is not None:
        entry["b"] = [[_pixels(edge) for edge in edges] for edges in scene.shapes.tolist()]
    if scene.mask is not None:
        entry["m"] = lines(scene.annotated)
    return entry


def _pixels(edge: float) -> float:
    text = f"{edge:.1f}"
    return int(text[:-2]) if text.endswith(".0") else float(text)


def defined(value: float) -> float | None:
    """A score; None for one that an item does not have."""
    return None if value != value else round(value, 6)  # noqa: PLR0124 - NaN


def _units(text: str, span: tuple[int, int] | None) -> list[int] | None:
    if span is None:
        return None
    return [len(text[:end].encode("utf-16-le", "surrogatepass")) // 2 for end in span]


def _bits(mask: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(mask).tobytes()).decode("ascii")


def _bytes(weight: NDArray[np.float64], largest: float) -> str:
    share = weight / largest if largest > 0 else np.zeros_like(weight)
    return base64.b64encode(np.rint(255 * share).astype(np.uint8).tobytes()).decode("ascii")
