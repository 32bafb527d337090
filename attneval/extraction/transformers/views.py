"""The views that an image processor makes of an image, and how each lies on the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class View:
    """One picture that the model sees: the whole image, a crop, a tile or a thumbnail.

    Attributes:
        height: Rows of the view, in pixels of the view.
        width: Columns of the view, in pixels of the view.
        affine: (sx, sy, tx, ty): column edge c of the view lies at `sx * c + tx` in pixels of the original image, row
            edge r at `sy * r + ty`.
    """

    height: int
    width: int
    affine: tuple[float, float, float, float]

    def corners(self) -> npt.NDArray[np.float64]:
        """Return x1 y1 x2 y2 of the view in pixels of the original image."""
        sx, sy, tx, ty = self.affine
        return np.array([tx, ty, sx * self.width + tx, sy * self.height + ty])


def largest_difference(first: Sequence[View], second: Sequence[View], width: int, height: int) -> float:
    """Measure how far two derivations of the same views lie apart, in pixels of the original image.

    Only what lies within the image counts, since no cell is cut from the rest. Views of another number or size are
    infinitely far apart.

    Args:
        first: One derivation, in the order of `pixel_values`.
        second: The other.
        width: Width of the original image in pixels.
        height: Its height.
    """
    if [(view.height, view.width) for view in first] != [(view.height, view.width) for view in second]:
        return float("inf")
    limit = np.array([width, height, width, height], dtype=np.float64)
    differences = [
        np.abs(np.clip(one.corners(), 0.0, limit) - np.clip(other.corners(), 0.0, limit)).max()
        for one, other in zip(first, second, strict=True)
    ]
    return float(max(differences, default=0.0))


def views_text(views: Sequence[View]) -> str:
    """Render the first views for a message."""
    shown = [
        f"{view.width} x {view.height} at ({', '.join(f'{round(number, 1) + 0.0:.1f}' for number in view.corners())})"
        for view in views[:3]
    ]
    rest = f" and {len(views) - 3} more" if len(views) > 3 else ""
    return "; ".join(shown) + rest
