"""The place of an image token, asked of the model itself.

A small square of the image is changed; the image token whose state changes most must lie there. Eight places are tried,
two in every quarter of what the model sees and off the diagonals, so that transposed grids, swapped tiles, forgotten
crops and rows that are off by one miss most of them. Trained encoders have tokens that change with anything: what a
token changes by at the other places is taken off, and the majority decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from attneval.arrays.records import record
from attneval.errors import AttnevalError
from attneval.extraction.transformers.regions import Regions, edges

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

Array: TypeAlias = npt.NDArray[np.float64]

SPREAD = (
    (0.05, 0.36, -0.3),
    (0.36, 0.05, 0.3),
    (0.64, 0.05, 0.3),
    (0.95, 0.36, -0.3),
    (0.05, 0.64, -0.3),
    (0.36, 0.95, 0.3),
    (0.64, 0.95, 0.3),
    (0.95, 0.64, -0.3),
)
"""Places as fractions of what the model sees, and how far outwards from the centre of a cell, in cells.

Two lie in every quarter and, of three rows or columns of tiles, half in the middle one: few tiles stay where they are
in another order. A wrong scale shows off the centres first, on one side if it is too small, on the other if too large.
"""
SQUARE = 0.3
"""Side of the changed square, in cells."""
FAINT = 0.1
"""A place where no token changes by this share of what is usual is not seen by the model: resampling alone leaks."""
WHOLE = 0.9
"""Side of a larger square, for encoders that a small one does not move."""
SMALLEST = 2
"""Shortest side of the changed square in pixels."""


@record
class Located:
    """Changed places of an image, and the tokens that reacted.

    Attributes:
        places: float64[places, 2], centres of the changed squares in pixels of the image, x and y.
        tokens: int64[places], the image token that changed most, by its place among the cells; -1 if none changed.
        boxes: float64[places, 4], where the geometry says that this token lies.
        hits: bool[places], whether it says the place.
    """

    places: Array
    tokens: npt.NDArray[np.int64]
    boxes: Array
    hits: npt.NDArray[np.bool_]

    @property
    def passed(self) -> bool:
        """Tell whether more than half of the places were hit."""
        return int(self.hits.sum()) * 2 > len(self.hits)

    def __str__(self) -> str:
        misses = [
            f"({x:.0f}, {y:.0f}) changed "
            + (f"token {token} at ({', '.join(f'{round(edge):d}' for edge in box)})" if token >= 0 else "no token")
            for (x, y), token, box, hit in zip(self.places, self.tokens, self.boxes, self.hits, strict=True)
            if not hit
        ]
        shown = f"; {'; '.join(misses[:4])}" if misses else ""
        return (
            f"{int(self.hits.sum())} of {len(self.hits)} places are followed by the image token that lies there{shown}"
        )


def locate(states: Callable[[Image], npt.ArrayLike], image: Image, regions: Regions, square: float = SQUARE) -> Located:
    """Change eight places of an image one by one and see which image tokens follow.

    Args:
        states: From an image to the states of its cells, float[cells, D], in the order of the regions.
        image: The image; its pixels are kept elsewhere.
        regions: Where its cells are said to lie.
        square: Side of the changed squares, in cells.

    Returns:
        The places and the tokens that changed most.

    Raises:
        AttnevalError: there are not as many states as cells, or no cell lies within the image.
    """
    width, height = image.size
    cells = edges(regions)
    chosen = spread_places(cells, width, height, square)
    before = _states(states, image, len(cells))
    changes = np.stack(
        [np.linalg.norm(_states(states, changed(image, *square), len(cells)) - before, axis=1) for square in chosen]
    )
    # The median leaves out the place itself, and in overlapping views its neighbours.
    surplus = changes - np.median(changes, axis=0)
    most = changes.max(axis=1)
    tokens = np.where(most > FAINT * np.median(most), surplus.argmax(axis=1), -1)
    centres = np.array([(x, y) for x, y, _ in chosen])
    boxes = np.where(tokens[:, None] >= 0, cells[tokens], np.nan)
    hits = np.all((boxes[:, :2] <= centres) & (centres < boxes[:, 2:]), axis=1)
    return Located(centres, tokens.astype(np.int64), boxes, hits)


def _states(states: Callable[[Image], npt.ArrayLike], image: Image, count: int) -> Array:
    made = np.asarray(states(image), dtype=np.float64)
    if made.ndim != 2 or len(made) != count:
        raise AttnevalError(
            f"the model has states of shape {made.shape} for the {count} cells of one image",
            hint="columns() and regions() must name the same cells in the same order",
        )
    return made


def spread_places(cells: Array, width: int, height: int, square: float = SQUARE) -> list[tuple[float, float, float]]:
    """Choose squares in eight cells that lie apart.

    Args:
        cells: float64[R, 4], edges of the cells in pixels of the image.
        width: Width of the image.
        height: Its height.
        square: Side of the squares, in cells.

    Returns:
        Of each square the x and y of its centre and its side, in pixels.
    """
    inside = (cells[:, :2] >= -0.5).all(axis=1) & (cells[:, 2] <= width + 0.5) & (cells[:, 3] <= height + 0.5)
    if not inside.any():
        raise AttnevalError(f"none of {len(cells)} cells lies within the image of {width} x {height} pixels")
    whole = cells[inside]
    area = (whole[:, 2] - whole[:, 0]) * (whole[:, 3] - whole[:, 1])
    # Where views overlap the finest cells follow a small change most.
    fine = whole[area <= 1.5 * area.min()]
    low, high = fine[:, :2].min(axis=0), fine[:, 2:].max(axis=0)
    centres = (fine[:, :2] + fine[:, 2:]) / 2
    places = []
    for across, down, outwards in SPREAD:
        apart = (centres - low) / (high - low) - [across, down]
        nearest = int(np.linalg.norm(apart, axis=1).argmin())
        size = fine[nearest, 2:] - fine[nearest, :2]
        # The square stays in its cell, however large it is.
        offset = np.clip(outwards, (square - 1) / 2, (1 - square) / 2)
        x, y = centres[nearest] + offset * size * np.sign(centres[nearest] - (low + high) / 2)
        places.append((float(x), float(y), max(SMALLEST, square * float(size.min()))))
    return places


def changed(image: Image, x: float, y: float, side: float) -> Image:
    """Return a copy of an image with a square around (x, y) in black or white, whichever it is further from."""
    from PIL import Image as Images

    pixels = np.array(image.convert("RGB"))
    columns = slice(max(0, round(x - side / 2)), round(x + side / 2))
    rows = slice(max(0, round(y - side / 2)), round(y + side / 2))
    pixels[rows, columns] = np.where(pixels[rows, columns].mean(axis=(0, 1)) < 128, 255, 0)
    return Images.fromarray(pixels)
