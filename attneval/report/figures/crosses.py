"""Crosses with words beside them, none of which meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attneval.report.figures.style import HALO, INK, TINY
from attneval.report.table import typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

MOST = 100
"""The ends of both axes, in percent."""
WORDS = (21, 5)
"""The width and the height of the words at a cross, in percent of the axes."""
PLACES: dict[str, dict[str, Any]] = {
    "right": {"xytext": (5, 0), "ha": "left", "va": "center"},
    "left": {"xytext": (-5, 0), "ha": "right", "va": "center"},
    "above": {"xytext": (0, 4), "ha": "center", "va": "bottom"},
    "below": {"xytext": (0, -5), "ha": "center", "va": "top"},
}
"""Where the words at a cross may stand, the first one that is free."""
Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""


def mark_crosses(axes: Axes, crosses: Sequence[tuple[float, float, str]]) -> None:
    """Draw crosses and the words of each where they are readable.

    Args:
        axes: Axes of percent.
        crosses: Places, in percent, and words.
    """
    taken = [(x - 2, y - 3, x + 2, y + 3) for x, y, _ in crosses]
    for x, y, text in crosses:
        axes.plot([x], [y], marker="x", color=INK, markersize=4.5, clip_on=False, zorder=5)
        place, box = _free_place(x, y, taken)
        taken.append(box)
        look: dict[str, Any] = {"fontsize": TINY + 0.5, "color": INK, "bbox": HALO, "zorder": 5}
        axes.annotate(typeset(text), (x, y), textcoords="offset points", **PLACES[place], **look)


def _free_place(x: float, y: float, taken: list[Box]) -> tuple[str, Box]:
    """Where the words at a cross meet no others and stay within the axes."""
    wide, high = WORDS
    boxes: dict[str, Box] = {
        "right": (x + 3, y - high / 2, x + 3 + wide, y + high / 2),
        "left": (x - 3 - wide, y - high / 2, x - 3, y + high / 2),
        "above": (x - wide / 2, y + 3, x + wide / 2, y + 3 + high),
        "below": (x - wide / 2, y - 3 - high, x + wide / 2, y - 3),
    }

    def free(box: Box) -> bool:
        within = box[0] >= 0 and box[2] <= MOST and box[1] >= 0
        return within and not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken
        )

    place = next((name for name, box in boxes.items() if free(box)), "left" if x > MOST / 2 else "right")
    return place, boxes[place]
